"""What every keeper of sessions and messages promises; `tests/storage/contract.py` checks it.

SQLite's is `SessionManager` with `Messages`; the one in memory is `InMemorySessionManager`.
Another, over a database server say, is complete when it passes the same suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from storage.errors import SessionExistsError, UnknownMessageError, UnknownSessionError
from storage.records import (
    Failure,
    Finish,
    Message,
    Placed,
    Role,
    Session,
    TakenIn,
    TitleOrigin,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence


class Last(Enum):
    """The type of `LAST`."""

    LAST = "the end of the shown branch"


LAST: Final = Last.LAST
"""As a parent: the last message of the shown branch."""

ParentId: TypeAlias = str | Literal[Last.LAST] | None


class BaseSessionManager(ABC):
    """Keeps sessions. Every change of one counts its version up, by one at least.

    Where a method names a session that is not there, it raises `UnknownSessionError`.
    """

    @abstractmethod
    async def create(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        title: str = "",
        model: str | None = None,
    ) -> Session:
        """Make a session; a title that is given counts as the user's.

        Raises:
            SessionExistsError: There is a session with this id, maybe a deleted one.
        """

    @abstractmethod
    async def get(self, session_id: str) -> Session | None:
        """The session with this id, archived and deleted ones included, or None."""

    async def get_or_create(
        self,
        session_id: str,
        *,
        user_id: str | None = None,
        title: str = "",
        model: str | None = None,
    ) -> Session:
        """The session with this id, made with the other arguments if there is none."""
        if session := await self.get(session_id):
            return session
        try:
            return await self.create(
                session_id=session_id, user_id=user_id, title=title, model=model
            )
        except SessionExistsError:  # Somebody else was quicker.
            return await self.known(session_id)

    async def known(self, session_id: str) -> Session:
        """The session with this id, which has to be there."""
        session = await self.get(session_id)
        if session is None:
            raise unknown_session(session_id)
        return session

    @abstractmethod
    async def save(self, session: Session) -> Session:
        """Keep the title, user, model and state of `session`. Returns it as kept.

        Raises:
            StaleSessionError: It was changed since `session` was read, and nothing was kept.
        """

    @abstractmethod
    async def rename(
        self, session_id: str, title: str, origin: TitleOrigin = TitleOrigin.USER
    ) -> Session:
        """Give a session a title, unless it has one of a higher rank. Its place in lists stays."""

    @abstractmethod
    async def set_state(self, session_id: str, key: str, value: Any) -> Session:
        """Change one key of a session's state and nothing else; None takes the key out."""

    @abstractmethod
    async def on_top(self) -> list[Session]:
        """The listed sessions whose state says `on_top`, the latest changed first."""

    @abstractmethod
    async def list(
        self, *, limit: int = 50, before: Session | None = None, archived: bool = False
    ) -> list[Session]:
        """The next `limit` sessions after `before`, or the first ones; the latest changed first."""

    @abstractmethod
    async def archive(self, session_id: str) -> Session:
        """Move a session from the list to the archive."""

    @abstractmethod
    async def unarchive(self, session_id: str) -> Session:
        """Move a session from the archive to the list, to its old place."""

    @abstractmethod
    async def expire(self, before: float) -> int:
        """Archive the listed sessions that last changed before a time. Returns how many."""

    @abstractmethod
    async def delete(self, session_id: str) -> None:
        """Take a session out of list, archive and searches. `restore` brings it back."""

    @abstractmethod
    async def restore(self, session_id: str) -> Session:
        """Bring a deleted session back to where it was."""

    @abstractmethod
    async def purge_deleted(self, before: float) -> int:
        """Remove for good what was deleted before a time, messages included. Returns how many."""

    @abstractmethod
    async def fork(self, session_id: str, message_id: str) -> Session:
        """Make a session that begins with a copy of this one's messages up to `message_id`.

        The copies have ids of their own, and the title and model come along.

        Raises:
            UnknownMessageError: The message is not in the session.
        """

    @abstractmethod
    async def take_in(self, session: Session, messages: AsyncIterable[Sequence[Placed]]) -> TakenIn:
        """Keep a session that comes from elsewhere, with its messages and their ids: all or none.

        What is here already stays as it is, so that the same may come again, or more of it. The
        shown branch becomes that of what comes, unless somebody went on here: then it stays.
        Positions and counts are made anew; an answer that was still being written is interrupted.

        Args:
            session: With an id of its own. One that is deleted here stays deleted.
            messages: In batches, parents before their followers.

        Raises:
            UnknownMessageError: The parent of a message is not in the session.
            MessageExistsError: A message is here already, in another session.
        """


class BaseMessages(ABC):
    """Keeps the messages of sessions. None changes once it is finished, but by `strike`.

    The messages of a session form a tree in which `position` is the depth. One branch is shown;
    its positions run from 0 without a gap.
    """

    @abstractmethod
    async def append(
        self,
        session_id: str,
        *,
        role: Role,
        content: str,
        thinking: str = "",
        model: str | None = None,
        finish: Finish = Finish.COMPLETE,
        parent_id: ParentId = LAST,
        token_count: int | None = None,
        usage: Usage | None = None,
        failure: Failure | None = None,
        tool_calls: Sequence[ToolCall] = (),
        tool_call_id: str | None = None,
        created_at: float | None = None,
    ) -> Message:
        """Add a message to a session. It is kept for good when this returns.

        It follows `parent_id`; None makes it a first message. Where the parent has a follower
        already, the new message is an alternative to that: it is shown, and the old follower with
        all that came after stays reachable through `alternatives`. `created_at` is now unless the
        message comes from elsewhere.

        Raises:
            UnknownSessionError: The session is not there.
            UnknownMessageError: The parent is not in it.
        """

    @abstractmethod
    async def ask(
        self, session_id: str, *, content: str, model: str | None, parent_id: ParentId = LAST
    ) -> tuple[Message, Message]:
        """Add a question, and the answer that is being written to it: both, or neither.

        Args:
            session_id: Where.
            content: The question.
            model: Who will answer, as `provider:name`, as far as that is known.
            parent_id: What the question follows, as for `append`.

        Raises:
            UnknownSessionError: The session is not there.
            UnknownMessageError: The parent is not in it.
        """

    @abstractmethod
    async def insert(
        self,
        after: str,
        *,
        role: Role,
        content: str,
        model: str | None = None,
        finish: Finish = Finish.COMPLETE,
        failure: Failure | None = None,
        tool_call_id: str | None = None,
        token_count: int | None = None,
        created_at: float | None = None,
        finished_at: float | None = None,
    ) -> Message:
        """Add a message behind a shown one, before what follows it: questions that wait in line.

        What follows moves one position on. It must not have alternatives. What took a while, such
        as a tool, says when it began and ended; by default both are now.

        Raises:
            UnknownMessageError: There is no shown message `after`.
        """

    @abstractmethod
    async def checkpoint(self, message_id: str, *, content: str, thinking: str = "") -> None:
        """Keep what has come of a streaming answer so far. A finished message stays as it is.

        Raises:
            UnknownMessageError: The message is not there.
        """

    @abstractmethod
    async def finish(
        self,
        message_id: str,
        *,
        finish: Finish,
        content: str,
        thinking: str = "",
        usage: Usage | None = None,
        failure: Failure | None = None,
        token_count: int | None = None,
        tool_calls: Sequence[ToolCall] = (),
        model: str | None = None,
    ) -> Message:
        """Give a streaming answer its last form, kept for good when this returns.

        `model` is the one that wrote it, when that was not known at the start.

        Raises:
            UnknownMessageError: It is not there, or it is finished already.
        """

    @abstractmethod
    async def get(self, message_id: str) -> Message | None:
        """The message with this id, shown or not, or None."""

    @abstractmethod
    async def page(self, session_id: str, start: int, stop: int) -> list[Message]:
        """The messages of the shown branch at the positions from `start` up to `stop`, in order."""

    @abstractmethod
    async def tail(self, session_id: str, limit: int) -> list[Message]:
        """The last `limit` messages of the shown branch, in order."""

    @abstractmethod
    async def every(
        self, session_id: str, *, after: Message | None = None, limit: int = 200
    ) -> list[Placed]:
        """The next `limit` messages of all branches behind `after`, by position, then by id."""

    async def around(self, message_id: str, *, before: int = 25, after: int = 25) -> list[Message]:
        """The shown messages at and about a message's position, in order.

        Raises:
            UnknownMessageError: It is not there.
        """
        message = await self.known(message_id)
        start = max(0, message.position - before)
        return await self.page(message.session_id, start, message.position + after + 1)

    async def known(self, message_id: str) -> Message:
        """The message with this id, which has to be there.

        Raises:
            UnknownMessageError: It is not.
        """
        message = await self.get(message_id)
        if message is None:
            raise unknown_message(message_id)
        return message

    @abstractmethod
    async def alternatives(self, message_id: str) -> list[Message]:
        """The messages that follow the same parent, this one among them, the oldest first."""

    @abstractmethod
    async def show(self, message_id: str) -> None:
        """Show the branch through a message: what leads to it, and its newest continuation.

        Raises:
            UnknownMessageError: It is not there.
        """

    @abstractmethod
    async def branches(self, session_id: str) -> dict[str, tuple[int, int]]:
        """The shown messages that have alternatives, by id.

        Each with its place among them, from 1 in the order they were made, and their number.
        """

    @abstractmethod
    async def hide(self, message_id: str) -> None:
        """End the shown branch before a message; `show` brings it back.

        Raises:
            UnknownMessageError: It is not there.
        """

    @abstractmethod
    async def strike(
        self,
        message_id: str,
        *,
        content: str,
        thinking: str = "",
        tool_calls: Sequence[ToolCall] = (),
    ) -> Message:
        """Replace what a finished message says, for good: something in it is to be forgotten.

        Raises:
            UnknownMessageError: It is not there, or it is still being written.
        """

    @abstractmethod
    async def interrupt_abandoned(self) -> list[Message]:
        """Mark the answers whose process died while it wrote them as interrupted. Returns them."""


def unknown_session(session_id: str) -> UnknownSessionError:
    """There is no such session."""
    return UnknownSessionError(f"There is no session {session_id}.")


def unknown_message(message_id: str) -> UnknownMessageError:
    """There is no such message."""
    return UnknownMessageError(f"There is no message {message_id}.")
