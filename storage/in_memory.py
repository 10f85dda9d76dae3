"""Sessions and messages that live as long as the object: for scripts and passing chats."""

# The methods are documented where they are declared, in storage.base.
# ruff: noqa: D102

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import msgspec

from storage.base import (
    LAST,
    BaseMessages,
    BaseSessionManager,
    ParentId,
    unknown_message,
    unknown_session,
)
from storage.errors import (
    MessageExistsError,
    SessionExistsError,
    StaleSessionError,
    UnknownMessageError,
)
from storage.ids import new_id
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


class InMemorySessionManager(BaseSessionManager):
    """Sessions in a dictionary; `messages` are theirs."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.messages = InMemoryMessages(self._sessions)

    async def create(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        title: str = "",
        model: str | None = None,
    ) -> Session:
        session_id = session_id or new_id()
        if session_id in self._sessions:
            raise SessionExistsError(f"There is a session {session_id} already.")
        now = time.time()
        self._sessions[session_id] = Session(
            id=session_id,
            user_id=user_id,
            title=title,
            title_origin=TitleOrigin.USER if title else TitleOrigin.NONE,
            model=model,
            created_at=now,
            updated_at=now,
        )
        return await self.known(session_id)

    async def get(self, session_id: str) -> Session | None:
        session = self._sessions.get(session_id)
        return session and _apart(session)

    async def save(self, session: Session) -> Session:
        kept = await self.known(session.id)
        if kept.version != session.version:
            raise StaleSessionError(
                f"The session {session.id} was changed by somebody else.",
                "Read it again and repeat the change.",
            )
        return self._change(
            session.id,
            title=session.title,
            title_origin=session.title_origin,
            user_id=session.user_id,
            model=session.model,
            state=copy.deepcopy(session.state),
            updated_at=time.time(),
        )

    async def rename(
        self, session_id: str, title: str, origin: TitleOrigin = TitleOrigin.USER
    ) -> Session:
        kept = await self.known(session_id)
        ranks = list(TitleOrigin)
        if ranks.index(kept.title_origin) > ranks.index(origin):
            return kept
        return self._change(session_id, title=title, title_origin=origin)

    async def set_state(self, session_id: str, key: str, value: Any) -> Session:
        state = (await self.known(session_id)).state
        state[key] = copy.deepcopy(value)
        if value is None:
            del state[key]
        return self._change(session_id, state=state)

    async def on_top(self) -> list[Session]:
        listed = await self.list(limit=len(self._sessions))
        return [session for session in listed if session.state.get("on_top")]

    async def list(
        self, *, limit: int = 50, before: Session | None = None, archived: bool = False
    ) -> list[Session]:
        listed = sorted(
            (
                session
                for session in self._sessions.values()
                if session.deleted_at is None
                and (session.archived_at is not None) is archived
                and (before is None or _place(session) < _place(before))
            ),
            key=_place,
            reverse=True,
        )
        return [_apart(session) for session in listed[:limit]]

    async def archive(self, session_id: str) -> Session:
        return self._change(session_id, archived_at=time.time())

    async def unarchive(self, session_id: str) -> Session:
        return self._change(session_id, archived_at=None)

    async def expire(self, before: float) -> int:
        idle = [
            session.id
            for session in self._sessions.values()
            if session.updated_at < before
            and session.archived_at is None
            and session.deleted_at is None
        ]
        for session_id in idle:
            self._change(session_id, archived_at=time.time())
        return len(idle)

    async def delete(self, session_id: str) -> None:
        self._change(session_id, deleted_at=time.time())

    async def restore(self, session_id: str) -> Session:
        return self._change(session_id, deleted_at=None)

    async def purge_deleted(self, before: float) -> int:
        gone = [
            session.id
            for session in self._sessions.values()
            if session.deleted_at is not None and session.deleted_at < before
        ]
        for session_id in gone:
            del self._sessions[session_id]
            self.messages.forget(session_id)
        return len(gone)

    async def fork(self, session_id: str, message_id: str) -> Session:
        source = await self.known(session_id)
        path = self.messages.path_to(session_id, message_id)
        copied = await self.create(user_id=source.user_id, model=source.model)
        self._change(copied.id, title=source.title, title_origin=source.title_origin)
        for message in path:
            await self.messages.adopt(copied.id, message)
        return await self.known(copied.id)

    async def take_in(self, session: Session, messages: AsyncIterable[Sequence[Placed]]) -> TakenIn:
        placed = [one async for batch in messages for one in batch]
        self.messages.check(session.id, [one.message for one in placed])
        new = session.id not in self._sessions
        if new:
            self._sessions[session.id] = _apart(
                msgspec.structs.replace(session, message_count=0, version=1, deleted_at=None)
            )
        added = self.messages.take_in(session.id, placed)
        return TakenIn(session=await self.known(session.id), new=new, added=added)

    def _change(self, session_id: str, **values: Any) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise unknown_session(session_id)
        session = msgspec.structs.replace(session, version=session.version + 1, **values)
        self._sessions[session_id] = session
        return _apart(session)


class InMemoryMessages(BaseMessages):
    """Messages in a dictionary, beside the sessions they belong to."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self._sessions = sessions
        self._messages: dict[str, Message] = {}
        self._shown: dict[str, list[str]] = {}

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
        if session_id not in self._sessions:
            raise unknown_session(session_id)
        path = self._shown.get(session_id, [])
        if parent_id is None:
            path = []
        elif parent_id is not LAST:
            path = [message.id for message in self.path_to(session_id, parent_id)]
        now = time.time() if created_at is None else created_at
        message = Message(
            id=new_id(),
            session_id=session_id,
            parent_id=path[-1] if path else None,
            position=len(path),
            role=role,
            content=content,
            thinking=thinking,
            model=model,
            finish=finish,
            failure=failure,
            usage=usage,
            tool_calls=tuple(tool_calls),
            tool_call_id=tool_call_id,
            token_count=token_count,
            created_at=now,
            finished_at=None if finish is Finish.STREAMING else now,
        )
        self._messages[message.id] = message
        self._set_shown(session_id, [*path, message.id], now)
        return message

    async def ask(
        self, session_id: str, *, content: str, model: str | None, parent_id: ParentId = LAST
    ) -> tuple[Message, Message]:
        question = await self.append(
            session_id, role=Role.USER, content=content, parent_id=parent_id
        )
        answer = await self.append(
            session_id, role=Role.ASSISTANT, content="", model=model, finish=Finish.STREAMING
        )
        return question, answer

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
        before = await self.get(after)
        shown = self._shown[before.session_id] if before else []
        if before is None or after not in shown:
            raise UnknownMessageError(f"There is no shown message {after}.")
        place = shown.index(after) + 1
        self._set_shown(before.session_id, shown[:place])
        message = await self.append(
            before.session_id,
            role=role,
            content=content,
            model=model,
            finish=finish,
            failure=failure,
            tool_call_id=tool_call_id,
            token_count=token_count,
        )
        if created_at is not None:
            message = msgspec.structs.replace(
                message, created_at=created_at, finished_at=finished_at
            )
            self._messages[message.id] = message
        for one in shown[place:]:
            follower = self._messages[one]
            self._messages[one] = msgspec.structs.replace(
                follower,
                position=follower.position + 1,
                parent_id=message.id if follower.parent_id == after else follower.parent_id,
            )
        self._set_shown(before.session_id, [*shown[:place], message.id, *shown[place:]])
        return message

    async def checkpoint(self, message_id: str, *, content: str, thinking: str = "") -> None:
        message = await self.known(message_id)
        if message.finish is Finish.STREAMING:
            self._messages[message_id] = msgspec.structs.replace(
                message, content=content, thinking=thinking
            )

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
        message = self._messages.get(message_id)
        if message is None or message.finish is not Finish.STREAMING:
            raise UnknownMessageError(f"No answer {message_id} is being written.")
        self._messages[message_id] = msgspec.structs.replace(
            message,
            finish=finish,
            content=content,
            thinking=thinking,
            model=model or message.model,
            usage=usage,
            failure=failure,
            token_count=token_count,
            tool_calls=tuple(tool_calls),
            finished_at=time.time(),
        )
        return self._messages[message_id]

    async def get(self, message_id: str) -> Message | None:
        return self._messages.get(message_id)

    async def page(self, session_id: str, start: int, stop: int) -> list[Message]:
        shown = self._shown.get(session_id, [])
        return [self._messages[one] for one in shown[max(0, start) : max(0, stop)]]

    async def tail(self, session_id: str, limit: int) -> list[Message]:
        shown = self._shown.get(session_id, [])
        return [self._messages[one] for one in shown[max(0, len(shown) - limit) :]]

    async def every(
        self, session_id: str, *, after: Message | None = None, limit: int = 200
    ) -> list[Placed]:
        start = (after.position, after.id) if after else (-1, "")
        shown = set(self._shown.get(session_id, []))
        found = sorted(
            (message.position, message.id)
            for message in self._messages.values()
            if message.session_id == session_id and (message.position, message.id) > start
        )
        return [Placed(message=self._messages[one], shown=one in shown) for _, one in found[:limit]]

    async def alternatives(self, message_id: str) -> list[Message]:
        message = self._messages.get(message_id)
        return self._followers(message.session_id, message.parent_id) if message else []

    async def show(self, message_id: str) -> None:
        message = await self.known(message_id)
        path = self.path_to(message.session_id, message_id)
        while followers := self._followers(message.session_id, path[-1].id):
            path.append(followers[-1])
        self._set_shown(message.session_id, [one.id for one in path])

    async def branches(self, session_id: str) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for message_id in self._shown.get(session_id, []):
            beside = [one.id for one in await self.alternatives(message_id)]
            if len(beside) > 1:
                found[message_id] = beside.index(message_id) + 1, len(beside)
        return found

    async def hide(self, message_id: str) -> None:
        message = await self.known(message_id)
        path = self.path_to(message.session_id, message_id)
        self._set_shown(message.session_id, [one.id for one in path[:-1]])

    async def strike(
        self,
        message_id: str,
        *,
        content: str,
        thinking: str = "",
        tool_calls: Sequence[ToolCall] = (),
    ) -> Message:
        message = self._messages.get(message_id)
        if message is None or message.finish is Finish.STREAMING:
            raise unknown_message(message_id)
        self._messages[message_id] = msgspec.structs.replace(
            message,
            content=content,
            thinking=thinking,
            tool_calls=tuple(tool_calls),
            token_count=None,
        )
        session = self._sessions[message.session_id]
        self._sessions[session.id] = msgspec.structs.replace(session, version=session.version + 1)
        return self._messages[message_id]

    async def interrupt_abandoned(self) -> list[Message]:
        return []  # Nothing here outlives the process that writes it.

    def path_to(self, session_id: str, message_id: str) -> list[Message]:
        """The messages from the first to this one, along its branch."""
        path: list[Message] = []
        step: str | None = message_id
        while step is not None:
            message = self._messages.get(step)
            if message is None or message.session_id != session_id:
                raise unknown_message(message_id)
            path.append(message)
            step = message.parent_id
        return path[::-1]

    async def adopt(self, session_id: str, message: Message) -> None:
        """Append a copy of another session's message."""
        path = self._shown.get(session_id, [])
        writing = message.finish is Finish.STREAMING
        copied = msgspec.structs.replace(
            message,
            id=new_id(),
            session_id=session_id,
            parent_id=path[-1] if path else None,
            finish=Finish.STOPPED if writing else message.finish,
            finished_at=message.finished_at or time.time(),
        )
        self._messages[copied.id] = copied
        self._set_shown(session_id, [*path, copied.id])

    def check(self, session_id: str, messages: Sequence[Message]) -> None:
        """Whether these can be taken in. Raises: see `BaseSessionManager.take_in`."""
        coming: set[str] = set()
        for message in messages:
            kept = self._messages.get(message.id)
            if kept is not None and kept.session_id != session_id:
                raise MessageExistsError(f"The message {message.id} is kept in another session.")
            parent = self._messages.get(message.parent_id or "")
            here = parent is not None and parent.session_id == session_id
            if message.parent_id is not None and message.parent_id not in coming and not here:
                raise UnknownMessageError(f"There is no message {message.parent_id}.")
            coming.add(message.id)

    def take_in(self, session_id: str, messages: Sequence[Placed]) -> int:
        """Keep messages that were checked. Returns how many are new."""
        path = self._shown.get(session_id, [])
        added = 0
        for one in messages:
            if one.message.id in self._messages:
                continue
            added += 1
            parent = self._messages.get(one.message.parent_id or "")
            writing = one.message.finish is Finish.STREAMING
            self._messages[one.message.id] = msgspec.structs.replace(
                one.message,
                session_id=session_id,
                position=parent.position + 1 if parent else 0,
                finish=Finish.INTERRUPTED if writing else one.message.finish,
            )
        came = {one.message.id for one in messages}
        shown = [one.message.id for one in messages if one.shown]
        if added and shown and (not path or path[-1] in came):
            path = [message.id for message in self.path_to(session_id, shown[-1])]
        if added:
            newest = max(one.message.created_at for one in messages)
            self._set_shown(session_id, path, newest)
        return added

    def forget(self, session_id: str) -> None:
        """Remove a session's messages."""
        self._shown.pop(session_id, None)
        for message in list(self._messages.values()):
            if message.session_id == session_id:
                del self._messages[message.id]

    def _followers(self, session_id: str, parent_id: str | None) -> list[Message]:
        followers = [
            message
            for message in self._messages.values()
            if message.session_id == session_id and message.parent_id == parent_id
        ]
        return sorted(followers, key=lambda message: message.id)

    def _set_shown(self, session_id: str, path: list[str], at: float = 0.0) -> None:
        self._shown[session_id] = path
        session = self._sessions[session_id]
        self._sessions[session_id] = msgspec.structs.replace(
            session,
            message_count=len(path),
            updated_at=max(session.updated_at, at),
            version=session.version + 1,
        )


def _apart(session: Session) -> Session:
    """The session with a state that its reader may change freely."""
    return msgspec.structs.replace(session, state=copy.deepcopy(session.state))


def _place(session: Session) -> tuple[float, str]:
    return session.updated_at, session.id
