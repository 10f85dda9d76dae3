"""An answer that is streaming: what has come, and what of it has not been shown yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from storage.records import Message


class News(NamedTuple):
    """What has come since the last rendering."""

    text: str
    thinking: str
    status: str | None
    """The new status line, or None when it is the same."""

    def __bool__(self) -> bool:
        return bool(self.text or self.thinking or self.status is not None)


class Live:
    """Gathers what streams in for one message between two renderings."""

    def __init__(self, position: int, message: Message) -> None:
        self.position = position
        self.status = ""
        self._message = message
        self._text: list[str] = []  # not in the message yet
        self._thinking: list[str] = []
        self._new_text: list[str] = []  # not shown yet
        self._new_thinking: list[str] = []
        self._status_shown = ""

    def add(self, text: str, thinking: str) -> None:
        """More has come."""
        if text:
            self._text.append(text)
            self._new_text.append(text)
        if thinking:
            self._thinking.append(thinking)
            self._new_thinking.append(thinking)

    def take(self) -> News:
        """What has not been shown; it counts as shown from now on."""
        status = self.status if self.status != self._status_shown else None
        news = News("".join(self._new_text), "".join(self._new_thinking), status)
        self._new_text.clear()
        self._new_thinking.clear()
        self._status_shown = self.status
        return news

    @property
    def message(self) -> Message:
        """The message with all that has come."""
        if self._text or self._thinking:
            self._message = msgspec.structs.replace(
                self._message,
                content=self._message.content + "".join(self._text),
                thinking=self._message.thinking + "".join(self._thinking),
            )
            self._text.clear()
            self._thinking.clear()
        return self._message
