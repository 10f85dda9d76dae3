"""When a streaming answer is rendered: often enough to be read, and not while a key waits."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from textual.app import App
from textual.events import Key
from textual.signal import Signal

if TYPE_CHECKING:
    from textual.events import Event

FRAME = 1 / 30
"""Seconds between two renderings, at least."""

REST = 6
"""A rendering waits this many times as long as the last one took: streaming never fills a core."""

TYPING = 0.25
"""Who has pressed a key so many seconds ago is typing."""

ECHO = 0.02
"""Seconds after a key in which it is shown."""

QUIET = 0.035
"""Seconds after a key in which even a fast typist does not press the next one."""

SOON = 0.001
"""Seconds until what is due; Textual divides by the length of a timer that is late."""

LATEST = 0.1
"""Seconds after which an answer is rendered even though somebody types."""


class KeysTold(App[None]):
    """An app that tells of every key, as soon as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.key_signal: Signal[None] = Signal(self, "key")

    async def on_event(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Key) and not event.is_forwarded:
            self.key_signal.publish(None)
        await super().on_event(event)


class Pace:
    """Says when to render next.

    Textual draws the screen 60 times a second at most. A key that comes right after a rendering
    waits for that, and for the rendering. While somebody types, renderings so follow the keys: each
    comes when a key has been echoed and the next one is not to be expected yet.
    """

    def __init__(self) -> None:
        self._rendered_at = -inf
        self._wait = FRAME
        self._key_at = -inf

    def key(self) -> None:
        """A key was pressed."""
        self._key_at = perf_counter()

    def rendered(self, seconds: float) -> None:
        """There was a rendering, and it took so long."""
        self._rendered_at = perf_counter()
        self._wait = max(FRAME, REST * seconds)

    @property
    def seconds(self) -> float:
        """Until the next rendering; it may be due."""
        now = perf_counter()
        due = self._rendered_at + self._wait
        if now - self._key_at < TYPING:
            echoed = max(now, due, self._key_at + ECHO)
            latest = self._rendered_at + LATEST
            if echoed <= self._key_at + QUIET:
                due = max(due, min(echoed, latest + ECHO))
            else:
                due = max(due, latest)
        return due - now
