"""What a reader of another program's conversations promises, and what it tells of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from engine.titles import first_words
from storage.ids import stable_id
from storage.records import Role, Session, TitleOrigin

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from storage.articles import Article
    from storage.records import Message, Placed

IMPORTED_FROM = "imported_from"
"""The key in a session's state that names the format and the id it had there."""

LATEST = 253_402_214_400.0
"""The last day that a calendar of four digits can show, in seconds since the epoch."""


class UnreadableError(Exception):
    """A file, or a conversation in it, can't be taken in; `message` says why."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class Conversation:
    """A conversation as it was read.

    Attributes:
        session: With an id that is the same each time.
        messages: Parents before their followers; read once. They may raise an `UnreadableError`.
        articles: What research found for it.
        citations: The ids of the articles that a message cites, complete when `messages` is.
    """

    def __init__(
        self,
        session: Session,
        messages: Iterator[Placed],
        articles: Sequence[Article] = (),
        citations: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.session = session
        self.messages = messages
        self.articles = articles
        self.citations = citations if citations is not None else {}


class Reader(ABC):
    """Reads one file, a conversation at a time, in whatever thread it is called from.

    Attributes:
        format: Its name on the command line.
        skipped: What was left out, and why, with how often.
        share: How much of the file has been read, from 0 to 1.
    """

    format: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.share = 0.0

    @classmethod
    @abstractmethod
    def fits(cls, path: Path) -> bool:
        """Whether the file is of this format."""

    @abstractmethod
    def conversations(self) -> Generator[Conversation]:
        """The conversations of the file.

        Raises:
            UnreadableError: The file can't be read, or not to its end.
            OSError: The file can't be opened.
        """

    def skip(self, what: str, why: str, count: int = 1) -> None:
        """Note that something was left out."""
        if count:
            self.skipped[what, why] += count


def sane(seconds: Any) -> float | None:
    """A time that a calendar can show; None when it is no time."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return float(seconds) if 0 < seconds < LATEST else None


def whole(text: str) -> str:
    """The text without halves of characters, which JSON can hold and nothing else can."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def session_of(
    format: str,
    key: str,
    *,
    title: str | None,
    created_at: float,
    updated_at: float,
    placed: Sequence[Placed],
    told_at: float | None = None,
    archived: bool = False,
) -> Session:
    """The session of a conversation from elsewhere.

    Args:
        format: The other program's format.
        key: What the conversation is called there, and by no other of that format.
        title: Its name; without one it gets the first words that were said.
        created_at: Seconds since the epoch.
        updated_at: Seconds since the epoch.
        placed: The messages.
        told_at: The time that the other program keeps, by which the id is found again.
        archived: Whether it was put away there.
    """
    told = " ".join((title or "").split())
    asked = next((one.message.content for one in placed if one.message.role is Role.USER), "")
    return Session(
        id=stable_id(f"{format}:{key}", told_at or 0.0),
        title=told or first_words(asked),
        title_origin=TitleOrigin.MODEL if told else TitleOrigin.WORDS,
        state={IMPORTED_FROM: {"format": format, "id": key}},
        created_at=created_at,
        updated_at=max(created_at, updated_at),
        archived_at=updated_at if archived else None,
    )


def in_session(message: Message, session: Session) -> Message:
    """The message with the id of its session."""
    return msgspec.structs.replace(message, session_id=session.id)
