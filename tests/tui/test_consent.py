"""The consent dialog: the exact call is shown, and nothing runs that was not allowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from textual.widgets import Input

from engine.config import ToolSettings
from engine.consent import pending_calls
from engine.llm.base import Chunk
from storage.records import Role, ToolCall
from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import Chat, chatting, settings
from tui.screens.consent import ConsentScreen

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def reads(*names: str) -> Chunk:
    return Chunk(
        tool_calls=tuple(
            ToolCall(id=f"read-{name}", name="read_file", arguments={"path": name})
            for name in names
        )
    )


def able(*scripts: list[Any]) -> ScriptedBackend:
    backend = ScriptedBackend(*scripts)
    capabilities = frozenset({"chat", "tools"})
    backend.info = msgspec.structs.replace(
        INFO, parameters="1B", window=8192, capabilities=capabilities
    )
    return backend


def chosen(tmp_path: Path) -> Any:
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    (folder / "a.md").write_text("content of a")
    (folder / "b.md").write_text("content of b")
    return msgspec.structs.replace(settings(), tools=ToolSettings(folders=(str(folder),)))


async def asked(chat: Chat) -> ConsentScreen:
    """The dialog, once it is there and takes answers."""
    await chat.until(lambda: isinstance(chat.app.screen, ConsentScreen))
    screen = chat.app.screen
    assert isinstance(screen, ConsentScreen)
    await chat.until(lambda: screen._armed)
    return screen


async def results(chat: Chat) -> list[str]:
    return [m.content for m in await chat.messages() if m.role is Role.TOOL]


async def test_the_exact_call_is_shown_and_runs_when_it_is_allowed(tmp_path: Path) -> None:
    backend = able([reads("a.md")], ["It says: content of a."])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read a.md")
        await asked(chat)
        assert "read_file" in chat.text
        assert '"path": "a.md"' in chat.text
        assert await results(chat) == []
        await chat.pilot.press("y")
        await chat.until_shown("It says: content of a.")
        assert await results(chat) == ["content of a"]


async def test_a_denial_is_told_to_the_model_with_its_reason(tmp_path: Path) -> None:
    backend = able([reads("a.md")], ["All right."])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read a.md")
        screen = await asked(chat)
        await chat.pilot.press("n")
        await chat.until(lambda: screen.query_one(Input).has_focus)
        await chat.pilot.press(*"secret", "enter")
        await chat.until_shown("All right.")
        assert await results(chat) == ["The user did not allow this call: secret"]


async def test_each_of_two_calls_is_decided_on_its_own(tmp_path: Path) -> None:
    backend = able([reads("a.md", "b.md")], ["Done."])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read both")
        await asked(chat)
        assert "1 of 2" in chat.text
        await chat.pilot.press("y")
        await chat.until_shown("2 of 2")
        assert "b.md" in chat.text
        await chat.pilot.press("n", "enter")
        await chat.until_shown("Done.")
        assert await results(chat) == ["content of a", "The user did not allow this call."]


async def test_what_is_left_undecided_is_asked_again_when_the_program_starts_again(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, able([reads("a.md")]), chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read a.md")
        await asked(chat)
        session_id = chat.session_id
        assert session_id is not None
        await chat.pilot.press("escape")
        await chat.until(lambda: not isinstance(chat.app.screen, ConsentScreen))
        assert pending_calls(await chat.engine.library.session(session_id))
    async with chatting(tmp_path, able(["Read."]), chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        chat.screen.open(session_id)
        await asked(chat)
        await chat.pilot.press("y")
        await chat.until_shown("Read.")
        assert await results(chat) == ["content of a"]


async def test_what_is_put_off_is_told_and_can_be_decided_later(tmp_path: Path) -> None:
    backend = able([reads("a.md", "b.md")], ["Done."])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read both")
        await asked(chat)
        await chat.pilot.press("y")
        await chat.until_shown("2 of 2")
        await chat.pilot.press("escape")
        await chat.until_shown("1 tool call waits · /allow")
        assert await results(chat) == ["content of a"]
        # It was put off: nothing asks again of its own accord.
        assert not isinstance(chat.app.screen, ConsentScreen)
        await chat.say("/allow")
        await asked(chat)
        assert "b.md" in chat.text
        await chat.pilot.press("y")
        await chat.until_shown("Done.")
        assert await results(chat) == ["content of a", "content of b"]
        await chat.until(lambda: "/allow" not in chat.text)
        await chat.say("/allow")
        await chat.until_shown("No tool call waits")


async def test_keys_that_were_meant_for_the_composer_allow_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConsentScreen, "ARM_SECONDS", 3600.0)
    backend = able([reads("a.md")])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read a.md")
        await chat.until(lambda: isinstance(chat.app.screen, ConsentScreen))
        await chat.pilot.press("y", "a", "y")
        assert isinstance(chat.app.screen, ConsentScreen)
        assert await results(chat) == []


async def test_a_hostile_call_is_shown_as_text(tmp_path: Path) -> None:
    call = ToolCall(id="1", name="read_file", arguments={"path": "\x1b]52;c;aGk=\x07[bold]x"})
    backend = able([Chunk(tool_calls=(call,))])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read it")
        await asked(chat)
        assert "[bold]x" in chat.text
        assert "\x1b" not in chat.text


async def test_nothing_hides_in_what_is_agreed_to(tmp_path: Path) -> None:
    url = "https://ex\u0430mple.org/caf\u00e9?a\u200bb\u00a0c\u3164"
    call = ToolCall(id="1", name="fetch_page", arguments={"url": url})
    backend = able([Chunk(tool_calls=(call,))])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Fetch it")
        await asked(chat)
        assert "https://ex‹430›mple.org/café?a‹200B›b‹A0›c‹3164›" in chat.text
        assert "every fetch_page https://ex‹430›mple.org" in chat.text


async def test_a_question_that_waits_in_line_moves_behind_the_tools(tmp_path: Path) -> None:
    asks = Chunk(tool_calls=(ToolCall(id="1", name="calculator", arguments={"expression": "6*7"}),))
    release = asyncio.Event()
    backend = able([release, asks], ["It is 42."], ["Goodbye."])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("What is 6*7?")
        await chat.say("Bye!")
        await chat.until_shown("queued")
        assert chat.session_id is not None
        # A title that a person gave is not asked for, which would use up the script.
        await chat.engine.library.rename(chat.session_id, "Sums")
        release.set()
        await chat.until_shown("Goodbye.")
        assert [m.content for m in await chat.messages()] == [
            "What is 6*7?", "", "42", "It is 42.", "Bye!", "Goodbye.",
        ]  # fmt: skip
        await chat.until(lambda: in_order(chat, "What is 6*7?", "It is 42.", "Bye!", "Goodbye."))


def in_order(chat: Chat, *texts: str) -> bool:
    places = [chat.text.find(text) for text in texts]
    return -1 not in places and places == sorted(places)
