"""Sessions on a server. While it is out of reach, what changes them waits."""

# The methods are documented where they are declared, in storage.base.
# ruff: noqa: D102

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from storage.ids import new_id
from storage.postgres.writes import Create, Rename, SetState, Stamp
from storage.records import Session, TitleOrigin
from storage.sessions import SessionManager

if TYPE_CHECKING:
    from storage.postgres.later import Later
    from storage.sql import Sql


class PostgresSessionManager(SessionManager):
    """The sessions on a server."""

    is_on_top = "coalesce(json_extract(state, '$.on_top'), 'false') <> 'false'"

    def __init__(self, database: Sql, later: Later) -> None:
        super().__init__(database)
        self._later = later

    async def create(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        title: str = "",
        model: str | None = None,
    ) -> Session:
        session_id = session_id or new_id()
        now = time.time()
        session = await self._later.write(
            Create(session_id=session_id, user_id=user_id, title=title, model=model),
            lambda: super(PostgresSessionManager, self).create(
                session_id=session_id, user_id=user_id, title=title, model=model
            ),
            lambda: Session(
                id=session_id,
                user_id=user_id,
                title=title,
                title_origin=TitleOrigin.USER if title else TitleOrigin.NONE,
                model=model,
                created_at=now,
                updated_at=now,
            ),
        )
        return self._seen(session)

    async def get(self, session_id: str) -> Session | None:
        session = await self._later.read(
            lambda: super(PostgresSessionManager, self).get(session_id),
            lambda: self._later.mirror.session(session_id),
        )
        return self._seen(session) if session else None

    async def rename(
        self, session_id: str, title: str, origin: TitleOrigin = TitleOrigin.USER
    ) -> Session:
        def meanwhile() -> Session | None:
            session = self._later.mirror.session(session_id)
            ranks = list(TitleOrigin)
            if session is None or ranks.index(session.title_origin) > ranks.index(origin):
                return session
            return _changed(session, title=title, title_origin=origin)

        return self._seen(
            await self._later.write(
                Rename(session_id=session_id, title=title, origin=origin),
                lambda: super(PostgresSessionManager, self).rename(session_id, title, origin),
                meanwhile,
            )
        )

    async def set_state(self, session_id: str, key: str, value: Any) -> Session:
        def meanwhile() -> Session | None:
            session = self._later.mirror.session(session_id)
            if session is None:
                return None
            state = {name: one for name, one in session.state.items() if name != key}
            return _changed(session, state=state if value is None else {**state, key: value})

        return self._seen(
            await self._later.write(
                SetState(session_id=session_id, key=key, value=value),
                lambda: super(PostgresSessionManager, self).set_state(session_id, key, value),
                meanwhile,
            )
        )

    async def on_top(self) -> list[Session]:
        return await self._later.read(
            super().on_top,
            lambda: [one for one in self._later.mirror.sessions() if one.state.get("on_top")],
        )

    async def stamp(self, session_id: str, column: str, value: float | None) -> Session:
        def meanwhile() -> Session | None:
            session = self._later.mirror.session(session_id)
            return _changed(session, **{column: value}) if session else None

        return self._seen(
            await self._later.write(
                Stamp(session_id=session_id, column=column, value=value),
                lambda: super(PostgresSessionManager, self).stamp(session_id, column, value),
                meanwhile,
            )
        )

    def _seen(self, session: Session) -> Session:
        self._later.mirror.saw_session(msgspec.structs.replace(session, state={**session.state}))
        return session

    async def list(
        self, *, limit: int = 50, before: Session | None = None, archived: bool = False
    ) -> list[Session]:
        def seen() -> list[Session] | None:
            found = [] if archived else self._later.mirror.sessions()
            if before is not None:
                place = before.updated_at, before.id
                found = [one for one in found if (one.updated_at, one.id) < place]
            return found[:limit]

        sessions = await self._later.read(
            lambda: super(PostgresSessionManager, self).list(
                limit=limit, before=before, archived=archived
            ),
            seen,
        )
        for session in reversed(sessions):
            self._seen(session)
        return sessions


def _changed(session: Session, **values: Any) -> Session:
    return msgspec.structs.replace(session, version=session.version + 1, **values)
