"""Citations in an answer: each number is something to click, which opens its article."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.research.citations import places
from tui.transcript.look import CITE
from tui.transcript.text import Line, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CODE = frozenset(("code", "code-block"))


def with_citations(lines: Sequence[Line]) -> list[Line]:
    """The lines of an answer with its citations to be clicked."""
    shown: list[Line] = []
    first = 0
    for after in range(1, len(lines) + 1):
        if after == len(lines) or lines[after].joint is None:
            shown.extend(_cited(lines[first:after]))
            first = after
    return shown


def _cited(lines: Sequence[Line]) -> Iterator[Line]:
    """The rows of one line, which may be wrapped in the middle of a citation."""
    text = "".join(f"{line.joint or ''}{line.text}" for line in lines)
    marks = [
        # The brackets belong to what is clicked: a digit alone is hard to hit.
        (start - (text[start - 1] == "["), end + (text[end] == "]"), f"{CITE}{text[start:end]}")
        for start, end in places(text)
    ]
    at = 0
    for line in lines:
        at += len(line.joint or "")
        spans: list[Span] = []
        for span in line.spans:
            spans.extend(_parted(span, at, marks))
            at += len(span.text)
        yield line._replace(spans=tuple(spans))


def _parted(span: Span, at: int, marks: Sequence[tuple[int, int, str]]) -> Iterator[Span]:
    """A span that begins at a place of the text, in pieces where there are marks in it."""
    text, done = span.text, 0
    if not (span.link or _CODE.intersection(span.style)):
        for start, end, link in marks:
            start, end = max(0, start - at), min(len(text), end - at)
            if start >= end:
                continue
            if start > done:
                yield span._replace(text=text[done:start])
            yield Span(text[start:end], (*span.style, "link"), link)
            done = end
    if done < len(text) or not text:
        yield span._replace(text=text[done:])
