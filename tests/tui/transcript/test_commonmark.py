"""What is shown of Markdown is what an independent, much simpler reading of the parser says.

The corpus are the examples of the CommonMark specification, and texts of random pieces.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.tui.transcript.conversations import TranscriptApp, streaming
from tests.tui.transcript.markdown_texts import PIECES, chunked
from tui.harmless import visible
from tui.transcript.document import MarkdownDocument
from tui.transcript.markdown import DEEPEST, markdown_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.token import Token
    from textual.geometry import Region

    from storage.records import Message
    from tui.transcript.text import Line

FILE = Path(__file__).parents[2] / "data" / "commonmark" / "examples.json"
EXAMPLES: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
SECTIONS = sorted({example["section"] for example in EXAMPLES})
DECORATION = {"bullet", "task-done", "code-label"}
STRAY_JOINERS = re.compile("\u200d")
"""They are dropped where they join nothing."""

WIDTHS = st.integers(20, 200)
PIECES_OF_LINES = [piece for piece in PIECES if "|" not in piece]
texts_without_tables = st.lists(st.sampled_from(PIECES_OF_LINES), max_size=30).map("".join)


def expected(source: str) -> list[str]:
    """The lines of a text as the parser's tokens have them, one after the other.

    It knows nothing of blocks inside others, of widths and of styles. Tables are not for it, nor is
    what is nested so deep that it is shown as it was written.
    """
    lines: list[str] = []
    tokens = parser().parse(visible(source))
    for at, token in enumerate(tokens):
        if token.type in ("fence", "code_block"):
            lines.extend(token.content.split("\n"))
        elif token.type == "hr":
            lines.append("─")
        elif token.type == "inline":
            text = "".join(map(words_of, token.children or []))
            openers = [before.type for before in tokens[max(0, at - 2) : at]]
            if openers == ["list_item_open", "paragraph_open"]:
                text = re.sub(r"^\[[ xX]\][ \t]+(?=\S)", "", text)
            lines.extend(text.split("\n"))
    return without_spaces(lines)


def is_too_deep(source: str) -> bool:
    """Whether a text is nested too deep to be laid out."""
    tokens = parser().parse(visible(source))
    return max((token.level for token in tokens), default=0) >= DEEPEST - 1


def parser() -> MarkdownIt:
    """CommonMark with what else is understood."""
    made = MarkdownIt("commonmark", {"html": False, "linkify": True, "maxNesting": DEEPEST})
    made.enable(["table", "strikethrough", "linkify"]).disable(["html_block", "html_inline"])
    assert made.linkify is not None
    made.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    return made


def words_of(token: Token) -> str:
    """What an inline token says."""
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return f"▣ {token.content or 'image'}" if token.type == "image" else token.content


def shown(lines: Iterable[Line]) -> list[str]:
    """The lines without decoration, those that were wrapped joined again."""
    found: list[str] = []
    for line in lines:
        spans = [span for span in line.spans if not DECORATION.intersection(span.style)]
        text = "".join(span.text for span in spans)
        if any("rule" in span.style for span in line.lead):
            found.append("─")
        elif line.joint is None:
            found.append(text)
        else:
            found[-1] += line.joint + text
    return without_spaces(found)


def without_spaces(lines: Iterable[str]) -> list[str]:
    """The lines that say something, white space brought to one kind."""
    return [said for line in lines if (said := " ".join(STRAY_JOINERS.sub("", line).split()))]


def of_section(section: str) -> list[str]:
    """The Markdown of a section's examples."""
    return [example["markdown"] for example in EXAMPLES if example["section"] == section]


def test_the_corpus_is_the_whole_specification() -> None:
    assert [example["number"] for example in EXAMPLES] == list(range(1, 653))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_line_of_an_example_is_what_the_parser_says(section: str) -> None:
    for source in of_section(section):
        for width in (20, 33, 80, 200):
            assert shown(markdown_lines(source, width)) == expected(source), (source, width)


@settings(max_examples=300, deadline=None)
@given(examples=st.lists(st.sampled_from(EXAMPLES), max_size=6), width=WIDTHS)
def test_examples_one_after_the_other_show_what_the_parser_says(
    examples: list[dict[str, Any]], width: int
) -> None:
    source = "\n".join(example["markdown"] for example in examples)
    assume(not is_too_deep(source))
    assert shown(markdown_lines(source, width)) == expected(source)


@settings(max_examples=300, deadline=None)
@given(source=texts_without_tables, width=WIDTHS)
def test_every_line_of_random_text_is_what_the_parser_says(source: str, width: int) -> None:
    assume(not is_too_deep(source))
    assert shown(markdown_lines(source, width)) == expected(source)


@settings(max_examples=150, deadline=None)
@given(
    chunks=chunked(st.sampled_from(EXAMPLES).map(lambda example: str(example["markdown"]))),
    width=WIDTHS,
)
def test_examples_in_chunks_end_as_at_once(chunks: list[str], width: int) -> None:
    growing = MarkdownDocument(width)
    for chunk in chunks:
        growing.feed(chunk)
    assert list(growing.lines) == markdown_lines("".join(chunks), width)


async def test_what_streams_in_is_drawn_in_the_very_strips_of_what_is_there_at_once() -> None:
    chooser = random.Random(7)
    app = TranscriptApp([])
    async with app.run_test(size=(100, 120)):
        transcript = app.transcript

        async def opened(content: str) -> None:
            answer = msgspec.structs.replace(streaming(0), content=content)

            async def load(start: int, stop: int) -> list[Message]:
                return [answer]

            await transcript.open(1, load)

        for section in SECTIONS:
            source = "\n\n".join(of_section(section))[:3_000]
            await opened("")
            at = 0
            while at < len(source):
                size = chooser.randint(1, 60)
                transcript.feed(streaming(0).id, source[at : at + size])
                transcript._show_news()
                at += size
            in_chunks = [transcript.render_line(y) for y in range(120)]
            await opened(source)
            assert [transcript.render_line(y) for y in range(120)] == in_chunks, section
            assert any("┃" in strip.text or "│" in strip.text for strip in in_chunks)


async def test_rows_that_change_while_an_answer_streams_are_drawn_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chooser = random.Random(3)
    source = "\n\n".join(example["markdown"] for example in EXAMPLES[::9])
    app = TranscriptApp([])
    async with app.run_test(size=(60, 30)):
        transcript = app.transcript
        transcript.append(streaming(0))
        drawn: set[int] = set()

        def noted(*regions: Region, **_: object) -> None:
            for region in regions:
                drawn.update(range(region.y, region.bottom))

        monkeypatch.setattr(transcript, "refresh", noted)
        at = 0
        while at < len(source):
            before = [transcript.render_line(y) for y in range(30)]
            drawn.clear()
            size = chooser.randint(1, 80)
            transcript.feed(streaming(0).id, source[at : at + size])
            transcript._show_news()
            at += size
            after = [transcript.render_line(y) for y in range(30)]
            changed = {y for y in range(30) if before[y] != after[y]}
            assert changed <= drawn, source[at - size : at]
