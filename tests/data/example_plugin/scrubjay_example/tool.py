"""A tool: models may roll dice, if the user agrees."""

import random
from typing import Annotated

from engine.plugins import ToolContext, ToolError, tool


@tool(consent=True, compacts_to="Rolled {sides}-sided dice.")
async def roll_dice(
    context: ToolContext,
    sides: Annotated[int, "How many sides a die has."],
    count: Annotated[int, "How many dice are rolled."] = 1,
) -> str:
    """Roll dice, and tell what each of them shows."""
    if not (2 <= sides <= 1000 and 1 <= count <= 100):
        raise ToolError("Roll 1 to 100 dice of 2 to 1000 sides.")
    return ", ".join(str(random.randint(1, sides)) for _ in range(count))
