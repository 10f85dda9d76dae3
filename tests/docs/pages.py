"""The documents, and what they show: commands, settings, keys."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(file for file in (ROOT / "docs").rglob("*.md") if file.parent.name != "reference"),
]
"""Every page that people wrote."""

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n?)+", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SHELL = re.compile(r"(make|scrubjay|git|eval|python|pip) ?")


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of a language on a page."""
    text = page.read_text(encoding="utf-8")
    return [body for found, body in FENCE.findall(text) if found == language]


def commands(page: Path) -> list[str]:
    """The lines for a shell on a page, in order, without comments behind them."""
    text = page.read_text(encoding="utf-8")
    blocks = fenced(page, "sh")
    for block in INDENTED.findall(FENCE.sub("", text)):
        lines = [line.strip() for line in block.splitlines()]
        if all(SHELL.match(line) for line in lines):
            blocks.append("\n".join(lines))
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+# .*$", "", line) for line in lines if line.strip()]
