"""Finding text in a conversation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Message
    from tui.transcript.text import Line


NEAR = 3
"""So many rows are one place where several words were found."""


class Place(NamedTuple):
    """Where a match is: the message, the row of it, the character in the row."""

    position: int
    row: int
    start: int


class Found(NamedTuple):
    """How much was found."""

    matches: int
    messages: int


class Finder:
    """What is looked for, and where it has been found. Upper and lower case are the same.

    Args:
        texts: One of them is enough.
    """

    def __init__(self, *texts: str) -> None:
        longest_first = sorted(texts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
        self.positions: list[int] = []
        """The messages that match, in rising order."""

        self.place: Place | None = None
        """The match that the reader is at."""

    def count(self, message: Message) -> int:
        """How often the text is in what a message says and thinks."""
        texts = (message.content, message.thinking)
        return sum(1 for text in texts for _ in self._pattern.finditer(text))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the text is in a row of the screen."""
        return [match.span() for match in self._pattern.finditer(text)]

    def in_lines(self, position: int, lines: Sequence[Line]) -> list[Place]:
        """All matches in the rows of a message, its header aside."""
        return [
            Place(position, row, start)
            for row, line in enumerate(lines)
            if row
            for start, _ in self.spans(line.text)
        ]

    def fullest(self, lines: Sequence[Line]) -> int | None:
        """The row of a message where, with the next few, most different texts are."""
        found = [
            (row, match[0].casefold())
            for row, line in enumerate(lines)
            if row
            for match in self._pattern.finditer(line.text)
        ]
        best, best_row = 0, None
        for row, _ in found:
            near = {text for other, text in found if row <= other < row + NEAR}
            if len(near) > best:
                best, best_row = len(near), row
        return best_row

    def following(self, position: int, step: int) -> int | None:
        """The next matching message behind (`step` 1) or before (-1) a position, going round."""
        if not self.positions:
            return None
        if step > 0:
            return next((p for p in self.positions if p > position), self.positions[0])
        return next((p for p in reversed(self.positions) if p < position), self.positions[-1])
