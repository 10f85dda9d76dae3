"""Counting tokens: as tiktoken counts, without a network, and without holding anybody up."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import subprocess
import sys
import threading
from importlib import resources
from typing import TYPE_CHECKING

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from engine.context import tokens
from engine.context.tokens import (
    Counter,
    count,
    count_text,
    count_tokens,
    estimate,
)
from engine.llm.base import ChatMessage, ChatRequest, ToolSpec
from storage.records import Role, ToolCall

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "any:model"
PROSE = (
    "Scrub jays remember *what* they cached, *where*, and *when*: 1,024 acorns, it's said. "
    "Ζωή και γλώσσα; 漢字かな交じり文; naïve café 👩‍👩‍👧; "
    "def f(x):\n\treturn x ** 2  # square\r\n\r\n"
)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> tiktoken.Encoding:
    """tiktoken's own `o200k_base`, from a cache that holds the vocabulary under its own name."""
    cache: Path = tmp_path_factory.mktemp("tiktoken")
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    packed = resources.files("assets").joinpath("tokenizers", tokens.VOCABULARY).read_bytes()
    (cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(gzip.decompress(packed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        return tiktoken.get_encoding("o200k_base")


def test_text_is_counted_as_tiktoken_counts_it(official: tiktoken.Encoding) -> None:
    assert count_text(PROSE) == len(official.encode_ordinary(PROSE))


@given(st.text(max_size=200))
def test_any_text_is_counted_as_tiktoken_counts_it(official: tiktoken.Encoding, text: str) -> None:
    assert count_text(text) == len(official.encode_ordinary(text))


def test_long_text_is_counted_in_pieces_to_the_same_number(official: tiktoken.Encoding) -> None:
    text = "\n".join(f"Line {line}: it hid an acorn under an oak, again." for line in range(5_000))

    assert len(text) > 10 * tokens.PIECE_CHARACTERS
    assert count_text(text) == len(official.encode_ordinary(text))


def test_special_tokens_in_a_text_are_plain_words() -> None:
    assert count_text("<|endoftext|>") > 1


def test_no_text_is_no_tokens() -> None:
    assert count_text("") == 0


@pytest.mark.parametrize("unit", ["a", " ", "\n", "\t ", "=", "漢", "👩‍👩‍👧", "\ud800"])
async def test_a_paste_of_a_million_characters_is_counted(unit: str) -> None:
    text = (unit * 1_000_000)[:1_000_000]

    assert 0 < await count(text) <= 3 * len(text)


async def test_a_big_count_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    counted_by: list[threading.Thread] = []

    def note_the_thread(text: str) -> int:
        counted_by.append(threading.current_thread())
        return len(text)

    monkeypatch.setattr(tokens, "count_text", note_the_thread)
    await count("a" * 1_000_000)
    await estimate(_request("a" * 1_000_000), MODEL)

    assert counted_by
    assert threading.main_thread() not in counted_by


async def test_the_first_count_loads_the_vocabulary_once_and_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded_by: list[threading.Thread] = []
    load = tokens._load

    def note_the_thread() -> tiktoken.Encoding:
        loaded_by.append(threading.current_thread())
        return load()

    monkeypatch.setattr(tokens, "_load", note_the_thread)
    monkeypatch.setattr(tokens, "_loaded", None)

    assert await asyncio.gather(*(count("word") for _ in range(4))) == [1, 1, 1, 1]
    assert len(loaded_by) == 1
    assert loaded_by != [threading.main_thread()]


def test_counting_asks_no_network_and_writes_nothing() -> None:
    program = (
        "import os, sys, socket\n"
        "def refuse(event, arguments):\n"
        "    writes = event == 'open' and isinstance(arguments[2], int) and arguments[2] & 3\n"
        "    if event.startswith('socket.') or writes:\n"
        "        raise PermissionError(event, arguments)\n"
        "before = dict(os.environ)\n"
        "from engine.context.tokens import count_text\n"
        "sys.addaudithook(refuse)\n"
        "print(count_text('no network'), os.environ == before)\n"
    )

    result = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=True
    )

    assert result.stdout == "2 True\n"


def test_a_damaged_vocabulary_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VOCABULARY_SHA256", "0" * 64)

    with pytest.raises(RuntimeError, match="install scrubjay again"):
        tokens._load()


def test_a_request_counts_everything_that_reaches_the_model() -> None:
    bare = count_tokens(_request("Hello."), MODEL).tokens
    call = ToolCall(id="1", name="weather", arguments={"city": "Paris"})
    tool = ToolSpec(name="weather", description="The weather.", parameters={"type": "object"})
    talk = ChatMessage(role=Role.USER, content="Hello.")

    def tokens_with(**changes: object) -> int:
        fields = {"model": "m", "messages": (talk,)} | changes
        return count_tokens(ChatRequest(**fields), MODEL).tokens  # type: ignore[arg-type]

    calling = ChatMessage(role=Role.ASSISTANT, content="", tool_calls=(call,))
    assert bare > count_text("Hello.")
    assert tokens_with(messages=(talk, talk)) > bare + count_text("Hello.")
    assert tokens_with(messages=(talk, calling)) > bare + count_text('weather{"city":"Paris"}')
    assert tokens_with(tools=(tool,)) > bare + count_text("weather The weather. object")


def test_a_request_for_an_unknown_model_is_an_estimate() -> None:
    hello = _request("Hello.")
    assert not count_tokens(hello, MODEL).exact
    assert count_tokens(hello, MODEL) == count_tokens(hello, "openai:gpt-4o")


def test_a_model_is_counted_by_what_was_learnt_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_counters", {})
    counter = Counter()
    tokens.know(MODEL, counter)
    for length in (10, 40, 90):
        request = _request("word " * length)
        counter.learn(request, count_tokens(request, "any:other").tokens + 30)
    hello = _request("Hello.")
    usual = count_tokens(hello, "any:other").tokens
    assert count_tokens(hello, MODEL).tokens == pytest.approx(usual + 30, abs=2)


def test_counts_that_were_stored_are_those_of_no_model(official: tiktoken.Encoding) -> None:
    stored = ChatMessage(role=Role.USER, content="Hello.", tokens=500)
    request = ChatRequest(model="m", messages=(stored,))
    assert Counter().count(request).tokens > 500
    assert Counter(official).count(request).tokens < 20


def _request(text: str) -> ChatRequest:
    return ChatRequest(model="m", messages=(ChatMessage(role=Role.USER, content=text),))
