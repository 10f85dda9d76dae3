"""The records that storage keeps and hands out: sessions, messages, usage and search hits."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Finish(StrEnum):
    """How a message came to its end, or that it has not yet."""

    STREAMING = "streaming"
    """An answer that is being written now by a living process."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    """The user stopped it; what had come is kept."""

    INTERRUPTED = "interrupted"
    """The process that wrote it died; what was checkpointed is kept."""

    FAILED = "failed"
    """The model failed; `Message.failure` says how."""


class TitleOrigin(StrEnum):
    """Where a session's title comes from; a lower rank never overwrites a higher."""

    NONE = "none"
    WORDS = "words"
    """The first words of the first message."""

    MODEL = "model"
    USER = "user"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an answer failed, in words for the person at the screen."""

    kind: str
    """A short stable name: `unreachable`, `model_missing`, `context_overflow`, `crashed` …"""

    message: str
    next_step: str = ""
    """What to do about it, as a sentence."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one answer cost, in tokens and seconds; None where the model did not say."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    """How many of the prompt tokens the server had already read."""

    eval_tokens: int | None = None
    prompt_seconds: float | None = None
    eval_seconds: float | None = None
    load_seconds: float | None = None
    first_token_seconds: float | None = None
    """From the request to the first visible or thinking text, as the engine saw it."""

    total_seconds: float | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens a second, or None when either figure is missing."""
        if not self.eval_tokens or not self.eval_seconds:
            return None
        return self.eval_tokens / self.eval_seconds


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A model's request to run a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a session. Its id never changes and is never used again."""

    id: str
    """A UUIDv7 (RFC 9562) as 32 hexadecimal digits: ids sort by the time they were made."""

    session_id: str
    parent_id: str | None
    """The message before it in its branch; None for the first."""

    position: int
    """Its place in its branch, from 0. Alternatives to one message share a position."""

    role: Role
    content: str
    thinking: str = ""
    model: str | None = None
    """The model that wrote it, as `provider:name`; None for what a person wrote."""

    finish: Finish = Finish.COMPLETE
    failure: Failure | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """On a tool's result: the call that it answers."""

    token_count: int | None = None
    """Tokens of the content by one vocabulary, whatever model reads it, so that they are counted
    once; None when they have not been."""

    created_at: float
    """Seconds since the epoch, UTC."""

    finished_at: float | None = None


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A message, and whether it is on the shown branch of its session."""

    message: Message
    shown: bool
    images: tuple[bytes, ...] = ()
    """On one from elsewhere: the images that it shows."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation."""

    id: str
    title: str = ""
    title_origin: TitleOrigin = TitleOrigin.NONE
    user_id: str | None = None
    model: str | None = None
    """The model chosen for this session, as `provider:name`; None follows the settings."""

    message_count: int = 0
    """Messages on the shown branch."""

    state: dict[str, Any] = {}
    """Free for the engine: pending tool calls, the draft of the composer, and the like. Listing
    knows `on_top`, and searching `tags`, a list of texts."""

    version: int = 1
    """Grows with every change; a save that names an older one is refused."""

    created_at: float
    updated_at: float
    archived_at: float | None = None
    deleted_at: float | None = None
    """Set while a deletion can still be undone."""


class TakenIn(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a session from elsewhere."""

    session: Session
    new: bool
    """It was not here before."""

    added: int
    """Messages that were not here before."""


class Span(msgspec.Struct, frozen=True):
    """A piece of a search snippet."""

    text: str
    hit: bool = False
    """True where the query matched."""


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """One session found by a search, with the best place in it."""

    session: Session
    message_id: str | None
    """The best message, or None when only the title matched."""

    position: int | None
    role: Role | None
    snippet: tuple[Span, ...]
    score: float
    """BM25, higher is better."""


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of usage figures over a session, a day or everything."""

    answers: int = 0
    prompt_tokens: int = 0
    eval_tokens: int = 0
    eval_seconds: float = 0.0


class StoreFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept, for the inspector and the doctor. Sizes are bytes."""

    sessions: int
    messages: int
    database_bytes: int
    wal_bytes: int
    path: str


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, to be remembered as a whole."""

    id: str
    session_id: str | None = None
    task_id: str | None = None
    text: str
    tags: tuple[str, ...] = ()
    success: bool | None = None
    """Whether it went well; None when that does not apply or is not known."""

    score: float = 0.0
    """How much it is worth remembering, in the measure of whoever adds it."""

    created_at: float
    """When it happened, in seconds since the epoch."""

    entity_id: str | None = None
    process_id: str | None = None
    pinned: bool = False


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that holds, or held for a time."""

    id: str
    subject: str
    text: str
    source_ids: tuple[str, ...] = ()
    """The messages it was learnt from."""

    confidence: float = 1.0
    """From 0 to 1."""

    valid_from: float
    """Seconds since the epoch."""

    valid_to: float | None = None
    superseded_by: str | None = None
    """The fact that holds instead."""

    created_at: float
    session_id: str | None = None
    """The conversation it was learnt in."""

    entity_id: str | None = None
    """Whose it is, as `Session.user_id` names people; nobody else's search finds it."""

    process_id: str | None = None
    """The program or persona that learnt it."""

    pinned: bool = False
    """It is thought of whatever is asked."""


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """How to do something, under a name."""

    id: str
    name: str
    description: str
    text: str
    created_at: float
    updated_at: float
    entity_id: str | None = None
    process_id: str | None = None
    pinned: bool = False
