"""Facts: what holds about a subject, since when, how sure that is, and where it was learnt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from storage.errors import UnknownMemoryError
from storage.ids import new_id
from storage.memory import Batch, MemoryStore, insertion
from storage.records import Fact

if TYPE_CHECKING:
    from collections.abc import Sequence


class FactBatch(Batch):
    """Changes to facts, written together."""

    def add(
        self,
        subject: str,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
    ) -> Fact:
        """Learn a fact from messages; it holds from now unless it held before."""
        now = time.time()
        fact = Fact(
            id=new_id(),
            subject=subject,
            text=text,
            source_ids=tuple(source_ids),
            confidence=confidence,
            valid_from=now if valid_from is None else valid_from,
            created_at=now,
        )
        self.change(*insertion("facts", fact))
        return fact

    def supersede(
        self,
        fact_id: str,
        subject: str,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
    ) -> Fact:
        """Learn a fact that holds instead of another. The other is kept, for its time."""
        fact = self.add(
            subject, text, source_ids=source_ids, confidence=confidence, valid_from=valid_from
        )
        self.change(
            "UPDATE facts SET valid_to = ?, superseded_by = ?"
            " WHERE id = ? AND superseded_by IS NULL",
            (fact.valid_from, fact.id, fact_id),
        )
        return fact

    def forget(self, fact_id: str) -> None:
        """Remove a fact for good."""
        self.change("DELETE FROM facts WHERE id = ?", (fact_id,))


class FactStore(MemoryStore[Fact, FactBatch]):
    """The facts of a database."""

    table = "facts"
    record = Fact
    batches = FactBatch
    lists: ClassVar[frozenset[str]] = frozenset({"source_ids"})

    async def add(
        self,
        subject: str,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
    ) -> Fact:
        """Learn a fact from messages; it holds from now unless it held before."""
        batch = FactBatch()
        fact = batch.add(
            subject, text, source_ids=source_ids, confidence=confidence, valid_from=valid_from
        )
        await self._commit(batch)
        return fact

    async def supersede(
        self,
        fact_id: str,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
    ) -> Fact:
        """Learn a fact that holds instead of another, on its subject; the other ends and is kept.

        Raises:
            UnknownMemoryError: The other is not there, or is superseded already.
        """
        old = await self.get(fact_id)
        if old is None:
            raise UnknownMemoryError(f"There is no fact {fact_id}.")
        batch = FactBatch()
        fact = batch.supersede(
            fact_id,
            old.subject,
            text,
            source_ids=source_ids,
            confidence=confidence,
            valid_from=valid_from,
        )
        await self._commit(batch)
        return fact

    async def forget(self, fact_id: str) -> None:
        """Remove a fact for good.

        Raises:
            UnknownMemoryError: It is not there.
        """
        batch = FactBatch()
        batch.forget(fact_id)
        await self._commit(batch)

    async def search(
        self,
        query: str = "",
        *,
        subject: str | None = None,
        at: float | None = None,
        min_confidence: float = 0.0,
        limit: int = 10,
    ) -> list[Fact]:
        """The facts that hold at a time (now, if none is given) and share most with `query`.

        Without words it is the newest ones.
        """
        moment = time.time() if at is None else at
        conditions = [
            "this.valid_from <= ?",
            "(this.valid_to IS NULL OR this.valid_to > ?)",
            "this.confidence >= ?",
        ]
        parameters: list[Any] = [moment, moment, min_confidence]
        if subject is not None:
            conditions.append("this.subject = ?")
            parameters.append(subject)
        return await self._search(query, conditions, parameters, limit)
