"""What is closed is let go: neither a dialog nor a text field stays in memory with what it drew."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.tui.chatting import chatting
from tui.widgets.find_bar import FindBar

if TYPE_CHECKING:
    from pathlib import Path

    from textual.screen import Screen

    from tests.tui.chatting import Chat


def drawn_by(screen: Screen[object]) -> list[weakref.ref[object]]:
    """The rows that the widgets of a screen keep."""
    return [weakref.ref(one._styles_cache) for one in (screen, *screen.query("*"))]


@pytest.mark.parametrize("key", ["f1", "f9", "ctrl+p"])
async def test_a_closed_dialog_is_let_go_with_all_that_it_drew(tmp_path: Path, key: str) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press(key)
        await chat.until(lambda: len(chat.app.screen_stack) == 2)
        await chat.still()
        drawn = drawn_by(chat.app.screen)
        await chat.pilot.press("escape")
        await chat.until(lambda: len(chat.app.screen_stack) == 1)
        await until_gone(chat, drawn)


async def test_a_find_bar_is_let_go_when_the_next_one_was_closed(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("hello")
        await chat.until(lambda: chat.session_id and not chat.engine.pool.living())
        first = await find(chat)
        await find(chat)
        await until_gone(chat, [first])


async def find(chat: Chat) -> weakref.ref[object]:
    """Look for something. Returns the field in which it was written."""
    await chat.pilot.press("ctrl+f")
    await chat.until(lambda: chat.screen.query("FindBar Input:focus"))
    field: weakref.ref[object] = weakref.ref(chat.app.focused)
    await chat.pilot.press("h", "escape")
    await chat.until(lambda: not chat.screen.query(FindBar))
    return field


async def until_gone(chat: Chat, what: list[weakref.ref[object]]) -> None:
    def gone() -> bool:
        gc.collect()
        return not any(one() for one in what)

    await chat.until(gone)
