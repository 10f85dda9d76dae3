"""Pictures of what opens over a conversation, or beside it, against the ones that are kept.

`pytest tests/tui/test_dialog_pictures.py --snapshot-update` keeps new ones; look at them before.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from pytest_textual_snapshot import SVGImageExtension  # type: ignore[import-untyped]

from tests.tui.chatting import ANSWER, FIRST_AT, QUESTION, Chat, chatting, keep_talk, settings
from tui.widgets import status_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

LOOKS = (
    ("80x24", "scrubjay-dark"),
    ("80x24", "scrubjay-light"),
    ("120x40", "scrubjay-dark"),
    ("200x60", "scrubjay-light"),
)
"""Every size, and each theme on a small screen and a larger one."""

LINKS = "\n\nSee [open](https://docs.python.org/3/library/functions.html) and <https://jays.org/>."


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day is in the pictures, and the speed of an answer."""
    monkeypatch.setattr(time, "time", lambda: FIRST_AT + 7_200)
    monkeypatch.setattr(status_line, "time", SimpleNamespace(monotonic=lambda: 0.0))


async def palette(chat: Chat) -> None:
    await chat.pilot.press("ctrl+p")
    await chat.until_shown("New conversation")
    await chat.pilot.press(*"conv")
    await chat.until_shown("(f2, /rename)")
    await chat.until_shown("(/import)")


async def parameters(chat: Chat) -> None:
    await chat.say("/set")
    await chat.until_shown("temperature")


async def links(chat: Chat) -> None:
    chat.transcript.focus()
    await chat.pilot.press("o")
    await chat.until_shown("jays.org/")


async def editing(chat: Chat) -> None:
    chat.transcript.focus()
    await chat.pilot.press("[", "[", "e")
    await chat.until_shown("asking anew from here")


async def finding(chat: Chat) -> None:
    await chat.pilot.press("ctrl+f", *"file", "enter")
    await chat.until_shown("2 messages")


async def searching(chat: Chat) -> None:
    await chat.pilot.press("ctrl+b")
    await chat.until_shown("SQL window functions")
    await chat.pilot.press("/")
    await chat.pilot.press(*"line")
    await chat.until_shown("found")


async def renaming(chat: Chat) -> None:
    await chat.pilot.press("ctrl+b")
    await chat.until_shown("SQL window functions")
    await chat.pilot.press("e")


async def remembering(chat: Chat) -> None:
    await chat.say("/remember")
    await chat.until(lambda: chat.app.screen is not chat.screen)


async def forgetting(chat: Chat) -> None:
    await chat.engine.memory.remember("The user likes green tea.")
    await chat.say("/forget green tea")
    await chat.until(lambda: chat.app.screen is not chat.screen)


async def researched(chat: Chat) -> None:
    await chat.pilot.press("ctrl+o", "3")
    await chat.until_shown("Research")


SCENES = (
    palette,
    parameters,
    links,
    editing,
    finding,
    searching,
    renaming,
    remembering,
    forgetting,
    researched,
)


@pytest.mark.parametrize(("size", "theme"), LOOKS)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_it_looks_as_it_did(
    scene: Callable[[Chat], Awaitable[None]],
    size: str,
    theme: str,
    tmp_path: Path,
    snapshot: SnapshotAssertion,
) -> None:
    columns, lines = map(int, size.split("x"))
    async with chatting(tmp_path, size=(columns, lines), chosen=settings(theme)) as chat:
        await chat.ready()
        await keep_talk(chat.engine, "SQL window functions", "a question", "an answer")
        session = await keep_talk(chat.engine, "Read a file", QUESTION, ANSWER + LINKS)
        chat.screen.open(session.id)
        await chat.until_shown("Leave the closing to")
        await chat.until_shown("context 575/2k")
        if columns == 200:
            await chat.until_shown("Last answer")  # in the inspector
        await scene(chat)
        await chat.still()
        picture = chat.app.export_screenshot(title="scrubjay")
    assert picture == snapshot(extension_class=SVGImageExtension)
