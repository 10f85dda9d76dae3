"""Compaction: old results of tools become one line each; the calls stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from storage.records import Role, ToolCall

if TYPE_CHECKING:
    from engine.llm.base import ChatMessage, ChatRequest

Reference: TypeAlias = Callable[[ToolCall], str]
"""Makes the line that stands for the result of a call."""


def compact(request: ChatRequest, reference: Reference, *, keep_last: int = 2) -> ChatRequest:
    """Put a one-line reference in place of every tool result but the last `keep_last`.

    Pinned results stay, and so does one that is no longer than its reference.
    """
    calls = {call.id: call for message in request.messages for call in message.tool_calls}
    places = [n for n, message in enumerate(request.messages) if message.role is Role.TOOL]
    old = set(places[: len(places) - keep_last] if keep_last else places)
    messages = tuple(
        _compacted(message, calls, reference) if n in old else message
        for n, message in enumerate(request.messages)
    )
    return msgspec.structs.replace(request, messages=messages)


def _compacted(
    message: ChatMessage, calls: dict[str, ToolCall], reference: Reference
) -> ChatMessage:
    call = calls.get(message.tool_call_id or "")
    if call is None or message.pinned:
        return message
    line = " ".join(reference(call).split())
    return (
        msgspec.structs.replace(message, content=line)
        if len(line) < len(message.content)
        else message
    )
