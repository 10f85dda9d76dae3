"""What the OpenAI-compatible client makes of servers that misbehave, and of other dialects."""

from __future__ import annotations

import contextlib
import json
import sys
from contextlib import aclosing
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import OpenAISettings
from engine.llm.base import ChatMessage, ChatRequest, Chunk, ModelError, Options, ToolSpec
from engine.llm.openai_answer import Answer
from engine.llm.openai_compatible import OpenAICompatible, find_api_key
from engine.llm.openai_wire import Event
from engine.llm.sse import EventDecoder, EventTooLongError
from storage.records import Role, ToolCall, Usage
from tests.engine.llm.scripted_server import DONE, ScriptedServer, answer, event, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REQUEST = ChatRequest(model="m", messages=(ChatMessage(role=Role.USER, content="Hello!"),))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


@pytest.fixture
async def backend(server: ScriptedServer) -> AsyncIterator[OpenAICompatible]:
    backend = OpenAICompatible(server.url, "key", silence_seconds=1)
    yield backend
    await backend.close()


async def chat(backend: OpenAICompatible, request: ChatRequest = REQUEST) -> list[Chunk]:
    return [chunk async for chunk in backend.chat(request)]


async def chat_until_error(backend: OpenAICompatible) -> tuple[str, ModelError]:
    said = ""
    try:
        async for chunk in backend.chat(REQUEST):
            said += chunk.text
    except ModelError as error:
        return said, error
    raise AssertionError("the answer did not fail")


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


WORDS = "Grüße, 世界 🦜!"
STREAM = (
    b": a comment\r\n\r\n"
    + event({"role": "assistant", "content": ""})
    + b"event: message\nid: 7\n"
    + b"".join(event({"content": word + " "}) for word in WORDS.split())
    + event(finish="stop")
    + DONE
)


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    decoder = EventDecoder()
    borders = pairwise([0, *sorted(cuts), len(STREAM)])
    data = [data for begin, end in borders for data in decoder.feed(STREAM[begin:end])]
    assert data[-1] == "[DONE]"
    deltas = [json.loads(each)["choices"][0]["delta"] for each in data[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas).split() == WORDS.split()


@pytest.mark.parametrize("piece", [b"x" * 2**20, b"data: " + b"x" * 2**20 + b"\n"])
def test_an_event_without_end_is_given_up(piece: bytes) -> None:
    decoder = EventDecoder()
    for _ in range(15):
        assert decoder.feed(piece) == []
    with pytest.raises(EventTooLongError):
        [decoder.feed(piece) for _ in range(2)]


async def test_a_long_line_is_read(server: ScriptedServer, backend: OpenAICompatible) -> None:
    server.streams(event({"content": "x" * 3_000_000}), event(finish="stop"), DONE)
    assert len(text_of(await chat(backend))) == 3_000_000


async def test_bytes_that_come_one_by_one_make_whole_characters(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    server.streams(*(STREAM[at : at + 1] for at in range(len(STREAM))))
    assert text_of(await chat(backend)).split() == WORDS.split()


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {nonsense\n\n",
        b'data: {"choices": "none"}\n\n',
        b"data: \xff\xfe\n\n",
        b'data: [{"choices": []}]\n\n',
    ],
)
async def test_garbage_ends_the_answer_and_keeps_what_had_come(
    server: ScriptedServer, backend: OpenAICompatible, garbage: bytes
) -> None:
    server.streams(event({"content": "so far"}), garbage, DONE)
    said, error = await chat_until_error(backend)
    assert said == "so far"
    assert error.kind == "bad_answer"
    assert error.failure.next_step


async def test_an_error_in_mid_stream_is_the_server_s(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    failed = {"error": {"message": "the graphics card is gone", "code": 500}}
    server.streams(event({"content": "so far"}), b"data: " + json.dumps(failed).encode() + b"\n\n")
    said, error = await chat_until_error(backend)
    assert said == "so far"
    assert error.kind == "server_error"
    assert "the graphics card is gone" in str(error)


NAMES = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "reasoning",
        "tool_calls",
        "index",
        "id",
        "function",
        "name",
        "arguments",
        "code",
        "type",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "timings",
        "prompt_progress",
        "total",
        "processed",
        "error",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
)


@given(st.lists(st.dictionaries(NAMES, VALUES)))
def test_whatever_json_comes_the_answer_fails_only_as_answers_do(events: list[object]) -> None:
    answer = Answer("The server")
    with contextlib.suppress(msgspec.DecodeError, ModelError):
        for each in events:
            answer.take(msgspec.json.decode(json.dumps(each), type=Event))
        answer.end()


@pytest.mark.parametrize(
    "oddity",
    [{"choices": None}, {"choices": [{"delta": None}]}, {"error": None, "usage": None}, {}],
)
async def test_empty_events_pass(
    server: ScriptedServer, backend: OpenAICompatible, oddity: dict[str, object]
) -> None:
    odd = b"data: " + json.dumps(oddity).encode() + b"\n\n"
    server.streams(odd, event({"content": "yes"}), odd, event(finish="stop"), DONE)
    assert text_of(await chat(backend)) == "yes"


@pytest.mark.parametrize("end", [b"", b'data: {"choi', b"data: "])
async def test_a_connection_that_breaks_is_told(
    server: ScriptedServer, backend: OpenAICompatible, end: bytes
) -> None:
    server.streams(event({"content": "so far"}), end)
    said, error = await chat_until_error(backend)
    assert said == "so far"
    assert error.kind == "disconnected"


async def test_a_body_shorter_than_promised_is_a_lost_connection(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
    server.scripts["/v1/chat/completions"] = [head, event({"content": "so far"})]
    said, error = await chat_until_error(backend)
    assert said == "so far"
    assert error.kind == "disconnected"


async def test_an_answer_may_end_without_its_last_mark(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    server.streams(event({"content": "all"}), event(finish="length"))
    chunks = await chat(backend)
    assert text_of(chunks) == "all"
    assert chunks[-1].done_reason == "length"


async def test_comments_do_not_pass_for_life(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    server.streams(event({"content": "so far"}), *((b": still here\n\n", 0.2) * 20))
    said, error = await chat_until_error(backend)
    assert said == "so far"
    assert error.kind == "silent"


async def test_closing_the_stream_closes_the_connection(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    server.streams(event({"content": "so far"}), None)
    async with aclosing(backend.chat(REQUEST)) as chunks:
        async for chunk in chunks:
            assert chunk.text == "so far"
            break
    # The server's end of it is noticed when it serves the next request.
    assert await backend.answers(1)
    assert server.left == ["/v1/chat/completions"]


async def test_the_key_is_not_carried_to_where_a_redirect_points(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    async with scripted() as elsewhere:
        moved = answer("", status=307, extra=f"Location: {elsewhere.url}/chat/completions\r\n")
        server.scripts["/v1/chat/completions"] = [moved]
        _, error = await chat_until_error(backend)
        assert error.kind == "moved"
        assert elsewhere.requests == []
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer key"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, '{"error": {"message": "no such model"}}', "model_missing"),
        (429, '{"error": {"message": "slow down"}}', "rate_limited"),
        (500, "<html>oh no</html>", "server_error"),
        (503, '{"error": {"message": "Loading model", "code": 503}}', "busy"),
        (400, '{"error": {"message": "x", "code": "context_length_exceeded"}}', "context_overflow"),
        (
            400,
            '{"object": "error", "message": "This model\'s maximum context length is 10 tokens"}',
            "context_overflow",
        ),
        (400, '{"error": "temperature must be positive"}', "refused"),
        (400, '{"error": {"message": "cannot identify image file"}}', "unreadable_image"),
        (500, '{"error": {"message": "Failed to load image or audio file"}}', "unreadable_image"),
        (501, '{"error": {"message": "image input is not supported"}}', "unsupported"),
        (400, "", "refused"),
    ],
)
async def test_a_refusal_is_told_by_its_kind(
    server: ScriptedServer, backend: OpenAICompatible, status: int, body: str, kind: str
) -> None:
    server.scripts["/v1/chat/completions"] = [answer(body, status=status)]
    _, error = await chat_until_error(backend)
    assert error.kind == kind
    assert error.failure.next_step


async def test_a_web_page_is_no_model_list(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    server.scripts["/v1/models"] = [answer("<!DOCTYPE html>", kind="text/html")]
    assert not await backend.answers(1)
    with pytest.raises(ModelError, match="not a chat answer") as wrong:
        await backend.models()
    assert wrong.value.kind == "bad_answer"


async def test_a_server_without_a_model_list_can_be_asked(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    del server.scripts["/v1/models"]
    server.streams(event({"content": "yes"}), event(finish="stop"), DONE)
    assert (await backend.describe("m")).ref == "openai:m"
    assert text_of(await chat(backend)) == "yes"


async def test_a_server_that_can_t_stream_is_understood(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    message = {"role": "assistant", "content": "all at once"}
    whole = {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3},
    }
    server.scripts["/v1/chat/completions"] = [answer(json.dumps(whole))]
    chunks = await chat(backend)
    assert text_of(chunks) == "all at once"
    assert chunks[-1].usage == Usage(prompt_tokens=3)


async def test_tool_calls_are_put_together_from_their_pieces(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    def piece(index: int, **parts: object) -> bytes:
        return event({"tool_calls": [{"index": index, **parts}]})

    server.streams(
        piece(0, id="a", function={"name": "weather", "arguments": ""}),
        piece(0, function={"arguments": '{"city": "Li'}),
        piece(1, id="b", function={"name": "time", "arguments": "{}"}),
        piece(0, function={"arguments": 'ma"}'}),
        event(finish="tool_calls"),
        DONE,
    )
    chunks = await chat(backend)
    calls = [call for chunk in chunks for call in chunk.tool_calls]
    assert calls == [
        ToolCall(id="a", name="weather", arguments={"city": "Lima"}),
        ToolCall(id="b", name="time", arguments={}),
    ]
    assert chunks[-1].done_reason == "tool_calls"


@pytest.mark.parametrize("arguments", ['{"city": ', '["Lima"]', '"Lima"'])
async def test_a_tool_call_whose_arguments_are_no_object_fails(
    server: ScriptedServer, backend: OpenAICompatible, arguments: str
) -> None:
    call = {"index": 0, "id": "a", "function": {"name": "weather", "arguments": arguments}}
    server.streams(event({"tool_calls": [call]}), event(finish="tool_calls"), DONE)
    _, error = await chat_until_error(backend)
    assert error.kind == "bad_answer"
    assert "weather" in str(error)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thinking_is_told_from_the_answer(
    server: ScriptedServer, backend: OpenAICompatible, field: str
) -> None:
    server.streams(event({field: "hm"}), event({"content": "yes"}), event(finish="stop"), DONE)
    chunks = await chat(backend)
    assert "".join(chunk.thinking for chunk in chunks) == "hm"
    assert text_of(chunks) == "yes"


@pytest.mark.parametrize(
    ("owner", "own", "foreign"),
    [
        ("llamacpp", {"repeat_penalty", "return_progress"}, {"repetition_penalty"}),
        ("vllm", {"repetition_penalty"}, {"repeat_penalty", "return_progress"}),
        ("somebody", set(), {"repeat_penalty", "repetition_penalty", "return_progress"}),
    ],
)
async def test_each_server_is_sent_only_what_it_knows(
    server: ScriptedServer,
    backend: OpenAICompatible,
    owner: str,
    own: set[str],
    foreign: set[str],
) -> None:
    server.lists("m", owner=owner)
    server.streams(event(finish="stop"), DONE)
    await chat(backend, msgspec.structs.replace(REQUEST, options=Options(repeat_penalty=1.1)))
    sent = set(server.requests[-1].json)
    assert own <= sent
    assert not foreign & sent
    assert {"model", "messages", "stream", "stream_options"} <= sent


async def test_the_keyring_is_asked_when_the_environment_has_no_key(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KeyringError(Exception):
        pass

    def get_password(service: str, user: str) -> str:
        if user != server.url:
            raise KeyringError
        return f"the {service} key"

    # A stand-in: a keyring is a service of a desktop, and its package an extra.
    errors = SimpleNamespace(KeyringError=KeyringError)
    monkeypatch.setitem(
        sys.modules, "keyring", SimpleNamespace(get_password=get_password, errors=errors)
    )
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    backend = OpenAICompatible.from_settings(OpenAISettings(base_url=server.url))
    assert await backend.answers(5)
    await backend.close()
    assert server.requests[-1].headers["authorization"] == "Bearer the scrubjay key"
    assert find_api_key(OpenAISettings(base_url="http://locked.example/v1")) is None


async def test_without_a_key_none_is_sent(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    backend = OpenAICompatible.from_settings(OpenAISettings(base_url=server.url))
    assert await backend.answers(5)
    await backend.close()
    assert "authorization" not in server.requests[-1].headers


@pytest.mark.parametrize(
    ("told", "tools", "calls"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"supported_parameters": ["temperature", "tools"]}, False, True),
        ({"supported_parameters": ["temperature"]}, False, False),
    ],
)
async def test_whether_its_models_call_tools_is_said_by_the_server_or_the_settings(
    server: ScriptedServer, told: dict[str, object], tools: bool, calls: bool
) -> None:
    server.scripts["/v1/models"] = [answer(json.dumps({"data": [{"id": "m", **told}]}))]
    settings = OpenAISettings(base_url=server.url, tools=tools)
    backend = OpenAICompatible.from_settings(settings)
    try:
        info = await backend.describe("m")
    finally:
        await backend.close()
    assert ("tools" in info.capabilities) is calls


async def test_a_tool_s_result_goes_back_with_its_call(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    server.streams(event(finish="stop"), DONE)
    call = ToolCall(id="a", name="weather", arguments={"city": "Lima"})
    result = ChatMessage(role=Role.TOOL, content="18 °C", tool_call_id="a", tool_name="weather")
    asked = ChatMessage(role=Role.ASSISTANT, content="", tool_calls=(call,))
    tool = ToolSpec(name="weather", description="The weather.", parameters={"type": "object"})
    await chat(
        backend,
        msgspec.structs.replace(
            REQUEST, messages=(*REQUEST.messages, asked, result), tools=(tool,)
        ),
    )
    sent = server.requests[-1].json
    assert json.loads(sent["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {
        "city": "Lima"
    }
    assert sent["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "18 °C"}
    assert sent["tools"][0]["function"]["name"] == "weather"


async def test_counts_of_other_servers_are_estimates(backend: OpenAICompatible) -> None:
    count = await backend.count_tokens(REQUEST)
    assert not count.exact
    assert count.tokens > 1


async def test_vectors_come_in_the_order_of_the_texts(
    server: ScriptedServer, backend: OpenAICompatible
) -> None:
    vectors = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    server.scripts["/v1/embeddings"] = [answer(json.dumps({"data": vectors}))]
    assert await backend.embed("m", ["a", "b"]) == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(ModelError, match="asked for 3 vectors and sent 2"):
        await backend.embed("m", ["a", "b", "c"])
