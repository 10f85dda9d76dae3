"""The JSON Schema of an exported conversation: `python -m tests.tools.session_schema` writes it."""

from __future__ import annotations

import json
from pathlib import Path

import assets
from engine.export.json import schema

FILE = Path(assets.__file__).with_name("session.schema.json")


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
