"""Memories: what the assistant remembers of a person beyond their messages, and who may change it.

Facts are what holds about a person, episodes are what a conversation was about, skills are how to
do something. Each belongs to one person (the entity) and to the program or persona that learnt it
(the process).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import Events
    from storage.records import Message
    from storage.store import Store

Kind: TypeAlias = Literal["fact", "episode", "skill"]

KINDS: tuple[Kind, ...] = ("fact", "episode", "skill")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One memory."""

    id: str
    kind: Kind
    text: str
    name: str = ""
    """What a fact is about (`name`, `home`, `favourite tea`), or what a skill is called."""

    created_at: float
    """Seconds since the epoch, UTC."""

    valid_from: float
    valid_to: float | None = None
    """When a fact ceased to hold; None while it does."""

    superseded_by: str | None = None
    """The fact that holds instead."""

    confidence: float = 1.0
    """From 0 to 1."""

    source_ids: tuple[str, ...] = ()
    """The messages it was learnt from."""

    entity_id: str | None = None
    """Whose it is; None is the person who owns this computer's account."""

    process_id: str | None = None
    """The program or persona that learnt it; None is the chat."""

    session_id: str | None = None
    """The conversation that an episode tells of, or that a memory was told in."""

    pinned: bool = False
    """It is thought of at every question."""


class Memories:
    """Remembers, finds, changes and forgets.

    Where a method takes an `entity_id`, it sees and touches that person's memories alone.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def remember(
        self,
        text: str,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        session_id: str | None = None,
        source_ids: Sequence[str] = (),
        kind: Kind = "fact",
        name: str = "",
    ) -> Kept:
        """Keep something. What is known already is not kept twice.

        Args:
            text: What to remember, as a sentence; for a skill, how it is done.
            entity_id: Whose memory it is.
            process_id: The program or persona that learnt it.
            session_id: The conversation it comes from.
            source_ids: The messages it comes from.
            kind: What it is.
            name: What a fact is about, or what a skill is called. A new fact about the same takes
                the old one's place; a skill of the same name is changed.

        Raises:
            QuotaExceededError: The person has as many memories as the settings allow.
            StorageError: It could not be kept.
        """
        raise NotImplementedError

    async def search(
        self,
        query: str = "",
        *,
        kinds: Sequence[Kind] = KINDS,
        entity_id: str | None = None,
        process_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
        superseded: bool = False,
    ) -> list[Kept]:
        """The memories that fit `query`, the best first; without words the pinned, then the newest.

        Args:
            query: Words, as for a search of messages.
            kinds: What to look for.
            entity_id: Whose.
            process_id: Only what this program or persona learnt.
            limit: How many.
            offset: How many to leave out at the beginning.
            superseded: Also the facts that hold no more.
        """
        raise NotImplementedError

    async def get(self, memory_id: str) -> Kept | None:
        """The memory with this id, or None."""
        raise NotImplementedError

    async def edit(self, memory_id: str, text: str) -> Kept:
        """Say it in other words. A fact is superseded and stays in its history; others change.

        Raises:
            UnknownMemoryError: It is not there, or it is a fact that holds no more.
        """
        raise NotImplementedError

    async def pin(self, memory_id: str, pinned: bool) -> Kept:
        """Let it be thought of at every question, or no more.

        Raises:
            UnknownMemoryError: It is not there.
        """
        raise NotImplementedError

    async def forget(self, memory_id: str, *, everywhere: bool = False) -> None:
        """Remove a memory for good. The messages it was learnt from are recalled no more.

        Args:
            memory_id: Which.
            everywhere: Also strike the statement out of those messages.

        Raises:
            UnknownMemoryError: It is not there.
        """
        raise NotImplementedError

    async def forget_matching(self, text: str, *, entity_id: str | None = None) -> list[Kept]:
        """Remove what says `text`, or nearly that. Returns what it was; the caller has asked."""
        raise NotImplementedError

    async def sources(self, memory_id: str) -> list[Message]:
        """The messages that a memory was learnt from, those that are still kept."""
        raise NotImplementedError

    async def figures(self, entity_id: str | None = None) -> dict[Kind, int]:
        """How many of a person's memories there are of each kind; facts: those that hold now."""
        raise NotImplementedError

    async def wait(self) -> None:
        """Wait until everything that was said so far is remembered."""
        raise NotImplementedError
