"""What a database has to offer so that the stores of this package can be kept in it.

SQLite's is `storage.database.Database`, PostgreSQL's `storage.postgres.database.PostgresDatabase`.
The stores speak SQLite's SQL, as far as it is everybody's; what is told here is where it is not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from storage.full_text import FullText

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = "Sequence[Any] | Mapping[str, Any]"


class Sql(ABC):
    """An open database. Every method raises the errors of `storage.errors`.

    Attributes:
        full_text: How this database finds words.
    """

    full_text: FullText

    @abstractmethod
    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a query, as of the last commit. A cancelled query stops at once."""

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a query, or None."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None

    @abstractmethod
    async def write(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run one statement as a transaction of its own. Returns what its RETURNING clause gives.

        It is committed when this returns. A caller that is cancelled can't know; it is written
        whole or not at all.
        """

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[Statements]:
        """Several statements, committed together at the end or, after an exception, not at all.

        Not re-entrant: inside the block use the transaction, as `write` would wait for its end.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish what is queued, and let go of the database."""


class Statements(ABC):
    """The statements of a transaction."""

    @abstractmethod
    async def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run one statement. Returns its rows."""

    @abstractmethod
    async def execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> int:
        """Run one statement with each of `parameters`, in one go. Returns how many rows changed."""

    @abstractmethod
    async def hold(self, session_ids: Iterable[str]) -> None:
        """Let nobody else change these sessions until the transaction's end.

        What is read from here on stays true. Called before anything of a session is changed.
        """


def marks(values: Sequence[object]) -> str:
    """The places of values within `IN (…)`; of none, nothing is in it."""
    return ", ".join("?" * len(values)) or "NULL"
