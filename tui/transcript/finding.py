"""Finding text in a conversation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Message
    from tui.transcript.text import Line


class Place(NamedTuple):
    """Where a match is: the message, the row of it, the character in the row."""

    position: int
    row: int
    start: int


class Finder:
    """What is looked for, and where it has been found. Upper and lower case are the same."""

    def __init__(self, text: str) -> None:
        self._pattern = re.compile(re.escape(text), re.IGNORECASE)
        self.positions: list[int] = []
        """The messages that match, in rising order."""

        self.place: Place | None = None
        """The match that the reader is at."""

    def matches(self, message: Message) -> bool:
        """Whether the text is anywhere in the message."""
        pattern = self._pattern
        return bool(pattern.search(message.content) or pattern.search(message.thinking))

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

    def following(self, position: int, step: int) -> int | None:
        """The next matching message behind (`step` 1) or before (-1) a position, going round."""
        if not self.positions:
            return None
        if step > 0:
            return next((p for p in self.positions if p > position), self.positions[0])
        return next((p for p in reversed(self.positions) if p < position), self.positions[-1])
