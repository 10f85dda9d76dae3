"""The OpenAI-compatible client against a real server: llama.cpp's, over TCP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import OpenAISettings
from engine.llm.base import ChatMessage, ChatRequest, Chunk, ModelError, Options
from engine.llm.catalog import DEFAULT
from engine.llm.embedded_child import HOST
from engine.llm.openai_compatible import OpenAICompatible
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

KEY = "the key of the test"
WINDOW = 1024


@pytest.fixture(scope="module")
def url(models_dir: Path) -> Iterator[str]:
    """A llama.cpp server's base URL."""
    command = [sys.executable, str(HOST), "--model", str(models_dir / f"{DEFAULT}.gguf")]
    command += ["--alias", DEFAULT, "--address", "127.0.0.1"]
    command += ["--context-length", str(WINDOW), "--threads", "1", "--batch-threads", "2"]
    environment = os.environ | {"SCRUBJAY_HOST_KEY": KEY, "OMP_WAIT_POLICY": "passive"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["address"] + "/v1"
        server.stdin.close()
        server.wait()


@pytest.fixture
async def backend(url: str) -> AsyncIterator[OpenAICompatible]:
    backend = OpenAICompatible(url, KEY)
    yield backend
    await backend.close()


def ask(text: str, **options: object) -> ChatRequest:
    settings = {"temperature": 0.0, "repeat_penalty": 1.1, "max_tokens": 60} | options
    return ChatRequest(
        model=DEFAULT,
        messages=(
            ChatMessage(role=Role.SYSTEM, content="Answer briefly."),
            ChatMessage(role=Role.USER, content=text),
        ),
        options=msgspec.convert(settings, Options),
    )


async def answer(backend: OpenAICompatible, request: ChatRequest) -> list[Chunk]:
    return [chunk async for chunk in backend.chat(request)]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_the_server_tells_of_its_model(backend: OpenAICompatible) -> None:
    assert await backend.answers(5)
    (info,) = await backend.models()
    assert info == await backend.describe(DEFAULT)
    assert info.ref == f"openai:{DEFAULT}"
    assert info.window == WINDOW
    assert info.context_length == 8192
    assert info.parameters == "135M"
    assert info.quantization == "Q4_1"


async def test_a_model_that_the_server_has_not_is_missing(backend: OpenAICompatible) -> None:
    with pytest.raises(ModelError, match="no model called nonsense") as missing:
        await backend.describe("nonsense")
    assert missing.value.kind == "model_missing"


async def test_an_answer_streams_with_its_usage(backend: OpenAICompatible) -> None:
    chunks = await answer(backend, ask("Name two birds."))
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    usage = chunks[-1].usage
    assert chunks[-1].done
    assert usage is not None
    assert usage.prompt_tokens == (await backend.count_tokens(ask("Name two birds."))).tokens
    assert usage.eval_tokens
    assert usage.prompt_seconds is not None
    assert usage.eval_seconds is not None
    assert usage.tokens_per_second


async def test_reading_the_prompt_shows_its_progress(backend: OpenAICompatible) -> None:
    chunks = await answer(backend, ask("word " * 700, max_tokens=1))
    shares = [chunk.read for chunk in chunks if chunk.read is not None]
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_the_same_seed_gives_the_same_answer(backend: OpenAICompatible) -> None:
    request = ask("Tell a story.", temperature=1.5, seed=7, max_tokens=24)
    other = ask("Tell a story.", temperature=1.5, seed=8, max_tokens=24)
    # The first answer warms the cache of the prompt, which changes the sums by a hair.
    await answer(backend, request)
    first = text_of(await answer(backend, request))
    assert text_of(await answer(backend, request)) == first
    assert text_of(await answer(backend, other)) != first


async def test_stop_words_and_limits_hold(backend: OpenAICompatible) -> None:
    whole = text_of(await answer(backend, ask("Count from one to ten.")))
    word = whole.split()[3]
    chunks = await answer(backend, ask("Count from one to ten.", stop=(word,)))
    assert word not in text_of(chunks)
    assert chunks[-1].done_reason == "stop"
    (*_, last) = await answer(backend, ask("Count from one to ten.", max_tokens=5))
    assert last.done_reason == "length"
    assert last.usage is not None
    assert last.usage.eval_tokens == 5


async def test_an_answer_fits_the_schema_that_it_was_given(backend: OpenAICompatible) -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["bird", "fish"]}, "legs": {"type": "integer"}},
        "required": ["kind", "legs"],
        "additionalProperties": False,
    }
    request = msgspec.structs.replace(ask("Describe a jay as JSON."), schema=schema)
    said = json.loads(text_of(await answer(backend, request)))
    assert said["kind"] in ("bird", "fish")
    assert isinstance(said["legs"], int)


async def test_closing_the_stream_frees_the_server(backend: OpenAICompatible) -> None:
    async with aclosing(backend.chat(ask("Tell a long story.", max_tokens=900))) as chunks:
        async for chunk in chunks:
            if chunk.text:
                break
    (*_, last) = await answer(backend, ask("Name two birds.", max_tokens=4))
    assert last.done


async def test_a_prompt_that_does_not_fit_is_told_with_both_figures(
    backend: OpenAICompatible,
) -> None:
    with pytest.raises(ModelError, match=f"window holds {WINDOW}") as overflow:
        await answer(backend, ask("word " * 2000))
    assert overflow.value.kind == "context_overflow"


async def test_a_server_without_embeddings_says_so(backend: OpenAICompatible) -> None:
    with pytest.raises(ModelError) as unsupported:
        await backend.embed(DEFAULT, ["a", "b"])
    assert unsupported.value.kind == "unsupported"
    assert await backend.embed(DEFAULT, []) == []


async def test_a_wrong_key_is_refused_and_not_repeated(url: str) -> None:
    backend = OpenAICompatible(url, "a wrong key")
    with pytest.raises(ModelError) as refused:
        await answer(backend, ask("Hello!"))
    await backend.close()
    assert refused.value.kind == "unauthorized"
    assert "a wrong key" not in str(refused.value)


async def test_the_key_comes_from_the_variable_that_the_settings_name(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER_KEY", KEY)
    settings = OpenAISettings(base_url=url, api_key_env="MY_SERVER_KEY")
    backend = OpenAICompatible.from_settings(settings)
    assert text_of(await answer(backend, ask("Name two birds.", max_tokens=4)))
    await backend.close()


async def test_a_proxy_is_not_asked_for_a_server_on_this_machine(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    backend = OpenAICompatible(url, KEY)
    assert await backend.answers(5)
    await backend.close()


async def test_a_dead_server_does_not_answer() -> None:
    backend = OpenAICompatible("http://127.0.0.1:9/v1")
    assert not await backend.answers(1)
    with pytest.raises(ModelError, match="does not answer") as dead:
        await answer(backend, ask("Hello!"))
    await backend.close()
    assert dead.value.kind == "unreachable"
    assert dead.value.failure.next_step
