"""What was said in earlier conversations, for a model that wants to look it up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from engine.tools.registry import ToolContext, tool

LIMIT = 5
LOOKED_AT = 50
"""So many are found, to leave out what another person said and what is to be forgotten."""

EXCERPT_CHARACTERS = 500


@tool(compacts_to="Earlier messages about {query}. Search again if needed.")
async def search_conversations(
    context: ToolContext, query: Annotated[str, "Words that the messages should hold"]
) -> str:
    """Search what the user and you said in earlier conversations."""
    found = await context.store.search.messages(
        query, exclude_session=context.session_id, limit=LOOKED_AT
    )
    own = await context.store.recall_source.may_tell(
        [message.id for message, _ in found], in_session=context.session_id
    )
    found = [(message, score) for message, score in found if message.id in own][:LIMIT]
    if not found:
        return "Nothing was found."
    return "\n".join(
        f"- {datetime.fromtimestamp(message.created_at, UTC):%Y-%m-%d}, {message.role}: "
        f"{' '.join(message.content.split())[:EXCERPT_CHARACTERS]}"
        for message, _ in found
    )
