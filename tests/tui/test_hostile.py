"""Whatever is named, said or answered to do harm is text on the screen, wherever it is shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.widgets import Input

from engine.config import MemorySettings, ModelSettings, Settings, ToolSettings
from engine.llm.base import Chunk, ModelError
from storage.records import Role, TitleOrigin, ToolCall
from tests.fuzz.texts import OBEYED
from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import Chat, chatting
from tui.widgets.inspector import Inspector

if TYPE_CHECKING:
    from pathlib import Path

EVIL = (
    "\x1b]52;c;QUFB\x07\x1b]0;owned\x07\x1b[2J\x9b31m[bold]b[/bold][/nothing] \u202eesrever\u202c"
    "\u2066 e" + "\u0301" * 99 + "\u200b" * 99 + "\r\b\x7f"
)
NAME = "bird" + EVIL


async def harmless(chat: Chat, shows: str = "bird") -> None:
    """The screen shows it, with its markup, and with nothing that a terminal would obey."""
    await chat.until_shown(shows)
    await chat.pilot.pause()
    for row in chat.text.split("\n"):
        assert not OBEYED & set(row), row
        assert "\u0301" * 30 not in row


async def test_everything_that_can_be_named(tmp_path: Path) -> None:
    call = ToolCall(id="1", name="read_file", arguments={"path": NAME})
    backend = ScriptedBackend(
        ["An answer. " + NAME, Chunk(thinking=NAME)],
        [Chunk(tool_calls=(call,))],
        [ModelError("server_error", "The server said: " + NAME, "Retry. " + NAME)],
    )
    backend.info = msgspec.structs.replace(
        INFO, name=NAME, note=NAME, family=NAME, parameters="8B", window=8192,
        capabilities=frozenset({"chat", "tools"}),
    )  # fmt: skip
    settings = Settings(
        model=ModelSettings(default=f"scripted:{NAME}"),
        memory=MemorySettings(recall=True, extract=False),
        tools=ToolSettings(folders=(str(tmp_path),)),
    )
    async with chatting(tmp_path, backend, chosen=settings, size=(200, 50)) as chat:
        await chat.ready()
        # Titles would ask the model for more than the scripts foresee.
        chat.engine._afterwards.begin = lambda turn: None  # type: ignore[method-assign]
        await harmless(chat)
        await chat.say("What is this? " + NAME)
        await harmless(chat, "An answer.")
        assert chat.session_id is not None
        await chat.engine.library.rename(chat.session_id, NAME, TitleOrigin.USER)
        await chat.engine.library.tag(chat.session_id, NAME[:20])
        await harmless(chat)
        await chat.engine.memory.remember("My name is " + NAME)
        for tab in ("Tokens", "Memory", "Research", "Request", "Workers"):
            chat.screen.query_one(Inspector).tab = tab
            await harmless(chat, tab)
        await chat.say("Read it")
        await harmless(chat, "allow once")
        await chat.pilot.press("escape")
        await chat.pilot.press("ctrl+t")
        await harmless(chat, "bird")
        await chat.pilot.press("escape")
        for keys in ("f2", "ctrl+f"):
            await chat.pilot.press(keys)
            field = chat.app.focused
            assert isinstance(field, Input)
            field.value = NAME[:40]
            await harmless(chat, "bird")
            assert field.value == NAME[:40]
            await chat.pilot.press("escape")
        await chat.say("And now?")
        await harmless(chat, "The server said: bird")
        await chat.screen.action_export(f"markdown /nonexistent/{NAME}")
        await harmless(chat, "nonexistent")
        chat.screen.action_privacy()
        await harmless(chat, "What leaves this computer")


async def test_names_of_files_that_are_completed_and_attached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    name = "bird\x1b]0;x\x07[bold]\u202eevil\x7f.md"
    (place / name).write_text("The text. " + EVIL)
    monkeypatch.chdir(place)
    async with chatting(tmp_path / "home") as chat:
        await chat.ready()
        await chat.pilot.press(*"see @bi")
        await chat.until_shown("evil")
        await harmless(chat)
        await chat.pilot.press("tab")
        await harmless(chat)
        await chat.pilot.press("enter")
        await chat.until_shown("The text.")
        await harmless(chat)


@pytest.mark.parametrize("megabytes", [1])
async def test_an_answer_of_one_long_line_leaves_keys_alive(tmp_path: Path, megabytes: int) -> None:
    never = asyncio.Event()
    line = "x" * (megabytes * 1_000_000)
    table = "|" * 2_000 + "\n" + "|-" * 2_000 + "\n" + "|x\n" * 1_000
    backend = ScriptedBackend([line, "\n\n", table, "\n\n", "> " * 5_000, "deep", never])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("Say it")
        await chat.until_shown("deep")
        await chat.pilot.press(*"alive")
        await chat.until(lambda: chat.composer.text == "alive")
        await chat.pilot.press("escape")
        await chat.until_shown("stopped")
        assert (await chat.messages())[-1].role is Role.ASSISTANT
