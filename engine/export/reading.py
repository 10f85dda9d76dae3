"""What the formats for people have in common: the shown messages in order, and words about them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from storage.records import Finish, Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.library import Library
    from storage.records import Message, Session

PAGE = 200
"""Messages that are read at a time."""

_SPEAKERS = {Role.USER: "You", Role.SYSTEM: "System", Role.TOOL: "Tool"}


async def shown(library: Library, session: Session) -> AsyncGenerator[Message]:
    """The messages of the shown branch."""
    start = 0
    while page := await library.page(session.id, start, start + PAGE):
        for message in page:
            yield message
        start += len(page)


def title_of(session: Session) -> str:
    """Its title, in one line."""
    return " ".join(session.title.split()) or "Untitled"


def speaker_of(message: Message) -> str:
    """Who said it."""
    return _SPEAKERS.get(message.role) or message.model or "Assistant"


def when(seconds: float) -> str:
    """A moment, in this machine's time zone."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def note_of(message: Message) -> str:
    """What a reader should know of how an answer ended."""
    match message.finish:
        case Finish.STOPPED:
            return "Stopped."
        case Finish.INTERRUPTED:
            return "Interrupted: the program ended before the answer did."
        case Finish.STREAMING:
            return "Still being written."
        case Finish.FAILED if message.failure is not None:
            return f"Failed: {message.failure.message}"
        case _:
            return ""
