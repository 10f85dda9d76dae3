"""Help tells the truth: it lists the bindings that there are, and finds them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from textual.binding import Binding
from textual.widgets import Static

from tests.tui.chatting import Chat, chatting, settings
from tui.bindings import unknown
from tui.commands import SLASH
from tui.screens.chat import ChatScreen
from tui.transcript import Transcript
from tui.widgets.composer import Composer
from tui.widgets.inspector import Inspector
from tui.widgets.memory_panel import MemoryPanel
from tui.widgets.session_list import SessionList

if TYPE_CHECKING:
    from pathlib import Path

WIDE = (200, 60)


def listed(chat: Chat) -> str:
    entries = chat.app.screen.query_one("#entries", Static)
    return str(entries.content)


async def opened(chat: Chat) -> None:
    await chat.ready()
    await chat.until(lambda: chat.screen.query(SessionList))
    await chat.pilot.press("f1")
    await chat.until_shown("Search for a key or a word")


async def test_every_described_binding_of_every_pane_is_listed(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=WIDE) as chat:
        await chat.until(lambda: chat.screen.query("Inspector > #tokens"))
        chat.screen.query_one(Inspector).tab = "Memory"
        await chat.until(lambda: chat.screen.query(MemoryPanel))
        await opened(chat)
        text = " ".join(listed(chat).split())
        panes = (Composer, type(chat.transcript), SessionList, Inspector, MemoryPanel)
        for cls in (ChatScreen, *panes):
            for binding in Binding.make_bindings(cls.BINDINGS):
                if binding.description:
                    assert (binding.tooltip or binding.description) in text, binding
                    assert chat.app.get_key_display(binding) in text, binding


async def test_a_key_that_a_pane_gave_another_meaning_is_listed_with_that_one_only(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat)
        assert "earlier prompts that begin so" in listed(chat)
        assert re.search(r"^ +↑ +Line up; on the first", listed(chat), re.MULTILINE)
        assert not re.search(r"^ +↑ +Cursor up$", listed(chat), re.MULTILINE)
        assert re.search(r"^ +shift\+↑ +Cursor up select$", listed(chat), re.MULTILINE)


async def test_what_has_no_room_in_a_line_goes_on_under_its_own_column(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(80, 24)) as chat:
        await chat.ready()
        await chat.pilot.press("f1")
        await chat.until_shown("Tokens, memory")
        lines = listed(chat).splitlines()
        at = next(number for number, line in enumerate(lines) if "Tokens, memory" in line)
        column = lines[at].index("Tokens, memory")
        assert not lines[at + 1][:column].strip()
        assert lines[at + 1][column] != " "


async def test_every_slash_command_is_listed(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat)
        for slash in SLASH:
            assert slash in listed(chat)


async def test_typing_finds_a_binding_and_hides_the_others(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat)
        await chat.pilot.press(*"earlier prompt")
        text = listed(chat)
        assert "earlier prompts that begin so" in text
        assert "Begin an empty conversation" not in text
        await chat.pilot.press(*"zzz")
        assert listed(chat) == "Nothing has that in it."


async def test_it_scrolls_by_keys_and_closes_by_escape_with_the_composer_in_focus_again(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=(80, 24)) as chat:
        await chat.ready()
        await chat.pilot.press("f1")
        await chat.until_shown("Begin an empty conversation")
        await chat.pilot.press("pagedown", "pagedown")
        await chat.until(lambda: "Begin an empty conversation" not in chat.text)
        await chat.pilot.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)
        assert chat.app.focused is chat.composer


async def test_a_question_mark_asks_for_help_unless_it_is_being_written(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press("question_mark")
        assert chat.composer.text == "?"
        chat.screen.query_one(SessionList).focus_rows()
        await chat.pilot.press("question_mark")
        await chat.until_shown("Search for a key or a word")


REMAPPED = {"chat.new": "f9", "sessions.delete": "D,ctrl+d", "transcript.copy_code": "Y"}


async def test_keys_from_the_settings_work_and_are_told_in_help_and_footer(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(settings(), keys=REMAPPED)
    async with chatting(tmp_path, size=WIDE, chosen=chosen) as chat:
        await chat.ready()
        await chat.say("Hello")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
        assert "f9 New" in chat.text
        await chat.pilot.press("ctrl+n")
        await chat.pilot.pause()
        assert chat.session_id is not None
        await chat.pilot.press("f9")
        await chat.until(lambda: chat.session_id is None)
        chat.screen.query_one(SessionList).focus_rows()
        await chat.pilot.press("d")
        await chat.pilot.pause()
        assert len(await chat.engine.library.sessions()) == 1
        await chat.pilot.press("D")
        await chat.until_shown("undo delete")
        await chat.pilot.press("f1")
        await chat.until_shown("Search for a key or a word")
        assert re.search(r"^ +D, \^d +Delete at once", listed(chat), re.MULTILINE)
        await chat.pilot.press(*"empty conversation")
        assert re.search(
            r"^ +f9 +Begin an empty conversation  chat.new$", listed(chat), re.MULTILINE
        )
        assert "There is no" not in chat.text


async def test_a_name_that_is_no_binding_s_is_told(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(settings(), keys={"chat.nwe": "f6"})
    async with chatting(tmp_path, chosen=chosen) as chat:
        await chat.until_shown("there is no chat.nwe")
        await chat.ready()


def test_names_of_bindings_are_unique_within_their_section() -> None:
    assert unknown(REMAPPED) == []
    for cls in (ChatScreen, Composer, SessionList, Inspector, Transcript):
        named: dict[str, str] = {}
        for binding in Binding.make_bindings(cls.BINDINGS):
            if binding.id:
                assert named.setdefault(binding.id, binding.action) == binding.action
