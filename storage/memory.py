"""What the stores of memories share: adding, getting, searching, streaming and batches."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from storage.errors import UnknownMemoryError
from storage.query import parse
from storage.ranking import RANKED_AT_MOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from storage.sql import Row, Sql, Statements

RecordT = TypeVar("RecordT", bound=msgspec.Struct)
BatchT = TypeVar("BatchT", bound="Batch")


class Batch:
    """Changes that are written together. It is filled in memory and touches no disk before."""

    def __init__(self) -> None:
        self._changes: list[tuple[str, Sequence[Any]]] = []

    def __len__(self) -> int:
        return len(self._changes)

    def change(self, sql: str, parameters: Sequence[Any]) -> None:
        """Note a statement that changes exactly one row."""
        self._changes.append((sql, parameters))

    @property
    def changes(self) -> Sequence[tuple[str, Sequence[Any]]]:
        """The statements, with their parameters."""
        return self._changes

    async def write(self, transaction: Statements) -> None:
        """Run what was noted, in order.

        Raises:
            UnknownMemoryError: One of them found no row.
        """
        for sql, changes in groupby(self._changes, key=lambda change: change[0]):
            rows = [parameters for _, parameters in changes]
            if await transaction.execute_many(sql, rows) < len(rows):
                raise UnknownMemoryError("The batch names a memory that is not there.")


class MemoryStore(Generic[RecordT, BatchT]):
    """The records of one table.

    Every record belongs to one person, the entity; None is one, too. A search sees one person's.
    """

    table: ClassVar[Literal["episodes", "facts", "skills"]]
    record: type[RecordT]
    batches: type[BatchT]
    lists: ClassVar[frozenset[str]] = frozenset()
    """The fields that are kept as JSON."""

    counted: ClassVar[str] = "TRUE"
    """Which records `count` counts."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def get(self, memory_id: str) -> RecordT | None:
        """The record with this id, or None."""
        rows = await self._select("this.id = ?", [memory_id], limit=1)
        return rows[0] if rows else None

    async def stream(self, *, batch_size: int = 500) -> AsyncIterator[RecordT]:
        """Every record, the oldest first, read `batch_size` at a time.

        What is added meanwhile comes too; no lock and no memory is held between batches.
        """
        async for record in self._stream([], [], batch_size):
            yield record

    async def pin(self, memory_id: str, pinned: bool) -> RecordT:
        """Pin a record, or let it go.

        Raises:
            UnknownMemoryError: It is not there.
        """
        return await self._changed(
            f"UPDATE {self.table} SET pinned = ? WHERE id = ?", [pinned, memory_id]
        )

    async def forget(self, memory_id: str) -> None:
        """Remove a record for good.

        Raises:
            UnknownMemoryError: It is not there.
        """
        await self._changed(f"DELETE FROM {self.table} WHERE id = ?", [memory_id])

    async def count(self, entity_id: str | None = None) -> int:
        """How many records a person has."""
        [(count,)] = await self._database.fetch_all(
            f"SELECT count(*) FROM {self.table} WHERE entity_id IS ? AND {self.counted}",
            [entity_id],
        )
        return int(count)

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[BatchT]:
        """Many changes as one: written in one transaction at the end of the block.

        After an exception, in the block or in the writing, nothing is written.
        """
        batch = self.batches()
        yield batch
        await self._commit(batch)

    async def _commit(self, batch: Batch) -> None:
        async with self._database.transaction() as transaction:
            await batch.write(transaction)

    async def _changed(self, sql: str, parameters: Sequence[Any]) -> RecordT:
        """Run a statement that changes or removes one record. Returns it as it then is."""
        names = ", ".join(self.record.__struct_fields__)
        rows = await self._database.write(f"{sql} RETURNING {names}", parameters)
        if not rows:
            raise UnknownMemoryError("There is no such memory.")
        return self._decode(rows[0])

    async def _stream(
        self, conditions: list[str], parameters: list[Any], batch_size: int
    ) -> AsyncIterator[RecordT]:
        last = 0
        while True:
            rows = await self._database.fetch_all(
                f"SELECT this.key, {self._columns()} FROM {self.table} AS this"
                f" WHERE {' AND '.join([*conditions, 'this.key > ?'])} ORDER BY this.key LIMIT ?",
                [*parameters, last, batch_size],
            )
            for row in rows:
                yield self._decode(row[1:])
            if len(rows) < batch_size:
                return
            last = rows[-1][0]

    async def _search(
        self, query: str, conditions: list[str], parameters: list[Any], limit: int, offset: int = 0
    ) -> list[RecordT]:
        """Any word of `query` is enough; more and rarer ones rank higher, then newer records.

        Without words it is the pinned ones that meet the conditions, then the newest.
        """
        wanted = parse(query)
        for moment, comparison in ((wanted.after, ">="), (wanted.before, "<")):
            if moment is not None:
                conditions = [*conditions, f"this.created_at {comparison} ?"]
                parameters = [*parameters, moment]
        text = " ".join(word for phrase in wanted.phrases for word in phrase)
        if not text:
            return await self._select(" AND ".join(conditions), parameters, limit, offset)
        match = await self._database.full_text.telling(self.table, text)
        if match is None:
            return []
        rows = await self._database.fetch_all(
            f"""
            SELECT {self._columns()} FROM (
                SELECT this.key, {match.score} AS score FROM {match.source}
                WHERE {" AND ".join([match.condition, *conditions])}
                ORDER BY {match.order} DESC LIMIT {RANKED_AT_MOST}
            ) AS best JOIN {self.table} AS this ON this.key = best.key
            ORDER BY best.score DESC, this.key DESC LIMIT ? OFFSET ?
            """,
            [*match.score_parameters, *match.parameters, *parameters, limit, offset],
        )
        return [self._decode(row) for row in rows]

    async def _select(
        self, condition: str, parameters: list[Any], limit: int, offset: int = 0
    ) -> list[RecordT]:
        rows = await self._database.fetch_all(
            f"SELECT {self._columns()} FROM {self.table} AS this WHERE {condition}"
            " ORDER BY this.pinned DESC, this.key DESC LIMIT ? OFFSET ?",
            [*parameters, limit, offset],
        )
        return [self._decode(row) for row in rows]

    def _columns(self) -> str:
        return ", ".join(f"this.{name}" for name in self.record.__struct_fields__)

    def _decode(self, row: Row) -> RecordT:
        values = dict(zip(self.record.__struct_fields__, row, strict=True))
        for name in self.lists:
            values[name] = tuple(msgspec.json.decode(values[name]))
        return msgspec.convert(values, self.record, strict=False)


def insertion(table: str, record: msgspec.Struct) -> tuple[str, list[Any]]:
    """The statement that adds a record to its table, with its parameters."""
    names = record.__struct_fields__
    values = [getattr(record, name) for name in names]
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        [as_json(value) if isinstance(value, tuple) else value for value in values],
    )


def as_json(values: Iterable[str]) -> str:
    """A list as it is kept."""
    return msgspec.json.encode(tuple(values)).decode()


def owned_by(entity_id: str | None, process_id: str | None) -> tuple[list[str], list[Any]]:
    """The condition, with its parameters, that a record is one person's.

    With a `process_id`, only what that program or persona learnt.
    """
    conditions, parameters = ["this.entity_id IS ?"], [entity_id]
    if process_id is not None:
        conditions.append("this.process_id = ?")
        parameters.append(process_id)
    return conditions, parameters
