"""An exporter: conversations as outlines for Emacs' Org mode."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.library import Library
    from storage.records import Session

PAGE = 100


async def pieces(library: "Library", session: "Session") -> AsyncGenerator[str]:
    """Give the conversation a page of messages at a time, so that a long one takes no more room."""
    yield f"#+TITLE: {session.title}\n"
    for start in range(0, session.message_count, PAGE):
        for message in await library.page(session.id, start, start + PAGE):
            yield f"* {message.role}\n{message.content}\n"
