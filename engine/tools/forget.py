"""Forgetting, for a model that is asked to."""

from __future__ import annotations

from typing import Annotated

from engine.tools.registry import ToolContext, ToolError, tool

MOST = 5
"""What fits more memories than this was not said clearly enough."""


@tool(consent=True, compacts_to="Asked to forget: {text}")
async def forget(
    context: ToolContext,
    text: Annotated[str, "What to forget, as it was told, or what it is about, such as `my name`"],
) -> str:
    """Remove what is remembered of the user that says this. It can't be undone."""
    session = await context.store.sessions.get(context.session_id)
    if context.memory is None or session is None:
        raise ToolError("Nothing is remembered here.")
    found = await context.memory.matching(text, entity_id=session.user_id)
    if not found:
        return "Nothing of that kind is remembered."
    if len(found) > MOST:
        told = "; ".join(one.text for one in found[:MOST])
        raise ToolError(f"That fits {len(found)} memories, such as: {told} Say which one.")
    for one in found:
        await context.memory.forget(one.id)
    return f"Forgotten: {len(found)} {'memory' if len(found) == 1 else 'memories'}."
