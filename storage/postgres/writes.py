"""The writes that may wait in the outbox, as they are kept there.

Each can be done twice without harm, because it names what it makes by id or sets what it changes:
of a write whose connection broke nobody knows whether it was committed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from storage.records import Failure, Finish, Role, TitleOrigin, ToolCall, Usage


class Write(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The base of all writes."""

    @property
    def replaces(self) -> str | None:
        """Of the writes with the same, only the last has to be done."""
        return None


class Append(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseMessages.append`."""

    session_id: str
    message_id: str
    role: Role
    content: str
    thinking: str = ""
    model: str | None = None
    finish: Finish = Finish.COMPLETE
    parent_id: str | None = None
    follows_last: bool
    token_count: int | None = None
    usage: Usage | None = None
    failure: Failure | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    created_at: float


class Ask(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseMessages.ask`."""

    session_id: str
    ids: tuple[str, str]
    content: str
    model: str | None = None
    parent_id: str | None = None
    follows_last: bool
    created_at: float


class Checkpoint(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseMessages.checkpoint`."""

    message_id: str
    content: str
    thinking: str

    @property
    def replaces(self) -> str | None:
        """See `Write.replaces`."""
        return f"checkpoint {self.message_id}"


class End(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseMessages.finish`."""

    message_id: str
    finish: Finish
    content: str
    thinking: str = ""
    model: str | None = None
    usage: Usage | None = None
    failure: Failure | None = None
    token_count: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()


class Create(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseSessionManager.create`."""

    session_id: str
    user_id: str | None = None
    title: str = ""
    model: str | None = None


class Rename(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseSessionManager.rename`."""

    session_id: str
    title: str
    origin: TitleOrigin


class SetState(Write, frozen=True, kw_only=True, tag=True):
    """See `BaseSessionManager.set_state`."""

    session_id: str
    key: str
    value: Any

    @property
    def replaces(self) -> str | None:
        """See `Write.replaces`."""
        return f"state {self.key} {self.session_id}"


class Stamp(Write, frozen=True, kw_only=True, tag=True):
    """A session is archived or deleted at a time, or brought back."""

    session_id: str
    column: str
    value: float | None


class Remember(Write, frozen=True, kw_only=True, tag=True):
    """Changes of memories; see `storage.memory.Batch`."""

    changes: list[tuple[str, list[Any]]]


class Keep(Write, frozen=True, kw_only=True, tag=True):
    """See `Images.keep`."""

    data: bytes


class Note(Write, frozen=True, kw_only=True, tag=True):
    """See `Store.set_state`."""

    name: str
    value: Any

    @property
    def replaces(self) -> str | None:
        """See `Write.replaces`."""
        return f"note {self.name}"


AnyWrite: TypeAlias = (
    Append | Ask | Checkpoint | End | Create | Rename | SetState | Stamp | Remember | Keep | Note
)

_decoder = msgspec.json.Decoder(AnyWrite)


def encoded(write: AnyWrite) -> bytes:
    """A write as it is kept."""
    try:
        return msgspec.json.encode(write)
    except UnicodeEncodeError:  # Lone surrogates, which no encoding has.
        return msgspec.json.encode(_encodable(msgspec.to_builtins(write)))


def decoded(data: bytes) -> AnyWrite:
    """The write that was kept."""
    write: AnyWrite = _decoder.decode(data)
    return write


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case dict():
            return {_encodable(name): _encodable(one) for name, one in value.items()}
        case list() | tuple():
            return [_encodable(one) for one in value]
        case _:
            return value
