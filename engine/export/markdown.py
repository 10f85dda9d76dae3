"""A conversation as Markdown (CommonMark): the shown branch, a heading a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.export.reading import note_of, shown, speaker_of, title_of, when
from engine.images import in_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.library import Library
    from storage.records import Session


async def pieces(library: Library, session: Session) -> AsyncGenerator[str]:
    """The conversation, a piece a message."""
    yield f"# {title_of(session)}\n"
    async for message in shown(library, session):
        yield f"\n## {speaker_of(message)} · {when(message.created_at)}\n"
        if message.content:
            yield f"\n{in_words(message.content).rstrip()}\n"
        for call in message.tool_calls:
            yield f"\n    {call.name} {msgspec.json.encode(call.arguments).decode()}\n"
        if note := note_of(message):
            yield f"\n*{note}*\n"
