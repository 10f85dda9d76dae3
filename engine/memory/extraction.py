"""What a conversation tells about a person, read by a model that is able, as structured output."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from engine.context.tokens import count
from engine.images import in_words
from engine.llm.base import ChatMessage, ChatRequest, ModelError, Options
from engine.memory.rules import Statement, is_single
from engine.memory.striking import point, stems
from engine.prompts import prompt
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.llm.base import Backend, ModelInfo
    from storage.records import Message

MESSAGE_CHARACTERS = 1_200
"""How much of a message the model reads."""

MOST_FACTS = 8
MAX_TOKENS = 500
LONGEST_FACT = 240
LONGEST_SUBJECT = 40


class _Fact(msgspec.Struct):
    subject: Annotated[str, msgspec.Meta(max_length=LONGEST_SUBJECT)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_FACT)]
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Answer(msgspec.Struct):
    facts: list[_Fact]
    about: str = ""


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "maxItems": MOST_FACTS,
            "items": {
                "type": "object",
                "properties": {
                    "subject": {"type": "string", "maxLength": LONGEST_SUBJECT},
                    "text": {"type": "string", "maxLength": LONGEST_FACT},
                    "confidence": {"type": "number"},
                },
                "required": ["subject", "text", "confidence"],
                "additionalProperties": False,
            },
        },
        "about": {"type": "string", "maxLength": LONGEST_FACT},
    },
    "required": ["facts", "about"],
    "additionalProperties": False,
}


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """What a model read out of some messages."""

    statements: tuple[tuple[Statement, str], ...]
    """Each with the id of the message that it comes from."""

    about: str = ""
    """What the conversation is about, as a sentence."""

    tokens: int = 0
    """What it cost."""


async def extract(
    backend: Backend,
    info: ModelInfo,
    messages: Sequence[Message],
    *,
    known: Sequence[str] = (),
    keep_alive: str | None = None,
) -> Extracted:
    """Let a model read what a person said.

    Args:
        backend: Runs the model.
        info: The model; a weak one is not to be asked.
        messages: What was said, oldest first. Only what the person said yields facts.
        known: What is known of the person, so that the same is put in the same words.
        keep_alive: How long the server shall keep the model.

    Raises:
        ModelError: The model failed, or its answer does not fit the schema (`bad_facts`).
    """
    said = "\n".join(
        f"{message.role.value}: {' '.join(in_words(message.content).split())[:MESSAGE_CHARACTERS]}"
        for message in messages
    )
    before = "Known already:\n" + "\n".join(f"- {one}" for one in known) + "\n\n" if known else ""
    request = ChatRequest(
        model=info.name,
        messages=(
            ChatMessage(role=Role.SYSTEM, content=prompt("facts")),
            ChatMessage(role=Role.USER, content=f"{before}The conversation:\n{said}"),
        ),
        options=Options(temperature=0.0, max_tokens=MAX_TOKENS, context_length=info.window),
        think=False if "thinking" in info.capabilities else None,
        schema=SCHEMA,
        keep_alive=keep_alive,
        background=True,
    )
    answer = ""
    tokens = 0
    async with aclosing(backend.chat(request)) as chunks:
        async for chunk in chunks:
            answer += chunk.text
            if chunk.usage is not None:
                tokens = (chunk.usage.prompt_tokens or 0) + (chunk.usage.eval_tokens or 0)
    if not tokens:
        tokens = await count(request.messages[0].content + request.messages[1].content + answer)
    try:
        read = msgspec.json.decode(answer, type=_Answer)
    except msgspec.DecodeError:
        raise ModelError(
            "bad_facts", f"{info.name} gave no usable facts.", "Rules read them instead."
        ) from None
    return Extracted(
        statements=tuple(_grounded(read.facts, messages)),
        about=" ".join(read.about.split())[:LONGEST_FACT],
        tokens=tokens,
    )


def _grounded(facts: Sequence[_Fact], messages: Sequence[Message]) -> list[tuple[Statement, str]]:
    """The facts that a message of the person bears out, each with that message's id."""
    told = [(stems(one.content), one) for one in messages if one.role is Role.USER]
    found: list[tuple[Statement, str]] = []
    for fact in facts[:MOST_FACTS]:
        subject = " ".join(fact.subject.lower().split()).replace("favorite", "favourite")
        text = " ".join(fact.text.split())
        about = point(text, subject)
        shared, message = max(
            ((len(about & words), one) for words, one in told),
            key=lambda each: each[0],
            default=(0, None),
        )
        # What nobody said is the model's own invention.
        if message is None or 2 * shared < len(about) or not about:
            continue
        statement = Statement(
            subject=subject, text=text, confidence=fact.confidence, single=is_single(subject)
        )
        found.append((statement, message.id))
    return found
