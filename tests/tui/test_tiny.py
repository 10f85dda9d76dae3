"""A terminal may be made smaller than anything fits in, as panes of a multiplexer are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui.chatting import ANSWER, QUESTION, chatting, keep_talk

if TYPE_CHECKING:
    from pathlib import Path

TINY = ((1, 1), (2, 30), (3, 10), (6, 2), (9, 40), (100, 1), (100, 3))


@pytest.mark.parametrize("shown", ["nothing yet", "a conversation", "panes"])
async def test_a_window_of_no_use_is_survived(tmp_path: Path, shown: str) -> None:
    async with chatting(tmp_path, size=(200, 50)) as chat:
        await chat.ready()
        if shown == "a conversation":
            session = await keep_talk(chat.engine, "Files", QUESTION, ANSWER)
            chat.screen.open(session.id)
            await chat.until_shown("Name the encoding")
        elif shown == "panes":
            await chat.until_shown("Workers")
            await chat.until_shown("Search")
        for width, height in TINY:
            await chat.pilot.resize_terminal(width, height)
            await chat.pilot.pause()
        await chat.pilot.resize_terminal(200, 50)
        chat.composer.put("here again")
        await chat.until_shown("here again")


@pytest.mark.parametrize("keys", ["f1", "ctrl+t", "ctrl+p", "ctrl+f", "ctrl+o"])
async def test_so_is_one_with_something_open(tmp_path: Path, keys: str) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press(keys)
        await chat.pilot.pause()
        for width, height in TINY:
            await chat.pilot.resize_terminal(width, height)
            await chat.pilot.pause()
        await chat.pilot.resize_terminal(120, 40)
        await chat.until_shown("Quit")
