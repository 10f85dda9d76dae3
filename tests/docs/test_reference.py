"""The reference is what the code says now."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from engine import settings_file
from engine.config import Settings
from tests.docs.pages import ROOT
from tests.tools.reference import FOLDER, PYTHON, pages

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_what_is_kept_is_what_would_be_written() -> None:
    kept = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
    assert kept == pages(), "`make reference` writes it anew"


def test_every_public_thing_has_its_words() -> None:
    for _, _, things in PYTHON:
        for thing in things:
            assert isinstance(thing, int) or inspect.getdoc(thing), thing


def test_every_setting_has_its_line_also_of_what_users_name() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")

    def of(kind: Any) -> Iterator[tuple[str, str]]:
        for name, hint in settings_file._hints(kind).items():
            if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
                yield from of(hint)
            elif get_origin(hint) is dict and get_args(hint)[1] is not str:
                yield from of(get_args(hint)[1])
            elif kind is not Settings:
                yield kind.__name__, name

    found = list(of(Settings))
    assert ("McpServer", "start_seconds") in found
    for kind, name in found:
        assert f"| `{name}` | " in page, f"{kind}.{name}"
