"""A conversation as a document: Markdown for people, JSON for programs.

Both come in pieces, so that the longest conversation takes no more memory than a short one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from storage.records import Finish, Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.library import Library
    from storage.records import Message, Session

PAGE = 200
"""Messages that are read at a time."""

FORMAT = "scrubjay-session"
VERSION = 1

_SPEAKERS = {Role.USER: "You", Role.SYSTEM: "System", Role.TOOL: "Tool"}


async def as_markdown(library: Library, session: Session) -> AsyncGenerator[str]:
    """The shown branch of a conversation as Markdown (CommonMark), a heading a message."""
    yield f"# {' '.join(session.title.split()) or 'Untitled'}\n"
    async for message in _messages(library, session):
        speaker = _SPEAKERS.get(message.role) or message.model or "Assistant"
        said_at = datetime.fromtimestamp(message.created_at).astimezone()
        yield f"\n## {speaker} · {said_at:%Y-%m-%d %H:%M}\n"
        if message.content:
            yield f"\n{message.content.rstrip()}\n"
        if note := _note(message):
            yield f"\n*{note}*\n"


async def as_json(library: Library, session: Session) -> AsyncGenerator[str]:
    """The shown branch of a conversation as one JSON object.

    Its keys are `format`, `version`, `session` and `messages`; records have the fields of
    `storage.records`, with times in ISO 8601, UTC.
    """
    head = msgspec.json.encode(_plain(session)).decode()
    yield f'{{"format": "{FORMAT}", "version": {VERSION}, "session": {head}, "messages": ['
    separator = "\n"
    async for message in _messages(library, session):
        yield separator + msgspec.json.encode(_plain(message)).decode()
        separator = ",\n"
    yield "\n]}\n"


async def _messages(library: Library, session: Session) -> AsyncGenerator[Message]:
    start = 0
    while page := await library.page(session.id, start, start + PAGE):
        for message in page:
            yield message
        start += len(page)


def _plain(record: Session | Message) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(record)
    return {
        key: _iso(value) if key.endswith("_at") and value is not None else value
        for key, value in values.items()
    }


def _note(message: Message) -> str:
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


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
