"""A text that streams in looks, at any moment, as if it had come at once."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tui.transcript.markdown_texts import chunked
from tui.transcript.document import FENCE_STEP, MarkdownDocument, PlainDocument
from tui.transcript.markdown import lay_out, markdown_lines


@settings(max_examples=400, deadline=None)
@given(chunks=chunked(), width=st.integers(16, 100))
@example(chunks=["1. a\n", "1. b\n", "1. c\n", "1. d"], width=40)
@example(chunks=["See [it].\n\nMore.\n\n", "Then more.\n\n", "[it]: https://it.org\n"], width=40)
@example(chunks=["[it]: https://it.org\n\nOne.\n\n", "Two.\n\n", "See [it].\n"], width=40)
@example(chunks=["One.\n\n# Two\n", "Three.\n\n", "- a\n\n", "- b\n", "# Four\n"], width=40)
@example(chunks=["- a\n", "\n2", ". b\n3", ". c\n"], width=40)
@example(chunks=["text\n| a |", "\n|", "---|\n| 1 |\n"], width=40)
@example(chunks=["> a\n", "b\n", "\nc\n-", "--\n"], width=40)
def test_markdown_in_chunks_looks_as_at_once_after_every_chunk(
    chunks: list[str], width: int
) -> None:
    growing = MarkdownDocument(width)
    so_far = ""
    for chunk in chunks:
        growing.feed(chunk)
        so_far += chunk
        assert list(growing.lines) == markdown_lines(so_far, width)


@settings(max_examples=200, deadline=None)
@given(chunks=chunked(), width=st.integers(16, 100))
def test_feed_tells_the_first_line_that_changed(chunks: list[str], width: int) -> None:
    growing = MarkdownDocument(width)
    for chunk in chunks:
        before = list(growing.lines)
        first = growing.feed(chunk)
        assert list(growing.lines)[:first] == before[:first]


@settings(max_examples=200, deadline=None)
@given(chunks=chunked(), width=st.integers(16, 100))
def test_plain_text_in_chunks_looks_as_at_once(chunks: list[str], width: int) -> None:
    growing = PlainDocument(width)
    for chunk in chunks:
        growing.feed(chunk)
    at_once = PlainDocument(width)
    at_once.feed("".join(chunks))
    assert list(growing.lines) == list(at_once.lines)


CODE = "\n\n".join(
    f'def function_{n}(value):\n    """What it does.\n\n    In detail."""\n    return value + {n}'
    for n in range(60)
)


@pytest.mark.parametrize(
    "end",
    [
        "",
        "\n```\n\nAnd then.",
        "\n```\n\n```sh\nls\n```\n\nAnd then.\nAnd there.\n\n- one\n- two\n",
    ],
    ids=["open", "closed", "more code"],
)
def test_a_long_code_block_is_settled_piece_by_piece_and_looks_the_same(end: str) -> None:
    text = f"Before.\n\n```python\n{CODE}{end}"
    growing = MarkdownDocument(80)
    chooser = random.Random(7)
    at = 0
    while at < len(text):
        size = chooser.randint(1, 40)
        growing.feed(text[at : at + size])
        at += size
    assert list(growing.lines) == markdown_lines(text, 80)


@pytest.mark.parametrize(
    "unit",
    [
        "A paragraph of some words, with **bold** ones among them.\n\n",
        "- an item of a list\n",
        "1. a numbered item\n\n   with a paragraph\n",
        "x = 1\n\n",
    ],
    ids=["paragraphs", "list", "numbered list", "code"],
)
def test_the_open_part_of_a_long_text_stays_short(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: list[int] = []

    def counting(source: str, *args: object, **kwargs: object) -> object:
        laid_out.append(len(source))
        return lay_out(source, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("tui.transcript.document.lay_out", counting)
    growing = MarkdownDocument(80)
    growing.feed("```python\n" if unit.startswith("x") else "")
    for _ in range(400):
        growing.feed(unit)
    longest = max(len(unit) * 3, FENCE_STEP * 2 * len(unit))
    assert max(laid_out[-50:]) <= longest
