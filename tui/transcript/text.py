"""Text as it is shown: made harmless, styled in spans, and wrapped by terminal cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rich.cells import cell_len, split_graphemes

from engine.late import late

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Style: TypeAlias = tuple[str, ...]
"""Names of styles, the later over the earlier. `Palette` turns them into colours."""

TAB = 4
"""Cells from one tab stop to the next."""

# It joins nothing, not across a change of style either, but makes the text measure shorter.
_STRAY_JOINER = late(r"(?<![^\x00-\x7f\u200d])\u200d+|\u200d+(?![^\x00-\x7f\u200d])")


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: Style = ()
    link: str = ""


class Line(NamedTuple):
    """One row of the screen: what can be selected, and what only decorates it."""

    spans: tuple[Span, ...]
    lead: tuple[Span, ...] = ()
    """Bars and indentation on the left, which are never copied."""

    fill: Style = ()
    """The style of the rest of the row."""

    joint: str | None = None
    """What stood where this row was wrapped off the one above; None where a new line begins."""

    @property
    def text(self) -> str:
        """What is selected and copied."""
        return "".join(span.text for span in self.spans)

    def led_by(self, span: Span) -> Line:
        """The same line with a decoration on its left."""
        return self._replace(lead=(span, *self.lead))


# A place to wrap is after spaces and around ideographs, which are written without them; closing
# punctuation stays with what it closes.
_IDEOGRAPH = (
    "\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60"
)
_CLOSING = "、。，．・：；？！」』）】〕〉》〟ー…,.:;?!)\\]}"
_UNITS = late(rf"[{_IDEOGRAPH}][{_CLOSING}]*|[^\s{_IDEOGRAPH}]+|\s+")


def wrap(text: str, width: int) -> list[tuple[int, int]]:
    """Where to cut one line of `text` so that every piece fits into `width` cells.

    Returns the start and end of each piece. What lies between two pieces is the white space
    at which they were parted.
    """
    if (len(text) if text.isascii() else cell_len(text)) <= width:
        return [(0, len(text))]
    pieces: list[tuple[int, int]] = []
    start = end = used = 0
    for unit in _UNITS.finditer(text):
        word = unit[0]
        size = len(word) if word.isascii() else cell_len(word)
        if used + size <= width:
            used += size
            if not word.isspace():
                end = unit.end()
            continue
        if word.isspace():
            # White space that does not fit ends the piece and vanishes in the joint.
            if end > start:
                pieces.append((start, end))
            start = end = unit.end()
            used = 0
            continue
        if end > start:
            pieces.append((start, end))
        start, used = unit.start(), 0
        if size > width:
            *full, (start, end) = _chop(word, unit.start(), width)
            pieces.extend(full)
            used = cell_len(text[start:end])
        else:
            used = size
        end = unit.end()
    if end > start:
        pieces.append((start, end))
    return pieces or [(0, 0)]


def _chop(word: str, offset: int, width: int) -> list[tuple[int, int]]:
    """Cut a word that is wider than a row between its characters as a reader sees them."""
    if word.isascii():
        last = len(word)
        return [(offset + at, offset + min(at + width, last)) for at in range(0, last, width)]
    pieces = []
    start = used = 0
    for begin, _, size in split_graphemes(word)[0]:
        if used + size > width and begin > start:
            pieces.append((offset + start, offset + begin))
            start, used = begin, 0
        used += size
    pieces.append((offset + start, offset + len(word)))
    return pieces


def wrap_spans(spans: Iterable[Span], width: int) -> list[Line]:
    """Lay out styled text; a newline in a span begins a new line."""
    width = max(2, width)  # a wide character must fit
    lines: list[Line] = []
    for paragraph in _split_lines(spans):
        text = "".join([span.text for span in paragraph])
        pieces = wrap(text, width)
        if len(pieces) == 1 and pieces[0] == (0, len(text)):
            lines.append(Line(tuple(paragraph)))
            continue
        before: int | None = None
        for (start, end), piece in zip(pieces, cut(paragraph, pieces), strict=True):
            joint = None if before is None else text[before:start]
            lines.append(Line(piece, joint=joint))
            before = end
    return lines


def _split_lines(spans: Iterable[Span]) -> Iterator[list[Span]]:
    line: list[Span] = []
    for span in spans:
        if "\u200d" in span.text:
            span = span._replace(text=_STRAY_JOINER.sub("", span.text))
        first, *others = span.text.split("\n")
        if first:
            line.append(span._replace(text=first) if others else span)
        for text in others:
            yield _without_tabs(line)
            line = [span._replace(text=text)] if text else []
    yield _without_tabs(line)


def _without_tabs(line: list[Span]) -> list[Span]:
    """The line with spaces up to the next stop in place of each tab."""
    if not any("\t" in span.text for span in line):
        return line
    column = 0
    spans = []
    for span in line:
        pieces = []
        for piece in re.split("(\t)", span.text):
            shown = " " * (TAB - column % TAB) if piece == "\t" else piece
            column += cell_len(shown)
            pieces.append(shown)
        spans.append(span._replace(text="".join(pieces)))
    return spans


def cut(spans: Sequence[Span], pieces: Iterable[tuple[int, int]]) -> Iterator[tuple[Span, ...]]:
    """Cut the given ranges of characters, in rising order, out of styled text."""
    index = 0
    offset = 0  # where spans[index] begins
    for start, end in pieces:
        found = []
        while index < len(spans):
            span = spans[index]
            stop = offset + len(span.text)
            if stop > start and offset < end:
                text = span.text[max(0, start - offset) : end - offset]
                found.append(span if len(text) == len(span.text) else span._replace(text=text))
            if stop > end:
                break
            offset = stop
            index += 1
        yield tuple(found)


def width_of(spans: Iterable[Span]) -> int:
    """The cells that the spans take."""
    return sum(cell_len(span.text) for span in spans)
