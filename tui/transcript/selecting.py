"""Places in a conversation for text selection, and the text between two of them.

Textual's selections are pairs of offsets. A row counted from the top of the conversation would not
do: it moves when the height of a message above becomes known. So its number names the message and
the row in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual.geometry import Offset
    from textual.selection import Selection

    from tui.transcript.text import Line

_ROWS = 1 << 20
"""More rows than a message can have."""


def row_number(position: int, row: int) -> int:
    """A number for one row of the message at `position` that scrolling does not change."""
    return position * _ROWS + row


def split_row_number(number: int) -> tuple[int, int]:
    """The position and the row that `row_number` was given."""
    return divmod(number, _ROWS)


def selected_span(selection: Selection, number: int) -> tuple[int, int] | None:
    """The characters that are selected in a row; the end is -1 for all to its end."""
    start, end = selection
    if (start and number < start.y) or (end and number > end.y):
        return None
    first = max(0, start.x) if start and start.y == number else 0
    last = max(0, end.x) if end and end.y == number else -1
    return first, last


def selected_text(
    selection: Selection, total: int, lines_of: Callable[[int], Sequence[Line] | None]
) -> str:
    """The selected text as it was written: without decoration, with wrapped lines joined.

    Args:
        selection: Of offsets whose y is a `row_number`.
        total: Messages in the conversation.
        lines_of: Gives the lines of a message, or None when it is not in memory.
    """
    start, end = selection
    first, first_row = split_row_number(start.y) if start else (0, 0)
    last, last_row = split_row_number(end.y) if end else (total - 1, _ROWS)
    pieces: list[str] = []
    missing = 0
    for position in range(first, min(last, total - 1) + 1):
        lines = lines_of(position)
        if lines is None:
            missing += 1
            continue
        if missing:
            pieces.append(f"\n[… {missing} messages …]\n")
            missing = 0
        begin = first_row if position == first else 0
        stop = last_row + 1 if position == last else len(lines)
        pieces.append(
            _joined(lines[begin:stop], _at(start, position, first), _at(end, position, last))
        )
    if missing:
        pieces.append(f"\n[… {missing} messages …]")
    return "".join(pieces)


def _at(offset: Offset | None, position: int, edge: int) -> int | None:
    return max(0, offset.x) if offset and position == edge else None


def _joined(lines: Sequence[Line], first: int | None, last: int | None) -> str:
    texts = [line.text for line in lines]
    if texts and last is not None:
        texts[-1] = texts[-1][:last]
    if texts and first is not None:
        texts[0] = texts[0][first:]
    pieces: list[str] = []
    for at, (line, text) in enumerate(zip(lines, texts, strict=True)):
        if at:
            pieces.append("\n" if line.joint is None else line.joint)
        elif first is None:
            pieces.append("\n")
        pieces.append(text)
    return "".join(pieces)


def word_at(text: str, x: int) -> tuple[int, int]:
    """The word around the character at `x`, for a double click."""
    for word in re.finditer(r"[\w./~@:-]+|[^\w\s]+|\s+", text):
        if word.start() <= x < word.end():
            return word.span()
    return x, x


def paragraph_at(lines: Sequence[Line], row: int) -> tuple[int, int]:
    """The first and the last row of the line that was wrapped into `row`, for a triple click."""
    first = row
    while first > 0 and lines[first].joint is not None:
        first -= 1
    last = row
    while last + 1 < len(lines) and lines[last + 1].joint is not None:
        last += 1
    return first, last


def texts(lines: Iterable[Line]) -> str:
    """The text of whole lines, wrapped ones joined."""
    return _joined(list(lines), 0, None)
