"""A model's own tokenizer, rebuilt for tiktoken from what a GGUF file says of it.

Byte-level BPE is what most models use: the text is cut into words by a pattern, and in each word
the pair of neighbours that was merged earliest in training is merged, again and again. A file names
its pattern (`tokenizer.ggml.pre`) and lists its merges in order, which is all that tiktoken needs.
Other kinds of tokenizers, and patterns that are not known here, are left to the estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.context.patterns import PATTERNS, WHOLE_WORDS

if TYPE_CHECKING:
    import tiktoken

BYTE_LEVEL = "gpt2"
"""How files name byte-level BPE, whoever's it is."""

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Types of tokens in a GGUF file."""


class Vocabulary(msgspec.Struct, frozen=True, rename=lambda name: f"tokenizer.ggml.{name}"):
    """What a GGUF file says of its tokenizer.

    See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer.
    """

    model: str = ""
    pre: str = ""
    tokens: list[str] | None = None
    token_type: list[int] | None = None
    merges: list[str] | None = None


def encoding_of(vocabulary: Vocabulary) -> tiktoken.Encoding | None:
    """The tokenizer, ready to count; None when it is of a kind that is not known here.

    Takes about half a second for a large vocabulary.
    """
    import tiktoken

    pattern = PATTERNS.get(vocabulary.pre)
    tokens, merges = vocabulary.tokens or [], vocabulary.merges or []
    if vocabulary.model != BYTE_LEVEL or pattern is None or not merges:
        return None
    types = vocabulary.token_type or [NORMAL] * len(tokens)
    byte_of = _byte_of()

    def raw(text: str) -> bytes:
        return bytes(map(byte_of.__getitem__, text))

    ranks = {bytes([byte]): byte for byte in range(256)}
    try:
        for merge in merges:
            left, _, right = merge.partition(" ")
            ranks.setdefault(raw(left + right), len(ranks))
        if vocabulary.pre in WHOLE_WORDS:
            for token, kind in zip(tokens, types, strict=False):
                if kind == NORMAL:
                    ranks.setdefault(raw(token), len(ranks))
    except KeyError:
        return None  # a character that stands for no byte: this is not byte-level after all
    special = {
        token: len(ranks) + n
        for n, (token, kind) in enumerate(zip(tokens, types, strict=False))
        if kind in (CONTROL, USER_DEFINED) and token
    }
    return tiktoken.Encoding(
        vocabulary.pre, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special
    )


def _byte_of() -> dict[str, int]:
    """The byte that a character of a vocabulary stands for.

    GPT-2's files write printable bytes of Latin-1 as themselves, and the others, in order, as the
    characters from 256 on: https://github.com/openai/gpt-2/blob/master/src/encoder.py.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + n): byte for n, byte in enumerate(others)
    }
