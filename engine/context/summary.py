"""The rolling summary: what the model is told of the messages that it is no longer shown.

The messages themselves stay where they are. A summary says which of them it covers; the next one
is made of it and of the messages since, so its cost does not grow with the conversation.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from engine.context.turns import joined, pinned, split, told
from engine.images import in_words
from engine.llm.base import ChatMessage, ChatRequest, ModelError, Options
from engine.prompts import prompt
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.llm.base import Backend, ModelInfo
    from storage.records import Message, Session

WORDS = 150
"""The longest summary that the model is asked for."""

LONGEST_CHARACTERS = 2_400
"""A summary is cut here, at a sentence, should the model not keep to the words."""

MESSAGE_CHARACTERS = 1_500
"""How much of one message goes into a summary."""

EXTRACTED = "extracted"
"""In place of a model, in a summary that none wrote."""

STATE_KEY = "summary"
"""Where a session's state holds its newest summary."""


_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a session's summary."""

    version: int
    text: str
    first_id: str
    last_id: str
    """The messages that it covers, the first and the last included."""

    until: int
    """The position after the last covered message."""

    model: str
    """Who wrote it, as `provider:name`; `EXTRACTED` when no model did."""

    created_at: float
    """Seconds since the epoch, UTC."""


def latest_summary(session: Session) -> Summary | None:
    """The newest summary of a session, if it has one."""
    kept = session.state.get(STATE_KEY)
    return msgspec.convert(kept, Summary) if kept else None


def fold(request: ChatRequest, summary: str, *, keep_last: int | None = None) -> ChatRequest:
    """Tell the model a summary, in place of everything but the last turns.

    Args:
        request: What to shorten.
        summary: What stands for the turns that are left out; told in the system's words.
        keep_last: How many messages stay at the least; the cut is made before a question. None:
            what the summary covers has been left out already.
    """
    if keep_last is not None:
        head, turns = split(request.messages)
        kept = 0
        first = len(turns)
        while first > 0 and kept < max(1, keep_last):
            first -= 1
            kept += len(turns[first])
        if first == 0:
            return request
        request = joined(request, head, (*map(pinned, turns[:first]), *turns[first:]))
    return told(request, told_as(summary))


def told_as(summary: str) -> str:
    """A summary as the model is told of it."""
    return f"<summary>\nWhat was said before, in short:\n{summary}\n</summary>"


async def summarize(
    backend: Backend,
    info: ModelInfo,
    messages: Sequence[Message],
    previous: Summary | None,
    *,
    now: float,
    keep_alive: str | None = None,
) -> Summary:
    """Let the model fold `messages` into the previous summary.

    Args:
        backend: Runs the model.
        info: The model.
        messages: What is new, oldest first; not empty.
        previous: What they follow.
        now: Seconds since the epoch.
        keep_alive: How long the server shall keep the model.

    Raises:
        ModelError: The model failed, or what it said can't be a summary (`bad_summary`).
    """
    said = "\n".join(
        f"{message.role}: {' '.join(in_words(message.content).split())[:MESSAGE_CHARACTERS]}"
        for message in messages
    )
    before = f"Summary so far:\n{previous.text}\n\n" if previous else ""
    request = ChatRequest(
        model=info.name,
        messages=(
            ChatMessage(role=Role.SYSTEM, content=prompt("summary").format(words=WORDS)),
            ChatMessage(role=Role.USER, content=f"{before}New messages:\n{said}"),
        ),
        options=Options(temperature=0.0, max_tokens=WORDS * 2, context_length=info.window),
        think=False if "thinking" in info.capabilities else None,
        keep_alive=keep_alive,
        background=True,
    )
    async with aclosing(backend.chat(request)) as chunks:
        text = "".join([chunk.text async for chunk in chunks])
    return Summary(
        version=previous.version + 1 if previous else 1,
        text=_usable(text, info),
        first_id=previous.first_id if previous else messages[0].id,
        last_id=messages[-1].id,
        until=messages[-1].position + 1,
        model=info.ref,
        created_at=now,
    )


def extract(messages: Sequence[Message], previous: Summary | None, *, now: float) -> Summary:
    """Fold messages into a summary without a model, for one too weak to be trusted with it.

    What the user said is kept, a sentence or two of each message; questions are left out. When
    that grows too long, the longest sentences go first: facts about people tend to be short.
    """
    sentences = previous.text.split("\n") if previous else []
    for message in messages:
        if message.role is Role.USER:
            sentences += _statements(message.content)
    sentences = list(dict.fromkeys(sentences))
    while sum(len(sentence) + 1 for sentence in sentences) > LONGEST_CHARACTERS:
        sentences.remove(max(sentences, key=len))
    return Summary(
        version=previous.version + 1 if previous else 1,
        text="\n".join(sentences),
        first_id=previous.first_id if previous else messages[0].id,
        last_id=messages[-1].id,
        until=messages[-1].position + 1,
        model=EXTRACTED,
        created_at=now,
    )


def _statements(text: str) -> list[str]:
    """The first two sentences of a text that state something."""
    sentences = _SENTENCE_END.split(" ".join(text[:MESSAGE_CHARACTERS].split()))
    stated = [one for one in sentences if not one.endswith("?") and len(one.split()) > 2]
    return [f"The user said: {one}" for one in stated[:2]]


def _usable(text: str, info: ModelInfo) -> str:
    """The model's words, cut to length at a sentence."""
    text = " ".join(text.split()).removeprefix("Summary:").strip()
    if len(re.findall(r"\w+", text)) < 5:
        raise ModelError(
            "bad_summary",
            f"{info.name} wrote no usable summary; the one before it stays.",
            "A larger model writes better summaries.",
        )
    if len(text) <= LONGEST_CHARACTERS:
        return text
    cut = text[:LONGEST_CHARACTERS]
    return cut[: cut.rfind(". ") + 1] or cut
