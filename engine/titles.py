"""Titles of sessions: the first words at once, the model's own later, where it is able."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from engine.llm.base import ChatMessage, ChatRequest, Options
from engine.memory.recall import content_words
from engine.prompts import prompt
from storage.records import Role

if TYPE_CHECKING:
    from engine.llm.base import Backend, ModelInfo

LONGEST_CHARACTERS = 60
EXCERPT_CHARACTERS = 600
"""How much of a question and of its answer the model reads for a title."""

MAX_TOKENS = 24
MAX_WORDS = 9


def first_words(text: str) -> str:
    """A title made of a text's first words, at most `LONGEST_CHARACTERS` long."""
    line = " ".join(text.split())
    if len(line) <= LONGEST_CHARACTERS:
        return line
    cut = line[: LONGEST_CHARACTERS - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"


async def write_title(
    backend: Backend, info: ModelInfo, question: str, answer: str, *, keep_alive: str | None = None
) -> str | None:
    """Let the model name a conversation. None when what it says can't be a title.

    Raises:
        ModelError: The model could not be asked.
    """
    said = f"User: {question[:EXCERPT_CHARACTERS]}\n\nAssistant: {answer[:EXCERPT_CHARACTERS]}"
    request = ChatRequest(
        model=info.name,
        messages=(
            ChatMessage(role=Role.SYSTEM, content=prompt("title")),
            ChatMessage(role=Role.USER, content=said),
        ),
        options=Options(temperature=0.0, max_tokens=MAX_TOKENS, context_length=info.window),
        think=False if "thinking" in info.capabilities else None,
        keep_alive=keep_alive,
        background=True,
    )
    async with aclosing(backend.chat(request)) as chunks:
        said = "".join([chunk.text async for chunk in chunks])
    return _as_title(said, about=f"{question} {answer}")


def _as_title(text: str, *, about: str) -> str | None:
    """What the model said, as a title, if it is one: short, and about the conversation."""
    lines = text.strip().splitlines()
    if not lines:
        return None
    title = lines[0].strip().removeprefix("Title:").strip(" \t\"'“”*#.`")
    title = " ".join(title.split())
    if not title or len(title) > LONGEST_CHARACTERS or len(title.split()) > MAX_WORDS:
        return None
    return title if content_words(title) & content_words(about) else None
