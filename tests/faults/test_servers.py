"""Model servers on a bad day, in the app: what is said, what is kept, and one key to go on.

`tests/engine/llm` has what the backends make of more faults, and `tests/terminal` and
`tests/faults/test_kill.py` have real servers and processes that are killed.
"""

from __future__ import annotations

import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from engine import turn
from engine.config import MemorySettings, ModelSettings, OllamaSettings, Settings
from engine.llm.ollama import Ollama
from engine.llm.openai_compatible import OpenAICompatible
from storage.records import Finish
from tests.faults.model_servers import ENDLESS, HOLD, RESET, ModelServer, model_server
from tests.tui.chatting import Chat, chatting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.llm.base import Backend

SILENCE_SECONDS = 2.0
BEGUN = "So far, "


class Asked(NamedTuple):
    """An app, and the server that its model is on."""

    chat: Chat
    server: ModelServer

    async def fails(self, says: str, *, partial: str = "", kind: str = "") -> None:
        """Ask, and see: the reason with a next step, what had come, keys that work, a retry."""
        await self.chat.say("Are you there?")
        await self.chat.until(lambda: self.chat.text.count("You ·") == 1)
        self.chat.composer.put("")
        await self.chat.pilot.press("s", "t", "i", "l", "l")
        await self.chat.until(lambda: self.chat.composer.text == "still")
        await self.chat.until_shown("failed · ctrl+r answers again")
        answer = (await self.chat.messages())[-1]
        assert answer.finish is Finish.FAILED
        assert answer.content == partial
        assert answer.failure is not None
        assert says in answer.failure.message
        assert answer.failure.next_step.endswith(".")
        assert not kind or answer.failure.kind == kind
        shown = " ".join(self.chat.text.replace("│", " ").split())
        assert answer.failure.next_step.replace("`", "").split(".")[0][:60] in shown
        await self.goes_on()

    async def goes_on(self) -> None:
        """One key, and the server that is well again answers."""
        if self.server._server is None:
            await self.server.start()
        self.server.script = None
        await self.chat.pilot.press("ctrl+r")
        await self.chat.until_shown("Here I am.")
        assert self.chat.composer.text == "still"


@pytest.fixture(params=["ollama", "openai"])
async def asked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    async with _asked(tmp_path, request.param) as asked:
        yield asked


async def test_a_server_that_is_absent(asked: Asked) -> None:
    await asked.server.stop()
    await asked.fails("server at http://127.0.0.1", kind="unreachable")


async def test_a_server_that_is_slow_to_start(asked: Asked) -> None:
    asked.server.says(HOLD)
    await asked.chat.say("Are you there?")
    await asked.chat.until(lambda: asked.server.asked == 1)
    await asked.chat.pilot.press("s", "t", "i", "l", "l")
    await asked.chat.until(lambda: asked.chat.composer.text == "still")
    await asked.chat.pilot.press("escape")
    await asked.chat.until_shown("stopped")
    await asked.goes_on()


async def test_a_server_that_is_killed_mid_stream(asked: Asked) -> None:
    asked.server.says(asked.server.word(BEGUN), RESET)
    await asked.fails("broke off", partial=BEGUN)


async def test_a_server_that_falls_silent(asked: Asked) -> None:
    asked.server.says(asked.server.word(BEGUN), HOLD)
    await asked.fails("sent nothing for", partial=BEGUN, kind="silent")


async def test_a_server_that_answers_500(asked: Asked) -> None:
    asked.server.refuses(500, "the graphics card is gone")
    await asked.fails("the graphics card is gone", kind="server_error")


async def test_a_server_that_says_garbage(asked: Asked) -> None:
    asked.server.says(asked.server.word(BEGUN), asked.server.line + b"\xff\x00{nonsense\n\n")
    await asked.fails("127.0.0.1", partial=BEGUN, kind="bad_answer")


async def test_a_server_that_sends_half_a_line(asked: Asked) -> None:
    asked.server.says(asked.server.word(BEGUN), asked.server.word("and then")[:-9])
    await asked.fails("127.0.0.1", partial=BEGUN)


async def test_a_server_that_sends_a_huge_line(asked: Asked) -> None:
    asked.server.says(asked.server.word(BEGUN), *[b"x" * 2**20] * 20)
    await asked.fails("without", partial=BEGUN, kind="bad_answer")


async def test_a_server_that_refuses_at_endless_length(asked: Asked) -> None:
    asked.server.says(*[b"x\n" * 2**19] * 20, status=500)
    await asked.fails("without an end", kind="bad_answer")


async def test_a_server_that_nests_too_deep(asked: Asked) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    asked.server.says(asked.server.word(BEGUN), asked.server.line + deep + b"\n\n")
    await asked.fails("127.0.0.1", partial=BEGUN, kind="bad_answer")


async def test_a_server_that_packs_what_would_unpack_to_any_size(asked: Asked) -> None:
    head = b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    asked.server.script = [head + gzip.compress(b"0" * 50_000_000)]
    await asked.fails("packs what it sends", kind="bad_answer")


async def test_a_server_that_never_ends(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "LONGEST_ANSWER", 2_000)
    asked.server.says(asked.server.word(BEGUN), ENDLESS)
    await asked.chat.say("Are you there?")
    await asked.chat.until_shown("failed · ctrl+r answers again")
    answer = (await asked.chat.messages())[-1]
    assert answer.content.startswith(BEGUN)
    assert 2_000 < len(answer.content) < 3_000
    assert answer.failure is not None
    assert answer.failure.kind == "endless"
    asked.chat.composer.put("still")
    await asked.goes_on()


async def test_a_server_that_never_ends_is_stopped_by_a_key(asked: Asked) -> None:
    asked.server.says(asked.server.word(BEGUN), ENDLESS)
    await asked.chat.say("Are you there?")
    await asked.chat.until_shown("and so on")
    await asked.chat.pilot.press("s", "t", "i", "l", "l")
    await asked.chat.until(lambda: asked.chat.composer.text == "still")
    await asked.chat.pilot.press("escape")
    await asked.chat.until_shown("stopped · ctrl+r answers again")
    assert (await asked.chat.messages())[-1].content.startswith(BEGUN + "and so on")
    await asked.goes_on()


async def test_a_server_without_the_model(asked: Asked) -> None:
    asked.server.refuses(404, 'model "m" not found')
    await asked.fails("", kind="model_missing")


async def test_a_server_with_no_context_left(asked: Asked) -> None:
    asked.server.refuses(400, "this exceeds the maximum context length of 4096 tokens")
    await asked.fails("", kind="context_overflow")


async def test_a_server_out_of_memory(asked: Asked) -> None:
    asked.server.refuses(500, "cudaMalloc failed: out of memory")
    await asked.fails("memory", kind="out_of_memory")


@asynccontextmanager
async def _asked(folder: Path, dialect: str) -> AsyncIterator[Asked]:
    async with model_server(dialect) as server:
        address = f"127.0.0.1:{server.port}"
        backend: Backend
        if dialect == "ollama":
            host = OllamaSettings(host=address)
            backend = Ollama(host, {}, silence_seconds=SILENCE_SECONDS)
        else:
            backend = OpenAICompatible(f"http://{address}/v1", silence_seconds=SILENCE_SECONDS)
        chosen = Settings(
            model=ModelSettings(default=f"{dialect}:m"), memory=MemorySettings(extract=False)
        )
        async with chatting(folder, backend, chosen=chosen, size=(80, 30)) as chat:
            await chat.ready()
            yield Asked(chat, server)
