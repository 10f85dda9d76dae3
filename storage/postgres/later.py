"""Doing a write now or, while the server is out of reach, later: then it waits in the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from storage.changes import ConnectionChanged
from storage.errors import ConnectionLostError
from storage.postgres import errors
from storage.postgres.mirror import Mirror
from storage.postgres.writes import encoded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from storage.changes import Change
    from storage.postgres.database import PostgresDatabase
    from storage.postgres.outbox import Outbox
    from storage.postgres.writes import AnyWrite

T = TypeVar("T")


class Later:
    """What the stores on a server share for the time when it is out of reach.

    Attributes:
        mirror: What can be read then.
    """

    def __init__(
        self, database: PostgresDatabase, outbox: Outbox | None, tell: Callable[[Change], None]
    ) -> None:
        self.mirror = Mirror()
        self._tell = tell
        self._database = database
        self._outbox = outbox

    async def write(
        self, write: AnyWrite, now: Callable[[], Awaitable[T]], meanwhile: Callable[[], T | None]
    ) -> T:
        """Write now, or later and then in order.

        Args:
            write: What waits if it has to.
            now: Does it.
            meanwhile: What it will have come to, as far as that is known; None where it is not.

        Raises:
            ConnectionLostError: The server is out of reach, and what comes of it can't be told.
            OutboxFullError: So much waits that no more is taken.
        """
        await self._database.settled()
        if not self._database.lost:
            try:
                return await now()
            except ConnectionLostError:
                if self._outbox is None:
                    raise
        result = meanwhile()
        if self._outbox is None or result is None:
            raise errors.lost(self._database.address)
        await self._outbox.put(encoded(write), replaces=write.replaces)
        self._tell(ConnectionChanged(lost=True, waiting=self._outbox.waiting))
        return result

    async def read(self, now: Callable[[], Awaitable[T]], meanwhile: Callable[[], T | None]) -> T:
        """Read from the server or, while it is out of reach, from what was seen lately."""
        try:
            return await now()
        except ConnectionLostError:
            seen = meanwhile()
            if seen is None:
                raise
            return seen
