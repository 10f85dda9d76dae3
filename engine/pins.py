"""Pinned messages: a model is shown them however long ago they were said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Finish, Role

if TYPE_CHECKING:
    from storage.records import Message, Session
    from storage.store import Store

PINNED = "pinned"
"""The key in a session's state that holds the ids of the messages that are pinned."""


def can_be_pinned(message: Message) -> bool:
    """Whether a message means something by itself: questions and answers do, calls do not."""
    said = message.role in (Role.USER, Role.ASSISTANT) and not message.tool_calls
    return said and message.finish is not Finish.STREAMING and bool(message.content.strip())


def pinned_ids(session: Session) -> tuple[str, ...]:
    """The ids of the messages that are pinned in a session, the first pinned first."""
    return tuple(session.state.get(PINNED, ()))


async def pinned_messages(store: Store, session: Session, end: int) -> tuple[Message, ...]:
    """The pinned messages of a session in their order, as far as they are shown before `end`."""
    found = []
    for message_id in pinned_ids(session):
        message = await store.messages.get(message_id)
        if message is None or message.position >= end:
            continue
        shown = await store.messages.page(session.id, message.position, message.position + 1)
        found += [one for one in shown if one.id == message_id]
    return tuple(sorted(found, key=lambda message: message.position))
