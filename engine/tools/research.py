"""Research, for a model that does not know the answer: everywhere at once, as a person has it."""

from __future__ import annotations

from typing import Annotated

from engine.tools.registry import ToolContext, ToolError, tool


@tool(
    consent=True,
    compacts_to="Research on {question}: its articles are kept. Research again if needed.",
    seconds=120.0,
)
async def research(
    context: ToolContext, question: Annotated[str, "What to find out, as a whole question"]
) -> str:
    """Look a question up in encyclopedias, papers, forums and feeds, and get the best articles."""
    if not question.strip():
        raise ToolError("There is no question.")
    if context.look_up is None:
        raise ToolError("There is no research here.")
    return await context.look_up(question)
