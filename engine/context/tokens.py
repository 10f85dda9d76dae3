"""Token counts of texts and of whole prompts, for models that can't be asked for them.

Text is counted with tiktoken: with the model's own vocabulary where that has been made known, else
with `o200k_base`, which ships with the program, so counting needs neither a network nor a writable
disk. What a model's template adds, and how an unknown tokenizer differs, is learnt from the figures
that its server returns; see `engine.context.calibration`.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from engine.context.calibration import Calibration, shape_of
from engine.context.patterns import PATTERNS
from engine.llm.base import TokenCount

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tiktoken

    from engine.context.calibration import Shape
    from engine.llm.base import ChatMessage, ChatRequest

VOCABULARY = "o200k_base.tiktoken.gz"
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of the unpacked file: the hash that tiktoken itself expects of `o200k_base`."""

PIECE_CHARACTERS = 16_384
"""tiktoken's pattern recurses on white space and panics on runs of some 100,000 characters, and a
thread that encodes one piece lets others run before it takes the next."""

QUICK_CHARACTERS = 4_096
"""Text up to this long is counted in well under a millisecond: not worth a thread."""

REMEMBERED = 1_024
"""Texts whose counts by a model's own tokenizer are kept: those in the window, as a rule."""


def count_text(text: str) -> int:
    """The number of `o200k_base` tokens in a text; special tokens count as the words they are.

    The first call loads the vocabulary, which takes about a quarter of a second.
    """
    encoding = _encoding()
    return sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


async def count(text: str) -> int:
    """Like `count_text`, without holding up the event loop."""
    if _loaded is not None and len(text) <= QUICK_CHARACTERS:
        return count_text(text)
    return await asyncio.to_thread(count_text, text)


class Counter:
    """Counts the prompts of one model, and learns from what its server counted."""

    def __init__(self, encoding: tiktoken.Encoding | None = None) -> None:
        """Args:
        encoding: The model's own tokenizer. None, where it is not known, stands for `o200k_base`.
        """
        self._encoding = encoding
        self._calibration = Calibration(own_tokenizer=encoding is not None)
        self._remembered = lru_cache(REMEMBERED)(self._count)

    def count(self, request: ChatRequest) -> TokenCount:
        """The tokens of a request's prompt. Never exact: templates are known by their cost only.

        A schema for the answer does not count: servers turn it into a grammar, not into text.
        """
        text = self._calibration.apply(self._shape(request))
        return TokenCount(text + request.image_tokens, exact=False)

    def learn(self, request: ChatRequest, returned: int) -> None:
        """Take in what the server counted for a request."""
        self._calibration.learn(self._shape(request), returned)

    def _shape(self, request: ChatRequest) -> Shape:
        text = sum(self._content(message) for message in request.messages)
        calls = [call for message in request.messages for call in message.tool_calls]
        text += sum(self._text(call.name) + self._text(_json(call.arguments)) for call in calls)
        text += sum(self._text(m.tool_name) for m in request.messages if m.tool_name)
        tools = sum(self._text(_json(tool)) for tool in request.tools)
        return shape_of(request, text, tools, tokenizer_known=self._encoding is not None)

    def _content(self, message: ChatMessage) -> int:
        if self._encoding is None and message.tokens is not None:
            return message.tokens
        return self._text(message.content)

    def _text(self, text: str) -> int:
        if self._encoding is None:
            return count_text(text)
        return (self._remembered if len(text) <= QUICK_CHARACTERS else self._count)(text)

    def _count(self, text: str) -> int:
        assert self._encoding is not None
        # Servers read the special tokens in a text as such.
        return sum(
            len(self._encoding.encode(piece, allowed_special="all")) for piece in _pieces(text)
        )


_counters: dict[str, Counter] = {}


def know(model_id: str, counter: Counter) -> None:
    """Have a model's prompts counted by `counter` from now on."""
    _counters[model_id] = counter


def count_tokens(request: ChatRequest, model_id: str) -> TokenCount:
    """The tokens of a request's prompt: messages, tool calls, tools, and what surrounds them.

    Args:
        request: What the model is asked.
        model_id: The model as `provider:name`. One that nothing is known of is counted with
            `o200k_base`, and with what templates cost as a rule.

    Returns:
        An estimate. Backends whose runtime has the tokenizer and the template at hand count
        exactly; see `engine.llm.base.Backend.count_tokens`.
    """
    return _counters.get(model_id, _UNKNOWN).count(request)


async def estimate(request: ChatRequest, model_id: str) -> TokenCount:
    """Like `count_tokens`, without holding up the event loop."""
    return await asyncio.to_thread(count_tokens, request, model_id)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = start + PIECE_CHARACTERS
        # A word takes the space before it into its token: a cut before a space changes no count.
        space = text.rfind(" ", end - 256, end)
        yield text[start : (end := space if space > start else end)]
        start = end
    yield text[start:]


_loaded: tiktoken.Encoding | None = None
_loading = threading.Lock()


def _encoding() -> tiktoken.Encoding:
    global _loaded
    with _loading:
        if _loaded is None:
            _loaded = _load()
        return _loaded


def _load() -> tiktoken.Encoding:
    import base64
    import gzip
    from importlib import resources

    import tiktoken

    packed = resources.files("assets").joinpath("tokenizers", VOCABULARY).read_bytes()
    unpacked = gzip.decompress(packed)
    if hashlib.sha256(unpacked).hexdigest() != VOCABULARY_SHA256:
        raise RuntimeError(f"assets/tokenizers/{VOCABULARY} is damaged; install scrubjay again")
    ranks = {
        base64.b64decode(token): int(rank)
        for token, _, rank in (line.partition(b" ") for line in unpacked.splitlines())
    }
    encoding = tiktoken.Encoding(
        "o200k_base", pat_str=PATTERNS["gpt-4o"], mergeable_ranks=ranks, special_tokens={}
    )
    # Encoding works on a copy inside the library; these 200,000 entries are 22 MB for nothing.
    ranks.clear()
    return encoding


_UNKNOWN = Counter()
