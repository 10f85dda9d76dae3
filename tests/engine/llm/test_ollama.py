"""The Ollama backend against a real server: answers, thinking, tools, vectors and what is known."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import aclosing
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.config import OllamaSettings
from engine.llm.base import ChatMessage, ChatRequest, ModelError, Options, ToolSpec
from engine.llm.ollama import Ollama
from engine.llm.ollama_host import server_url
from storage.records import Role, ToolCall
from tests.engine.llm.ollama_requests import ENDLESS, answer, ask, text_of
from tests.ollama_server import CHAT_MODEL, CHAT_TEMPLATE, EMBEDDING_MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WEATHER = ToolSpec(
    name="weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)


@pytest.fixture
async def ollama(ollama_host: str) -> AsyncIterator[Ollama]:
    backend = Ollama(OllamaSettings(host=ollama_host))
    yield backend
    await backend.close()


@pytest.fixture
async def own_ollama(own_ollama_host: str) -> AsyncIterator[Ollama]:
    backend = Ollama(OllamaSettings(host=own_ollama_host))
    yield backend
    await backend.close()


@pytest.fixture
def thinking_model(own_ollama_host: str) -> str:
    """A model whose template says how thinking looks; it thinks when it starts with `The`."""
    name = "scrubjay-test-think"
    template = CHAT_TEMPLATE.replace(
        "{{ .Content }}", "{{ if .Thinking }}The{{ .Thinking }},{{ end }}{{ .Content }}"
    )
    make = {"model": name, "from": CHAT_MODEL, "template": template, "stream": False}
    with httpx.Client(base_url=server_url(own_ollama_host), trust_env=False, timeout=60) as http:
        http.post("/api/create", json=make).raise_for_status()
    return name


async def test_an_answer_streams_and_ends_with_its_usage(ollama: Ollama) -> None:
    chunks = await answer(ollama, ask("What is the capital of France?"))

    *pieces, last = chunks
    assert len(pieces) > 2
    assert "Paris" in text_of(chunks)
    assert last.done
    assert not any(piece.done or piece.usage for piece in pieces)
    usage = last.usage
    assert usage is not None
    assert usage.prompt_tokens
    assert usage.eval_tokens
    assert usage.total_seconds
    # Seconds, not the server's nanoseconds.
    assert usage.tokens_per_second
    assert 0.1 < usage.tokens_per_second < 10_000


async def test_the_longest_answer_is_what_was_asked_for(ollama: Ollama) -> None:
    chunks = await answer(ollama, ask("Count to one hundred.", max_tokens=5))

    assert chunks[-1].done_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.eval_tokens == 5


async def test_a_stop_word_ends_the_answer_before_it(ollama: Ollama) -> None:
    options = Options(max_tokens=12, temperature=0, stop=("Paris",))

    chunks = await answer(ollama, ask("What is the capital of France?", options=options))

    assert chunks[-1].done_reason == "stop"
    assert text_of(chunks)
    assert "Paris" not in text_of(chunks)


async def test_two_answers_stream_at_once(ollama: Ollama) -> None:
    answers = await asyncio.gather(
        answer(ollama, ask("Say hello.")), answer(ollama, ask("What is the capital of France?"))
    )

    assert all(text_of(chunks) and chunks[-1].done for chunks in answers)


async def test_closing_a_stream_stops_the_server(ollama: Ollama) -> None:
    # Answers that went on would hold every slot of the server for minutes.
    for _ in range(4):
        async with aclosing(ollama.chat(ask("Go on.", max_tokens=5000, schema=ENDLESS))) as chunks:
            assert not (await anext(chunks)).done

    async with asyncio.timeout(60):
        assert text_of(await answer(ollama, ask("Say hello.")))


async def test_cancelling_the_reader_stops_the_server(ollama: Ollama) -> None:
    async def read(started: asyncio.Event) -> None:
        async for _ in ollama.chat(ask("Go on.", max_tokens=5000, schema=ENDLESS)):
            started.set()

    for _ in range(4):
        started = asyncio.Event()
        reader = asyncio.create_task(read(started))
        await started.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    async with asyncio.timeout(60):
        assert text_of(await answer(ollama, ask("Say hello.")))


async def test_an_answer_fits_its_schema(ollama: Ollama) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "maxLength": 8}},
        "required": ["colour"],
    }

    chunks = await answer(ollama, ask("Name a colour.", max_tokens=40, schema=schema))

    assert isinstance(json.loads(text_of(chunks))["colour"], str)


async def test_a_tool_call_arrives_with_its_arguments(ollama: Ollama) -> None:
    # So small a model calls no tool of its own accord; the schema leaves it no other answer.
    schema = {
        "type": "object",
        "properties": {
            "name": {"const": "weather"},
            "arguments": {
                "type": "object",
                "properties": {"city": {"enum": ["Paris"]}},
                "required": ["city"],
            },
        },
        "required": ["name", "arguments"],
    }
    request = ask("The weather in Paris?", max_tokens=40, tools=(WEATHER,), schema=schema)

    chunks = await answer(ollama, request)

    (call,) = [call for chunk in chunks for call in chunk.tool_calls]
    assert (call.name, call.arguments) == ("weather", {"city": "Paris"})
    assert call.id
    assert text_of(chunks) == ""


async def test_tool_calls_and_their_results_reach_the_model(ollama: Ollama) -> None:
    call = ToolCall(id="call_1", name="weather", arguments={"city": "Paris", "unit": "celsius"})
    result = "Sunny, twenty degrees, a light wind from the west."
    conversation = (
        ChatMessage(role=Role.USER, content="The weather in Paris?"),
        ChatMessage(role=Role.ASSISTANT, content="", tool_calls=(call,)),
        ChatMessage(role=Role.TOOL, content=result, tool_call_id="call_1", tool_name="weather"),
    )

    async def prompt_tokens(messages: tuple[ChatMessage, ...]) -> int:
        request = ChatRequest(model=CHAT_MODEL, messages=messages, options=Options(max_tokens=1))
        usage = (await answer(ollama, request))[-1].usage
        assert usage is not None
        return usage.prompt_tokens or 0

    asked, called, returned = [await prompt_tokens(conversation[:end]) for end in (1, 2, 3)]

    # The words of the call and of the result are in the prompt, not only the messages' borders.
    assert called - asked > 15
    assert returned - called > 15


async def test_thinking_comes_apart_from_the_answer(
    own_ollama: Ollama, thinking_model: str
) -> None:
    question = "What is the capital of France? Answer in one sentence."
    request = ask(question, model=thinking_model, max_tokens=10, think=True)

    info = await own_ollama.describe(thinking_model)
    chunks = await answer(own_ollama, request)

    assert "thinking" in info.capabilities
    assert "Paris" in "".join(chunk.thinking for chunk in chunks)
    assert "Paris" not in text_of(chunks)


@pytest.mark.parametrize("think", [None, True, False, "high"])
async def test_a_model_that_cannot_think_answers_all_the_same(
    ollama: Ollama, think: bool | str | None
) -> None:
    for _ in range(2):
        chunks = await answer(ollama, ask("Say hello.", max_tokens=4, think=think))
        assert text_of(chunks)


async def test_a_thinking_model_thinks_where_the_server_knows_no_levels(
    own_ollama: Ollama, thinking_model: str
) -> None:
    question = "What is the capital of France? Answer in one sentence."
    request = ask(question, model=thinking_model, max_tokens=10, think="high")

    chunks = await answer(own_ollama, request)

    assert "Paris" in "".join(chunk.thinking for chunk in chunks)


async def test_texts_become_vectors_in_order(ollama: Ollama) -> None:
    cat, kitten, stocks = await ollama.embed(
        EMBEDDING_MODEL,
        ["The cat sat on the mat.", "A kitten lay on the rug.", "Stock prices fell sharply."],
    )

    assert len(cat) == len(kitten) == len(stocks) == 384
    assert _cosine(cat, kitten) > _cosine(cat, stocks)


async def test_more_texts_than_one_request_takes_keep_their_order(
    ollama: Ollama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.llm.ollama.EMBED_BATCH", 2)
    texts = ["one", "two", "three", "one", "two"]

    vectors = await ollama.embed(EMBEDDING_MODEL, texts)

    assert len(vectors) == 5
    assert _cosine(vectors[0], vectors[3]) > 0.99
    assert _cosine(vectors[1], vectors[4]) > 0.99
    assert _cosine(vectors[0], vectors[1]) < 0.95


async def test_no_texts_make_no_vectors(ollama: Ollama) -> None:
    assert await ollama.embed(EMBEDDING_MODEL, []) == []


async def test_models_are_listed_with_what_is_known_of_them(ollama: Ollama) -> None:
    await answer(ollama, ask("Say hello.", max_tokens=1))

    infos = {info.name: info for info in await ollama.models()}

    chat, embedding = infos[CHAT_MODEL], infos[f"{EMBEDDING_MODEL}:latest"]
    assert chat.ref == f"ollama:{CHAT_MODEL}"
    assert (chat.family, chat.parameters, chat.quantization) == ("llama", "135M", "Q4_1")
    assert chat.context_length == 8192
    assert chat.size_bytes is not None
    assert 90e6 < chat.size_bytes < 110e6
    assert chat.capabilities == {"chat", "tools"}
    assert chat.loaded
    assert embedding.capabilities == {"embedding"}
    assert embedding.context_length == 512
    assert embedding.window == 512, "a window is never wider than the model"


async def test_models_that_chat_come_first(ollama: Ollama) -> None:
    chats = ["chat" in info.capabilities for info in await ollama.models()]

    assert chats == sorted(chats, reverse=True)


async def test_a_model_is_described_by_the_name_it_was_asked_for(ollama: Ollama) -> None:
    info = await ollama.describe(EMBEDDING_MODEL)

    assert info.name == EMBEDDING_MODEL
    assert info.parameters == "22.6M"
    assert info.size_bytes


async def test_the_window_asked_for_is_the_one_that_the_model_runs_with(ollama: Ollama) -> None:
    long = ask("one two three four " * 30, options=Options(max_tokens=1, context_length=64))

    before = await ollama.describe(CHAT_MODEL)
    usage = (await answer(ollama, long))[-1].usage
    after = await ollama.describe(CHAT_MODEL)

    assert usage is not None
    assert usage.prompt_tokens == 64, "the server cuts a longer prompt, and says nothing"
    assert (before.window, after.window) == (4096, 64)
    assert after.context_length == 8192


async def test_a_model_leaves_memory_when_it_is_not_to_be_kept(ollama: Ollama) -> None:
    await answer(ollama, ask("Say hello.", max_tokens=1, keep_alive="0"))

    async with asyncio.timeout(30):
        while (await ollama.describe(CHAT_MODEL)).loaded:
            await asyncio.sleep(0.1)


async def test_token_estimates_become_the_servers_own_counts(ollama: Ollama) -> None:
    words = "The scrub jay hid an acorn under the third oak on Tuesday morning. "
    for length in (1, 3):
        await answer(ollama, ask(words * length, max_tokens=1))

    new = ask(words * 5, max_tokens=1)
    estimate = await ollama.count_tokens(new)
    usage = (await answer(ollama, new))[-1].usage

    assert not estimate.exact
    assert usage is not None
    assert usage.prompt_tokens
    assert abs(estimate.tokens - usage.prompt_tokens) <= 3


async def test_a_tokenizer_is_asked_for_once_and_kept_for_the_next_run(
    tmp_path: Path, ollama_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OllamaSettings(host=ollama_host)
    request = ask("12345, 如何煮米饭？")
    first = Ollama(settings, cache_dir=tmp_path)
    counted = await first.count_tokens(request)
    await first.close()
    (kept,) = (tmp_path / "vocabularies").iterdir()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr("engine.llm.ollama_tokenizer.httpx.post", refuse)
    second = Ollama(settings, cache_dir=tmp_path)
    assert await second.count_tokens(request) == counted
    await second.close()

    # Without it, a file that is damaged and a server that says no leave the estimate.
    kept.write_bytes(b"damaged")
    third = Ollama(settings, cache_dir=tmp_path)
    assert await third.count_tokens(request) != counted
    await third.close()


async def test_an_unknown_model_is_named_with_what_to_do(ollama: Ollama) -> None:
    failing = (
        answer(ollama, ask("Hello.", model="nobody/nothing")),
        ollama.describe("nobody/nothing"),
        ollama.embed("nobody/nothing", ["text"]),
    )
    for call in failing:
        with pytest.raises(ModelError, match="nobody/nothing") as raised:
            await call
        assert raised.value.kind == "model_missing"
        assert "ollama pull nobody/nothing" in raised.value.failure.next_step


async def test_a_model_that_only_embeds_says_that_it_cannot_chat(ollama: Ollama) -> None:
    with pytest.raises(ModelError, match="does not support chat") as raised:
        await answer(ollama, ask("Hello.", model=EMBEDDING_MODEL))

    assert raised.value.kind == "unsupported"


async def test_a_closed_backend_opens_again(ollama: Ollama) -> None:
    await ollama.models()
    await ollama.close()
    await ollama.close()

    assert await ollama.models()


def _cosine(one: list[float], other: list[float]) -> float:
    product = sum(x * y for x, y in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))
