"""Pinned messages: shown as such, kept across runs, and before the model when the rest is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Role
from tests.engine.support import running_engine
from tests.scripted import ScriptedBackend
from tests.tui.chatting import chatting, keep_talk

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

SECRET = "The code of the door is 7315."
LONG = "Birds sing in the morning. " * 60


def shown(backend: ScriptedBackend) -> list[str]:
    """What the model was last shown."""
    return [message.content for message in backend.requests[-1].messages]


async def long_talk(engine: Engine) -> str:
    """A conversation that does not fit the window, and begins with the secret."""
    session = await keep_talk(engine, "Birds", SECRET, "I see.", *[LONG, "Yes."] * 12)
    return session.id


async def test_a_pinned_message_reaches_the_model_when_the_conversation_is_cut(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend(["No idea."])
    async with running_engine(tmp_path, backend) as engine:
        session_id = await long_talk(engine)
        await (await engine.send(session_id, "What is the code?")).wait()
        assert SECRET not in shown(backend)
        [first, *_] = await engine.library.page(session_id, 0, 1)
        assert await engine.library.pin(first)
    backend = ScriptedBackend(["7315."])
    async with running_engine(tmp_path, backend) as engine:  # another run
        turn = await engine.send(session_id, "And now?")
        await turn.wait()
        assert shown(backend).count(SECRET) == 1
        assert turn.packed is not None
        [pinned] = [s for s in turn.packed.segments if s.name == "pinned"]
        assert pinned.items == 1
        assert not await engine.library.pin(first)
        await (await engine.send(session_id, "And now?")).wait()
        assert SECRET not in shown(backend)


async def test_a_pinned_message_that_is_shown_anyway_is_not_shown_twice(tmp_path: Path) -> None:
    backend = ScriptedBackend(["Hello."])
    async with running_engine(tmp_path, backend) as engine:
        session = await keep_talk(engine, "Short", SECRET, "I see.")
        for message in await engine.library.page(session.id, 0, 2):
            await engine.library.pin(message)
        await (await engine.send(session.id, "Hi")).wait()
        assert shown(backend)[1:] == [SECRET, "I see.", "Hi"]


async def test_what_is_no_longer_shown_is_not_pinned_either(tmp_path: Path) -> None:
    backend = ScriptedBackend(["first answer"], ["second answer"], ["third answer"])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "Q")
        await turn.wait()
        await engine.library.pin(turn.answer)
        again = await engine.retry(turn.session_id)
        assert again is not None
        await again.wait()
        await (await engine.send(turn.session_id, "More?")).wait()
        assert "first answer" not in shown(backend)
        assert "second answer" in shown(backend)


async def test_p_pins_the_message_under_the_cursor_and_the_mark_is_there_next_time(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=(100, 30)) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "Door", SECRET, "I see.")
        chat.screen.open(session.id)
        await chat.until_shown("I see.")
        chat.transcript.focus()
        await chat.pilot.press("[", "[", "p")
        await chat.until_shown(" · pinned")
        pinned = next(row for row in chat.text.splitlines() if " · pinned" in row)
        assert "You" in pinned
    async with chatting(tmp_path, size=(100, 30)) as chat:
        await chat.ready()
        chat.screen.open(session.id)
        await chat.until_shown(" · pinned")
        chat.transcript.focus()
        await chat.pilot.press("[", "[", "p")
        await chat.until(lambda: " · pinned" not in chat.text)


async def test_the_command_pins_the_last_message(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(100, 30)) as chat:
        await chat.ready()
        await chat.say("/pin")
        await chat.until_shown("nothing to pin")
        session = await keep_talk(chat.engine, "Door", SECRET, "I see.")
        chat.screen.open(session.id)
        await chat.until_shown("I see.")
        await chat.say("/pin")
        await chat.until_shown(" · pinned")
        [answer] = [m for m in await chat.messages() if m.role is Role.ASSISTANT]
        kept = await chat.engine.library.session(session.id)
        assert kept.state["pinned"] == [answer.id]
