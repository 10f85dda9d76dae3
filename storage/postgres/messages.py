"""Messages on a server. While it is out of reach, new ones wait, and those seen can be read."""

# The methods are documented where they are declared, in storage.base.
# ruff: noqa: D102

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from storage.base import LAST
from storage.errors import ConnectionLostError
from storage.ids import new_id
from storage.messages import Messages
from storage.postgres.writes import Append, Ask, Checkpoint, End
from storage.records import Finish, Message, Role

if TYPE_CHECKING:
    from storage.base import ParentId
    from storage.postgres.later import Later
    from storage.sql import Sql

ABANDONED_SECONDS = 86_400.0
"""An answer that another machine began so long ago is not being written any more."""


class PostgresMessages(Messages):
    """The messages on a server."""

    def __init__(self, database: Sql, later: Later) -> None:
        super().__init__(database)
        self._later = later

    async def append(self, session_id: str, **said: Any) -> Message:
        said = {"message_id": new_id(), **said}
        said["created_at"] = said.get("created_at") or time.time()
        parent_id = said.pop("parent_id", LAST)
        said["tool_calls"] = tuple(said.get("tool_calls", ()))
        last = parent_id is LAST
        write = Append(
            session_id=session_id,
            follows_last=last,
            parent_id=None if last else parent_id,
            **said,
        )
        message = await self._later.write(
            write,
            lambda: super(PostgresMessages, self).append(session_id, parent_id=parent_id, **said),
            lambda: self._provisional(write),
        )
        if not last:
            self._later.mirror.forget(session_id)
        self._later.mirror.appended(message)
        return message

    async def ask(
        self,
        session_id: str,
        *,
        ids: tuple[str, str] | None = None,
        content: str,
        model: str | None,
        parent_id: ParentId = LAST,
        created_at: float | None = None,
    ) -> tuple[Message, Message]:
        write = Ask(
            session_id=session_id,
            ids=ids or (new_id(), new_id()),
            content=content,
            model=model,
            follows_last=parent_id is LAST,
            parent_id=None if parent_id is LAST else parent_id,
            created_at=created_at or time.time(),
        )
        question, answer = await self._later.write(
            write,
            lambda: super(PostgresMessages, self).ask(
                session_id,
                ids=write.ids,
                content=content,
                model=model,
                parent_id=parent_id,
                created_at=write.created_at,
            ),
            lambda: self._begun(write),
        )
        if not write.follows_last:
            self._later.mirror.forget(session_id)
        self._later.mirror.appended(question)
        self._later.mirror.appended(answer)
        return question, answer

    async def insert(self, after: str, **said: Any) -> Message:
        message = await super().insert(after, **said)
        self._later.mirror.forget(message.session_id)
        return message

    async def checkpoint(self, message_id: str, *, content: str, thinking: str = "") -> None:
        kept = self._later.mirror.message(message_id)

        async def now() -> bool:
            await super(PostgresMessages, self).checkpoint(
                message_id, content=content, thinking=thinking
            )
            return True

        await self._later.write(
            Checkpoint(message_id=message_id, content=content, thinking=thinking),
            now,
            lambda: True if kept is not None else None,
        )
        if kept is not None and kept.finish is Finish.STREAMING:
            self._later.mirror.changed(
                msgspec.structs.replace(kept, content=content, thinking=thinking)
            )

    async def finish(self, message_id: str, **said: Any) -> Message:
        said["tool_calls"] = tuple(said.get("tool_calls", ()))
        message = await self._later.write(
            End(message_id=message_id, **said),
            lambda: super(PostgresMessages, self).finish(message_id, **said),
            lambda: self._finished(message_id, said),
        )
        self._later.mirror.changed(message)
        return message

    async def set_token_count(self, message_id: str, tokens: int) -> None:
        with suppress(ConnectionLostError):  # It will be counted again.
            await super().set_token_count(message_id, tokens)

    async def get(self, message_id: str) -> Message | None:
        return await self._later.read(
            lambda: super(PostgresMessages, self).get(message_id),
            lambda: self._later.mirror.message(message_id),
        )

    async def page(self, session_id: str, start: int, stop: int) -> list[Message]:
        mirror = self._later.mirror
        messages = await self._later.read(
            lambda: super(PostgresMessages, self).page(session_id, start, stop),
            lambda: mirror.page(session_id, start, stop),
        )
        mirror.saw_messages(messages)
        return messages

    async def tail(self, session_id: str, limit: int) -> list[Message]:
        mirror = self._later.mirror

        def seen() -> list[Message] | None:
            session = mirror.session(session_id)
            count = session.message_count if session else 0
            return mirror.page(session_id, count - limit, count)

        messages = await self._later.read(
            lambda: super(PostgresMessages, self).tail(session_id, limit), seen
        )
        mirror.saw_messages(messages)
        return messages

    async def branches(self, session_id: str) -> dict[str, tuple[int, int]]:
        # Which messages have alternatives is not worth an error while nobody can look at them.
        return await self._later.read(
            lambda: super(PostgresMessages, self).branches(session_id), dict
        )

    async def show(self, message_id: str) -> None:
        await self._other_branch(message_id)
        await super().show(message_id)

    async def hide(self, message_id: str) -> None:
        await self._other_branch(message_id)
        await super().hide(message_id)

    async def strike(self, message_id: str, **said: Any) -> Message:
        message = await super().strike(message_id, **said)
        self._later.mirror.changed(message)
        return message

    async def _other_branch(self, message_id: str) -> None:
        self._later.mirror.forget((await self.known(message_id)).session_id)

    def _provisional(self, write: Append) -> Message | None:
        """What a message that waits will most likely be; only its place may be another in the end.

        None where it is not known what it would follow.
        """
        place = self._place(write)
        if place is None:
            return None
        position, parent_id = place
        values = {
            name: getattr(write, name)
            for name in Message.__struct_fields__
            if hasattr(write, name) and name != "parent_id"
        }
        return Message(
            id=write.message_id,
            position=position,
            parent_id=parent_id,
            finished_at=None if write.finish is Finish.STREAMING else write.created_at,
            **values,
        )

    def _begun(self, write: Ask) -> tuple[Message, Message] | None:
        """What a question that waits and its answer will most likely be, as `_provisional`."""
        place = self._place(write)
        if place is None:
            return None
        position, parent_id = place
        question = Message(
            id=write.ids[0],
            session_id=write.session_id,
            position=position,
            parent_id=parent_id,
            role=Role.USER,
            content=write.content,
            finish=Finish.COMPLETE,
            created_at=write.created_at,
            finished_at=write.created_at,
        )
        answer = msgspec.structs.replace(
            question,
            id=write.ids[1],
            position=position + 1,
            parent_id=question.id,
            role=Role.ASSISTANT,
            content="",
            model=write.model,
            finish=Finish.STREAMING,
            finished_at=None,
        )
        return question, answer

    def _place(self, write: Append | Ask) -> tuple[int, str | None] | None:
        """The position of what is appended and what it follows, as far as was seen."""
        session = self._later.mirror.session(write.session_id)
        if session is None or not write.follows_last:
            return None
        position = session.message_count
        before = self._later.mirror.page(session.id, position - 1, position)
        if before is None:
            return None
        return position, before[0].id if before else None

    def _finished(self, message_id: str, said: dict[str, Any]) -> Message | None:
        message = self._later.mirror.message(message_id)
        if message is None or message.finish not in (Finish.STREAMING, Finish.INTERRUPTED):
            return None
        model = said.pop("model", None) or message.model
        return msgspec.structs.replace(message, finished_at=time.time(), model=model, **said)

    async def _owner(self) -> str:
        return f"{await super()._owner()}@{socket.gethostname()}"

    def _lives(self, owner: str, created_at: float) -> bool:
        process, _, machine = owner.partition("@")
        if machine != socket.gethostname():
            # Only there can be seen whether it lives.
            return time.time() - created_at < ABANDONED_SECONDS
        return super()._lives(process, created_at)
