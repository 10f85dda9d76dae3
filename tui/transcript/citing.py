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
    return [line._replace(spans=tuple(_parted(line.spans))) for line in lines]


def _parted(spans: Sequence[Span]) -> Iterator[Span]:
    for span in spans:
        text, done = span.text, 0
        if span.link or _CODE.intersection(span.style):
            yield span
            continue
        for start, end in places(text):
            number = text[start:end]
            # The brackets belong to what is clicked: a digit alone is hard to hit.
            start -= text[start - 1] == "["
            end += text[end] == "]"
            if start > done:
                yield span._replace(text=text[done:start])
            yield Span(text[start:end], (*span.style, "link"), f"{CITE}{number}")
            done = end
        if done < len(text) or not text:
            yield span._replace(text=text[done:])
