"""Texts that are made to harm, for fuzzers: what to begin with, and how to put more together."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

CORPUS = {
    file.name: file.read_bytes().decode()
    for file in sorted((Path(__file__).parents[1] / "data" / "hostile").iterdir())
    if file.name != "README.md"
}
"""By the names of their files."""

OBEYED = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))} | set(
    "\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
"""What a terminal obeys, or what turns the direction of what follows."""

MARKS = "\u0301\u034f\u0489\u05b0\u0651\u0903\u0e31\u1161\u200b\u200c\u200d\u2060\ufe0f\U000e0041"

PIECES = [
    *("\x1b[2J", "\x1b]0;x\x07", "\x1b]52;c;QUFB\x1b\\\\", "\x9b31m", "\x90q", "\r", "\b"),
    *("\u202e", "\u2066", "\u2069", "\u200f", "\ud83d", "[bold]", "[/]", "`", "**", "```\n"),
    *("| a | b |\n|-|-|\n", "> ", "- ", "\n", "\t", "&#x1b;", "&#x301;" * 99, "<b>"),
    *("a", "word ", "汉字", "🎉", "👩\u200d👧", "https://a.org/\x1b"),
]

hostile = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.builds(str.__mul__, st.sampled_from(MARKS), st.integers(1, 3_000)),
        st.text(MARKS, max_size=200),
        st.text(max_size=20),
    ),
    max_size=30,
).map("".join)


@st.composite
def changed(draw: st.DrawFn) -> str:
    """Pieces of the corpus, cut and put together with others."""
    text = draw(st.sampled_from(sorted(CORPUS.values())))
    begin = draw(st.integers(0, max(0, len(text) - 1)))
    end = draw(st.integers(begin, len(text)))
    return draw(hostile) + text[begin:end] + draw(st.text(max_size=10))


def harmless(text: str) -> bool:
    """Whether nothing in a line of text is obeyed by a terminal."""
    return not OBEYED & set(text) and not any("\ud800" <= char <= "\udfff" for char in text)
