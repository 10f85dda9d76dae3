"""Token counts for models whose own tokenizer cannot be asked.

Text is counted with tiktoken and the vocabulary `o200k_base`, which ships with the program, so
counting needs neither a network nor a writable disk. Other models cut text differently; by how
much, `engine.context.calibration` learns from the figures that their servers return.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import threading
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from engine.llm.base import TokenCount

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tiktoken

    from engine.llm.base import ChatMessage, ChatRequest

VOCABULARY = "o200k_base.tiktoken.gz"
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of the unpacked file: the hash that tiktoken itself expects of `o200k_base`."""

MESSAGE_OVERHEAD = 4
"""Tokens that a chat template puts around a message: a start, the role, a line break, an end."""

ANSWER_OVERHEAD = 3
"""Tokens with which a template opens the answer."""

PIECE_CHARACTERS = 16_384
"""tiktoken's pattern recurses on white space and panics on runs of some 100,000 characters, and a
thread that encodes one piece lets others run before it takes the next."""

QUICK_CHARACTERS = 4_096
"""Text up to this long is counted in well under a millisecond: not worth a thread."""

# The pattern that cuts text into words before they are encoded; from tiktoken's
# `tiktoken_ext/openai_public.py` (MIT), where it can't be had without downloading the vocabulary.
_PATTERN = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


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


def count_request(request: ChatRequest) -> TokenCount:
    """The estimated number of tokens in a request's prompt: messages, tool calls and tools.

    A schema for the answer does not count: servers turn it into a grammar, not into prompt text.
    """
    tokens = ANSWER_OVERHEAD + sum(MESSAGE_OVERHEAD + _count_message(m) for m in request.messages)
    tokens += sum(count_text(msgspec.json.encode(tool).decode()) for tool in request.tools)
    return TokenCount(tokens, exact=False)


async def estimate_request(request: ChatRequest) -> TokenCount:
    """Like `count_request`, without holding up the event loop."""
    return await asyncio.to_thread(count_request, request)


def _count_message(message: ChatMessage) -> int:
    tokens = count_text(message.content) if message.tokens is None else message.tokens
    for call in message.tool_calls:
        tokens += count_text(call.name) + count_text(msgspec.json.encode(call.arguments).decode())
        tokens += MESSAGE_OVERHEAD
    if message.tool_name:
        tokens += count_text(message.tool_name)
    return tokens


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
        "o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    # Encoding works on a copy inside the library; these 200,000 entries are 22 MB for nothing.
    ranks.clear()
    return encoding
