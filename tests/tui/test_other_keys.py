"""Keys that do what others do, too, and those that nothing else presses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from textual.widgets import TextArea

from engine.llm.base import ModelError
from tests.scripted import ScriptedBackend
from tests.tui.chatting import Chat, chatting, settings
from tui.screens.memory_edit import MemoryScreen, Written
from tui.widgets.inspector import Inspector
from tui.widgets.session_list import SessionList

if TYPE_CHECKING:
    from pathlib import Path

    from textual.widget import Widget


async def test_f3_and_f4_go_to_the_panes_as_ctrl_b_and_ctrl_o_do(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(160, 40)) as chat:
        await chat.ready()
        await chat.pilot.press("f3")
        await chat.until(lambda: focused_in(chat, SessionList))
        await chat.pilot.press("f4")
        await chat.until(lambda: focused_in(chat, Inspector))


async def test_left_and_right_turn_the_inspector_s_tabs(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(160, 40)) as chat:
        await chat.ready()
        await chat.pilot.press("f4")
        await chat.until(lambda: focused_in(chat, Inspector))
        inspector = chat.screen.query_one(Inspector)
        before = inspector.tab
        await chat.pilot.press("right")
        await chat.until(lambda: inspector.tab != before)
        await chat.pilot.press("left")
        await chat.until(lambda: inspector.tab == before)


async def test_ctrl_s_keeps_what_is_written_of_a_memory(tmp_path: Path) -> None:
    kept: list[Written | None] = []
    async with chatting(tmp_path) as chat:
        await chat.ready()
        chat.app.push_screen(MemoryScreen("Edit", "The user likes te"), kept.append)
        await chat.until(lambda: bool(chat.app.screen.query(TextArea)))
        chat.app.screen.query_one(TextArea).move_cursor((0, 99))
        await chat.pilot.press("a", "ctrl+s")
        await chat.until(lambda: bool(kept))
    assert kept[0] is not None
    assert kept[0].text == "The user likes tea"


async def test_sentences_tell_the_keys_that_the_settings_give(tmp_path: Path) -> None:
    keys = {
        "chat.choose_model": "f7",
        "chat.retry": "ctrl+y",
        "transcript.retry": "x,X",
        "transcript.toggle_fold": "z",
        "sessions.undo": "w",
    }
    backend = ScriptedBackend([ModelError("disconnected", "It broke off.")])
    chosen = msgspec.structs.replace(settings(), keys=keys)
    async with chatting(tmp_path, backend, chosen=chosen) as chat:
        await chat.ready()
        await chat.until_shown("f7 chooses another model")
        await chat.say("A long question.\n" * 60)
        await chat.until_shown("press x to retry")
        await chat.until_shown("ctrl+y answers again")
        chat.transcript.focus()
        await chat.pilot.press("g")
        await chat.until_shown("more lines · z")
        await chat.pilot.press("ctrl+b", "d")
        await chat.until_shown("w undo delete of")


def focused_in(chat: Chat, kind: type[Widget]) -> bool:
    focused = chat.app.focused
    return focused is not None and any(isinstance(one, kind) for one in focused.ancestors_with_self)
