"""Tool calls as they go: waiting for consent, running, done, denied; with how long they took."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from storage.records import Role
from tests.tui.chatting import chatting
from tests.tui.test_consent import able, asked, chosen, reads

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from engine.tools.registry import ToolContext, ToolResult
    from storage.records import ToolCall

LONG = 0.02
"""Seconds that the call takes at least."""


async def test_a_call_waits_runs_and_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    backend = able([reads("a.md", "b.md")], ["I have read a."])
    async with chatting(tmp_path, backend, chosen=chosen(tmp_path), size=(100, 30)) as chat:
        await chat.ready()
        run = type(chat.engine.tools).call

        async def slowly(tools: object, context: ToolContext, call: ToolCall) -> ToolResult:
            await go_on.wait()
            await asyncio.sleep(LONG)
            return await run(chat.engine.tools, context, call)

        monkeypatch.setattr(type(chat.engine.tools), "call", slowly)
        await chat.say("Read a.md and b.md")
        await asked(chat)
        await chat.pilot.press("y")
        await chat.until_shown("2 of 2")
        await chat.pilot.press("n", "enter")
        await chat.until_shown("⚙ read_file(path='a.md') · running")
        assert "⚙ read_file(path='b.md') · waits for consent" in chat.text
        go_on.set()
        await chat.until_shown("I have read a.")
        assert "▸ ⚙ read_file(path='a.md') · done · " in chat.text
        assert "▸ ⚙ read_file(path='b.md') · denied" in chat.text
        assert "content of a" not in chat.text
        [done, denied] = [m for m in await chat.messages() if m.role is Role.TOOL]
        assert done.finished_at is not None
        assert done.finished_at - done.created_at >= LONG
        assert denied.failure is not None
        assert denied.failure.kind == "denied"


async def test_a_call_that_waits_does_so_in_the_next_run(tmp_path: Path) -> None:
    async with chatting(tmp_path, able([reads("a.md")]), chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        await chat.say("Read a.md")
        await asked(chat)
        session_id = chat.session_id
    assert session_id
    async with chatting(tmp_path, able(["So."]), chosen=chosen(tmp_path)) as chat:
        await chat.ready()
        chat.screen.open(session_id)
        await asked(chat)
        await chat.pilot.press("escape")
        await chat.until_shown("⚙ read_file(path='a.md') · waits for consent")
        await chat.say("Never mind.")
        await chat.until_shown("▸ ⚙ read_file(path='a.md') · denied")
