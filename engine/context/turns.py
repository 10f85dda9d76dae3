"""Turns in a request: a question with all that was said, called and answered until the next one.

Everything that shortens a conversation cuts between turns, so that an answer never stands without
its question and a tool's result never without its call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from engine.llm.base import ChatMessage
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.llm.base import ChatRequest

Turn: TypeAlias = tuple[ChatMessage, ...]


class Split(NamedTuple):
    """A request's messages, taken apart."""

    head: Turn
    """The system messages before the first turn."""

    turns: tuple[Turn, ...]
    """Oldest first. The first has no question if the conversation begins with something else."""


def split(messages: Iterable[ChatMessage]) -> Split:
    """Take messages apart into the system's and turns."""
    head: list[ChatMessage] = []
    turns: list[list[ChatMessage]] = []
    for message in messages:
        if message.role is Role.SYSTEM and not turns:
            head.append(message)
        elif message.role is Role.USER or not turns:
            turns.append([message])
        else:
            turns[-1].append(message)
    return Split(tuple(head), tuple(tuple(turn) for turn in turns))


def pinned(turn: Turn) -> Turn:
    """The pinned messages of a turn. A call comes with its results, and a result with its call."""
    wanted = {m.tool_call_id for m in turn if m.pinned}
    for message in turn:
        calls = {call.id for call in message.tool_calls}
        if message.pinned or calls & wanted:
            wanted |= calls  # all of them: a server refuses a message with a call unanswered
    return tuple(
        message
        for message in turn
        if message.pinned
        or message.tool_call_id in wanted - {None}
        or any(call.id in wanted for call in message.tool_calls)
    )


def told(request: ChatRequest, text: str) -> ChatRequest:
    """The request with more for the model to know in its system's words.

    They stay one message where they were one: many a template has room for no second.
    """
    head, turns = split(request.messages)
    if not text:
        return request
    if head:
        last = msgspec.structs.replace(
            head[-1], content=f"{head[-1].content}\n\n{text}", tokens=None
        )
        return joined(request, (*head[:-1], last), turns)
    return joined(request, (ChatMessage(role=Role.SYSTEM, content=text),), turns)


def joined(request: ChatRequest, head: Turn, turns: Iterable[Turn]) -> ChatRequest:
    """The request with these messages in place of its own."""
    messages = (*head, *(message for turn in turns for message in turn))
    return msgspec.structs.replace(request, messages=messages)
