"""What the Ollama backend makes of a server that goes away, breaks, or is none."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine.config import OllamaSettings
from engine.llm.base import ModelError
from engine.llm.ollama import Ollama
from tests.engine.llm.ollama_requests import ENDLESS, answer, ask, text_of
from tests.ollama_server import EMBEDDING_MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.ollama_server import OllamaServer

ENDLESS_ANSWER = ask("Go on.", max_tokens=5000, schema=ENDLESS)


@pytest.fixture
async def ollama(ollama_server: OllamaServer) -> AsyncIterator[Ollama]:
    backend = Ollama(OllamaSettings(host=ollama_server.host))
    yield backend
    await backend.close()


async def test_a_server_killed_mid_answer_is_an_error_and_found_again_when_it_is_back(
    ollama: Ollama, ollama_server: OllamaServer
) -> None:
    received = ""

    async def read_and_kill() -> None:
        nonlocal received
        async for chunk in ollama.chat(ENDLESS_ANSWER):
            received += chunk.text
            if len(received) > 5:
                ollama_server.kill()

    with pytest.raises(ModelError) as raised:
        await read_and_kill()
    assert raised.value.kind == "disconnected"
    assert ollama_server.host in str(raised.value)
    assert raised.value.failure.next_step
    assert len(received) > 5, "what had come before the end was handed out"

    with pytest.raises(ModelError) as raised:
        await answer(ollama, ask("Say hello."))
    assert raised.value.kind == "unreachable"

    ollama_server.start()
    assert text_of(await answer(ollama, ask("Say hello.")))


async def test_a_model_killed_mid_answer_is_loaded_again_by_the_next_question(
    ollama: Ollama, ollama_server: OllamaServer
) -> None:
    async def read_and_kill() -> None:
        async for _ in ollama.chat(ENDLESS_ANSWER):
            ollama_server.kill_runners()

    with pytest.raises(ModelError) as raised:
        await read_and_kill()
    assert raised.value.kind == "crashed"
    assert "Retry" in raised.value.failure.next_step
    assert text_of(await answer(ollama, ask("Say hello.")))


async def test_a_server_that_was_restarted_between_two_questions_is_not_noticed(
    ollama: Ollama, ollama_server: OllamaServer
) -> None:
    before = await ollama.models()
    ollama_server.stop()
    ollama_server.start()

    assert await ollama.models() == before
    assert text_of(await answer(ollama, ask("Say hello.")))


async def test_a_stopped_server_is_unreachable_whatever_is_asked(
    ollama: Ollama, ollama_server: OllamaServer
) -> None:
    assert await ollama.answers(5.0)
    ollama_server.stop()

    assert not await ollama.answers(5.0)
    failing = (
        ollama.models(),
        ollama.describe("some-model"),
        ollama.embed(EMBEDDING_MODEL, ["text"]),
        answer(ollama, ask("Say hello.")),
    )
    for call in failing:
        with pytest.raises(ModelError) as raised:
            await call
        assert raised.value.kind == "unreachable"
        assert "ollama serve" in raised.value.failure.next_step


# Stand-ins from here on, for what this server can't be made to say: it has a single small model,
# no users, no rivals for its memory, and only one version.

PART = b'{"message": {"role": "assistant", "content": "Hello"}, "done": false}\n'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>welcome</html>\n", "bad_answer"),
        (200, b"[]\n", "bad_answer"),
        (200, b'{"answer": 42}\n', "bad_answer"),
        (200, b"\xff\xfe\n", "bad_answer"),
        (200, PART + b'{"mess', "bad_answer"),
        (200, PART, "disconnected"),
        (200, b"", "disconnected"),
        (200, PART + b'{"error": "an error was encountered while running"}\n', "server_error"),
        (404, b"404 page not found", "bad_answer"),
        (404, b"[]", "bad_answer"),
        (404, b'{"error": "model \'m\' not found"}', "model_missing"),
        (500, b"<html>Internal Server Error</html>", "bad_answer"),
        (500, b'{"error": "something else"}', "server_error"),
        (
            500,
            b'{"error": "model requires more system memory (5.5 GiB) than is available (3 GiB)"}',
            "out_of_memory",
        ),
        (
            500,
            b'{"error": "llama runner process has terminated: cudaMalloc failed: out of memory"}',
            "out_of_memory",
        ),
        (500, b'{"error": "llama runner process has terminated: exit status 2"}', "crashed"),
        (400, b'{"error": "the input length exceeds the context length"}', "context_overflow"),
        (400, b'{"error": "registry.ollama.ai/m does not support tools"}', "unsupported"),
        (400, b'{"error": "invalid options"}', "refused"),
        (401, b'{"error": "unauthorized"}', "unauthorized"),
        (503, b'{"error": "server busy, please try again"}', "busy"),
    ],
)
async def test_what_the_server_says_becomes_a_failure_with_a_next_step(
    status: int, body: bytes, kind: str
) -> None:
    async with _stand_in(lambda _: (status, body)) as (ollama, _):
        with pytest.raises(ModelError) as raised:
            await answer(ollama, ask("Hello.", model="m"))

    assert raised.value.kind == kind
    assert raised.value.failure.next_step.endswith(".")


async def test_one_damaged_model_does_not_hide_the_others() -> None:
    def reply(request: dict[str, Any]) -> tuple[int, bytes]:
        match request["path"], request["body"].get("model"):
            case "/api/tags", _:
                return 200, b'{"models": [{"model": "whole:1b"}, {"model": "damaged:1b"}]}'
            case "/api/ps", _:
                return 200, b'{"models": []}'
            case _, "whole:1b":
                return 200, b'{"model_info": {}, "capabilities": ["completion"]}'
            case _:
                return 500, b'{"error": "unexpected end of JSON input"}'

    async with _stand_in(reply) as (ollama, _):
        whole, damaged = await ollama.models()

    assert (whole.name, whole.note) == ("whole:1b", "")
    assert damaged.name == "damaged:1b"
    assert "unexpected end" in damaged.note


async def test_thinking_is_not_asked_for_again_of_a_model_that_cannot() -> None:
    def reply(request: dict[str, Any]) -> tuple[int, bytes]:
        if request["body"].get("think"):
            return 400, b'{"error": "\\"m\\" does not support thinking"}'
        return 200, PART + b'{"message": {"role": "assistant"}, "done": true}\n'

    async with _stand_in(reply) as (ollama, requests):
        for _ in range(2):
            assert text_of(await answer(ollama, ask("Hello.", model="m", think=True))) == "Hello"

    assert [request["body"].get("think") for request in requests] == [True, None, None]


async def test_seconds_and_forever_are_sent_as_numbers_and_durations_as_text() -> None:
    def reply(request: dict[str, Any]) -> tuple[int, bytes]:
        return 200, b'{"message": {"role": "assistant"}, "done": true}\n'

    async with _stand_in(reply) as (ollama, requests):
        for keep_alive in (None, "-1", "300", "1h"):
            await answer(ollama, ask("Hello.", model="m", keep_alive=keep_alive))

    assert [request["body"]["keep_alive"] for request in requests] == ["10m", -1, 300, "1h"]


@asynccontextmanager
async def _stand_in(
    reply: Callable[[dict[str, Any]], tuple[int, bytes]],
) -> AsyncIterator[tuple[Ollama, list[dict[str, Any]]]]:
    """A backend, and the requests that its stand-in server got and replied to."""
    requests: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        requests.append({"path": head.split()[1], "body": json.loads(body or b"{}")})
        status, content = reply(requests[-1])
        writer.write(b"HTTP/1.1 %d X\r\nConnection: close\r\n\r\n%b" % (status, content))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        ollama = Ollama(OllamaSettings(host=f"{host}:{port}"))
        try:
            yield ollama, requests
        finally:
            await ollama.close()
