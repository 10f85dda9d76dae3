"""Topics: what to search for, by the model where it is able, else by the question's own words."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

import msgspec

from engine.llm.base import ChatMessage, ChatRequest, ModelError, Options
from engine.models import is_weak
from engine.prompts import prompt
from engine.research.words import clean_title, content_words
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.llm.base import Backend, ModelInfo
    from storage.records import Message

log = logging.getLogger(__name__)

MOST_TOPICS = 3
MOST_WORDS = 6
MODEL_SECONDS = 20.0
MAX_TOKENS = 120
EXCERPT_CHARACTERS = 300
"""How much of an earlier message the model reads."""

_SCHEMA = {
    "type": "object",
    "properties": {
        "topics": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": MOST_TOPICS,
        }
    },
    "required": ["topics"],
}


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for."""

    topics: tuple[str, ...]
    by: Literal["model", "keywords"]
    why: str = ""
    """Why not by the model."""


class _Told(msgspec.Struct):
    topics: list[str]


async def find_topics(
    question: str,
    before: Sequence[Message],
    backend: Backend,
    info: ModelInfo,
    *,
    keep_alive: str | None = None,
) -> Topics:
    """Turn a question into search topics. Never fails: the question's words are always there.

    Args:
        question: As the user asked it.
        before: The last messages of the conversation, for what "it" may mean.
        backend: Where the model runs.
        info: The model that is asked, unless it is too small for that.
        keep_alive: How long the server shall keep the model.
    """
    if is_weak(info):
        return keywords(question, before, why=f"{info.name} is too small to plan")
    said = [f"{message.role.value}: {message.content[:EXCERPT_CHARACTERS]}" for message in before]
    request = ChatRequest(
        model=info.name,
        messages=(
            ChatMessage(role=Role.SYSTEM, content=prompt("topics")),
            ChatMessage(role=Role.USER, content="\n".join([*said, f"Question: {question}"])),
        ),
        options=Options(temperature=0.0, max_tokens=MAX_TOKENS, context_length=info.window),
        think=False if "thinking" in info.capabilities else None,
        schema=_SCHEMA,
        keep_alive=keep_alive,
    )
    try:
        async with asyncio.timeout(MODEL_SECONDS), aclosing(backend.chat(request)) as chunks:
            answer = "".join([chunk.text async for chunk in chunks])
        told = msgspec.json.decode(answer, type=_Told).topics
    except (ModelError, TimeoutError, msgspec.DecodeError) as error:
        log.info("no topics from %s: %s", info.ref, type(error).__name__)
        return keywords(question, before, why=f"{info.name} gave none")
    usable = [clean_title(topic)[:80] for topic in told if content_words(topic)][:MOST_TOPICS]
    if not usable:
        return keywords(question, before, why=f"{info.name} gave none")
    return Topics(topics=tuple(usable), by="model")


def keywords(question: str, before: Sequence[Message], *, why: str = "") -> Topics:
    """The words of a question that carry a meaning; of the one before it too, if they are few."""
    words = content_words(question)
    if len(words) < 2:
        earlier = next((m.content for m in reversed(before) if m.role is Role.USER), "")
        words = list(dict.fromkeys([*words, *content_words(earlier)]))
    topic = " ".join(words[:MOST_WORDS]) or clean_title(question)
    return Topics(topics=(topic,), by="keywords", why=why)
