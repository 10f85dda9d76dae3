"""Remembering, for a model that is asked to, or that hears what will matter later."""

from __future__ import annotations

from typing import Annotated

from engine.tools.registry import ToolContext, ToolError, tool


@tool(consent=True, compacts_to="Asked to remember: {text}")
async def remember(
    context: ToolContext,
    text: Annotated[str, "What to remember, as one sentence on the user; of a how-to, its steps"],
    how_to: Annotated[str, "The name of the how-to, if it is one; else empty"] = "",
) -> str:
    """Keep a fact about the user, or a how-to, for later conversations."""
    # Late: the registry is imported at the start of the program.
    from engine.memory.learning import PROCESS
    from engine.memory.quotas import QuotaExceededError

    session = await context.store.sessions.get(context.session_id)
    if context.memory is None or session is None:
        raise ToolError("Nothing can be remembered here.")
    try:
        kept = await context.memory.remember(
            text,
            kind="skill" if how_to.strip() else "fact",
            name=how_to,
            entity_id=session.user_id,
            process_id=session.state.get(PROCESS),
            session_id=session.id,
            source_ids=(context.question_id,) if context.question_id else (),
        )
    except (QuotaExceededError, ValueError) as error:
        raise ToolError(str(error)) from None
    return f"Remembered: {kept.text}"
