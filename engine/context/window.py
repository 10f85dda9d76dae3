"""The sliding window: the system's words, what is pinned, and the last turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.context.turns import joined, pinned, split

if TYPE_CHECKING:
    from engine.llm.base import ChatRequest


def sliding_window(request: ChatRequest, turns: int) -> ChatRequest:
    """Keep the last `turns` turns, at least one; of older ones, only what is pinned."""
    head, all_turns = split(request.messages)
    first = max(0, len(all_turns) - max(1, turns))
    return joined(request, head, (*map(pinned, all_turns[:first]), *all_turns[first:]))
