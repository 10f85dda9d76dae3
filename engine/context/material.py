"""Gathering what there is to show a model, before it is packed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from engine.context.budget import Material
from engine.context.summary import latest_summary
from engine.models import takes_tools
from engine.pins import pinned_messages
from engine.prompts import prompt

if TYPE_CHECKING:
    from engine.config import Settings
    from engine.llm.base import ModelInfo
    from engine.memory.recall import Recall, Recollection
    from engine.tools.registry import Registry
    from storage.records import Session
    from storage.store import Store

log = logging.getLogger(__name__)


async def gather(
    *,
    store: Store,
    recall: Recall,
    tools: Registry,
    settings: Settings,
    session: Session,
    info: ModelInfo,
    question: str,
    end: int,
    extra: str = "",
) -> Material:
    """What there is to show `info` for a question.

    Args:
        store: Where the conversation is.
        recall: Brings back what fits the question.
        tools: What the model may call, if it can.
        settings: What the user has set.
        session: The conversation.
        info: The model.
        question: What recall looks for.
        end: The position after the last message to show.
        extra: More for the model to know, beside the system prompt.

    Raises:
        StorageError: The store can't be read.
    """
    summary = latest_summary(session)
    summarized = summary.until if summary else 0
    system = settings.model.system_prompt or prompt("system")
    recollections: list[Recollection] = []
    trouble = ""
    if settings.memory.recall and question:
        try:
            recollections = await recall.find(
                question, session_id=session.id, before=summarized, limit=settings.memory.limit
            )
        except Exception as error:
            # An answer without memories is better than none.
            log.exception("nothing could be recalled")
            trouble = f"Recall failed ({type(error).__name__}); the log file says more."
    return Material(
        system=f"{system}\n\n{extra}" if extra else system,
        end=end,
        read=lambda start, stop: store.messages.page(session.id, start, stop),
        summary=summary.text if summary else "",
        summarized=summarized,
        recollections=tuple(recollections),
        recall_trouble=trouble,
        pinned=await pinned_messages(store, session, end),
        tools=tools.specs if takes_tools(info) else (),
        reference=tools.reference,
    )
