"""A model's own tokenizer, rebuilt from what its file says: it cuts words as llama.cpp does."""

from __future__ import annotations

import msgspec
import pytest
import regex  # type: ignore[import-untyped]
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from engine.context.patterns import PATTERNS
from engine.context.tokens import Counter
from engine.context.vocabulary import Vocabulary, encoding_of
from engine.llm.base import ChatMessage, ChatRequest
from storage.records import Role

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
KANJI = "[一-龥\u3040-ゟ゠-ヿ]+"
PASSES = {
    "gpt-2": (GPT_2,),
    "smollm": (r"\p{N}", GPT_2),
    "deepseek-v3": (
        r"\p{N}{1,3}",
        KANJI,
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    "qwen2": (
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
}
"""The passes in which llama.cpp cuts, by the names of the patterns (`src/llama-vocab.cpp`)."""

ALPHABET = "ab  \n\r\t\u00a0\u3000'sS12٣½.,-/漢ゃーé\u0301🎉"

PRINTED = st.characters(exclude_categories=["C"])
"""Of control characters in a row, which no merge joins, a pattern may make one piece or several."""


def cut(text: str, passes: tuple[str, ...]) -> list[str]:
    """As llama.cpp does: each pass cuts every piece into what it matches and what lies between."""
    pieces = [text]
    for pattern in passes:
        finer = []
        for piece in pieces:
            end = 0
            for match in regex.finditer(pattern, piece):
                finer += [piece[end : match.start()], match[0]]
                end = match.end()
            finer.append(piece[end:])
        pieces = [piece for piece in finer if piece]
    return pieces


@pytest.mark.parametrize("name", PASSES)
@given(text=st.text(ALPHABET, max_size=30) | st.text(PRINTED, max_size=30))
def test_one_pattern_cuts_as_the_passes_do(name: str, text: str) -> None:
    assert regex.findall(PATTERNS[name], text) == cut(text, PASSES[name])


@given(text=st.text(ALPHABET, max_size=30) | st.text(max_size=30))
def test_no_pattern_loses_a_character(text: str) -> None:
    for pattern in set(PATTERNS.values()):
        assert "".join(regex.findall(pattern, text)) == text


def vocabulary(**changes: object) -> Vocabulary:
    """A small vocabulary as a server tells it; Ġ stands for a space."""
    facts = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": ["<|end|>", *"abĠ", "ab", "Ġab", "abab"],
        "token_type": [3, 1, 1, 1, 1, 1, 1],
        "merges": ["a b", "Ġ ab", "ab ab"],
    } | changes
    return msgspec.convert(
        {f"tokenizer.ggml.{key}": value for key, value in facts.items()}, Vocabulary
    )


def test_merges_are_made_in_their_order_and_special_tokens_are_one() -> None:
    encoding = encoding_of(vocabulary())
    assert encoding is not None
    assert [encoding.decode([n]) for n in encoding.encode_ordinary("abab ab ba")] == [
        "abab", " ab", " ", "b", "a",
    ]  # fmt: skip
    assert len(encoding.encode("ab<|end|>ab", allowed_special="all")) == 3


def test_every_byte_can_be_counted() -> None:
    encoding = encoding_of(vocabulary())
    assert encoding is not None
    assert len(encoding.encode_ordinary("漢é")) == 5


@pytest.mark.parametrize(
    "changes",
    [{"model": "llama"}, {"pre": "nobody's"}, {"merges": None}, {"merges": ["\u4e00 b"]}],
    ids=["another kind", "an unknown pattern", "no merges told", "not bytes"],
)
def test_what_is_not_known_is_left_to_the_estimate(changes: dict[str, object]) -> None:
    assert encoding_of(vocabulary(**changes)) is None


def test_a_word_of_the_vocabulary_is_one_token_where_merges_are_passed_over() -> None:
    tokens = [*"abĠ", "ab", "Ġab", "abab", "baba"]
    types = [1] * len(tokens)
    for pre, expected in (("gpt-2", 3), ("llama-bpe", 1)):
        encoding = encoding_of(vocabulary(pre=pre, tokens=tokens, token_type=types))
        assert encoding is not None
        assert len(encoding.encode_ordinary("baba")) == expected


def test_every_pattern_is_one_that_tiktoken_takes() -> None:
    for name in PATTERNS:
        encoding = encoding_of(vocabulary(pre=name))
        assert isinstance(encoding, tiktoken.Encoding)
        assert encoding.encode_ordinary("ab 12 漢\n")


@pytest.mark.parametrize("unit", ["a", " ", "\n", " \n", "\t ", "=", "1", "漢", "\ud800", "'s"])
def test_a_long_run_of_anything_is_counted_whatever_the_pattern(unit: str) -> None:
    text = (unit * 40_000)[:40_000]
    for name in {pattern: name for name, pattern in PATTERNS.items()}.values():
        counter = Counter(encoding_of(vocabulary(pre=name)))
        request = ChatRequest(model="m", messages=(ChatMessage(role=Role.USER, content=text),))
        assert 0 < counter.count(request).tokens <= 4 * len(text)
