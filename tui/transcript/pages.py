"""The messages of a conversation, fetched page by page when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from storage.records import Message

PAGE = 32
"""Messages fetched at once."""

KEPT = 16
"""Pages kept in memory."""

SEARCHED = 256
"""Messages read at once to search them."""

Load: TypeAlias = Callable[[int, int], "Awaitable[Sequence[Message]]"]
"""Gives the messages at positions from `start` up to, not including, `stop`."""


class Pages:
    """A window on the `total` messages that `load` can give."""

    def __init__(self, total: int = 0, load: Load | None = None) -> None:
        self.total = total
        self.keep_all = False
        """While set nothing is let go: a selection may span what is off the screen."""

        self._load = load
        self._pages: OrderedDict[int, dict[int, Message]] = OrderedDict()
        self._positions: dict[str, int] = {}

    def get(self, position: int) -> Message | None:
        """The message at `position`, or None when it has not been fetched."""
        page = self._pages.get(position // PAGE)
        return page.get(position) if page else None

    def is_fetched(self, position: int) -> bool:
        """Whether the page of `position` has come; what `get` does not give then is gone."""
        return position // PAGE in self._pages

    def position_of(self, message_id: str) -> int | None:
        """Where the message is, if it is in memory."""
        return self._positions.get(message_id)

    def missing(self, start: int, stop: int) -> list[int]:
        """The pages that must be fetched to see positions from `start` up to `stop`."""
        start, stop = max(0, start), min(stop, self.total)
        if start >= stop:
            return []
        return [n for n in range(start // PAGE, (stop - 1) // PAGE + 1) if n not in self._pages]

    def touch(self, start: int, stop: int) -> None:
        """Positions from `start` up to `stop` are in use: keep them longer than others."""
        for number in range(max(0, start) // PAGE, max(0, stop - 1) // PAGE + 1):
            if number in self._pages:
                self._pages.move_to_end(number)

    async def fetch(self, first: int, last: int) -> None:
        """Fetch the pages from `first` to `last`. Raises what `load` raises."""
        if self._load is None:
            return
        start = stop = first * PAGE
        messages: list[Message] = []
        # More may be appended while the first ones are on their way.
        while stop < (end := min((last + 1) * PAGE, self.total)):
            messages.extend(await self._load(stop, end))
            stop = end
        for number in range(first, last + 1):
            kept = self._pages.get(number, {})  # what came while this was on its way is newer
            self._pages[number] = kept
            for position in range(number * PAGE, min((number + 1) * PAGE, stop)):
                at = position - start
                if position not in kept and at < len(messages):
                    self.put(position, messages[at])
        self._let_go()

    def put(self, position: int, message: Message) -> None:
        """Set the message at `position`, which must be fetched, or one behind the last."""
        page = self._pages.setdefault(position // PAGE, {})
        if (before := page.get(position)) is not None:
            self._positions.pop(before.id, None)
        page[position] = message
        self._positions[message.id] = position

    async def search(self, count: Callable[[Message], int]) -> dict[int, int]:
        """The positions of all messages that match, each with how often it does.

        They are read from the store and not kept.
        """
        found: dict[int, int] = {}
        for start in range(0, self.total, SEARCHED):
            stop = min(start + SEARCHED, self.total)
            messages = await self._load(start, stop) if self._load else []
            for position, message in enumerate(messages, start):
                if matches := count(message):
                    found[position] = matches
        return found

    def append(self, message: Message) -> int:
        """Add a message behind the last one. Returns its position."""
        position = self.total
        self.total += 1
        if position % PAGE == 0 or self.is_fetched(position):
            self.put(position, message)
        return position

    def _let_go(self) -> None:
        while len(self._pages) > KEPT and not self.keep_all:
            _, page = self._pages.popitem(last=False)
            for message in page.values():
                self._positions.pop(message.id, None)
