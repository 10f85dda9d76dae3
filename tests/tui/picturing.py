"""Pictures of the app against the ones that are kept; one run of the app gives both themes.

`pytest tests/tui -k looks --snapshot-update` keeps new ones; look at them before.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

from pytest_textual_snapshot import SVGImageExtension  # type: ignore[import-untyped]
from textual.widgets import Input

from tests.tui.chatting import FIRST_AT
from tui.widgets import status_line

if TYPE_CHECKING:
    import pytest
    from syrupy.assertion import SnapshotAssertion

    from tests.tui.chatting import Chat

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
SMALLEST = {"60x16": (60, 16)}
THEMES = ("scrubjay-dark", "scrubjay-light")


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day is in the pictures, and the speed of an answer."""
    monkeypatch.setattr(time, "time", lambda: FIRST_AT + 7_200)
    monkeypatch.setattr(status_line, "time", SimpleNamespace(monotonic=lambda: 0.0))


async def pictures(chat: Chat) -> dict[str, str]:
    """What is on the screen now, as SVG, in each theme."""
    taken = {}
    for field in chat.app.screen.query(Input):
        field.cursor_blink = False  # that of the command palette, which is Textual's own
    for theme in THEMES:
        chat.app.theme = theme
        await chat.still()
        taken[theme] = chat.app.export_screenshot(title="scrubjay")
    return taken


def assert_same(taken: dict[str, str], snapshot: SnapshotAssertion) -> None:
    """Compare pictures with those that are kept."""
    for theme, picture in taken.items():
        assert picture == snapshot(name=theme, extension_class=SVGImageExtension)
