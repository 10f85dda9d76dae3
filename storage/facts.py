"""Facts: what holds about a subject, since when, how sure that is, and where it was learnt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from storage.errors import UnknownMemoryError
from storage.ids import new_id
from storage.memory import Batch, MemoryStore, as_json, insertion, owned_by
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
        session_id: str | None = None,
        entity_id: str | None = None,
        process_id: str | None = None,
        pinned: bool = False,
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
            session_id=session_id,
            entity_id=entity_id,
            process_id=process_id,
            pinned=pinned,
        )
        self.change(*insertion("facts", fact))
        return fact

    def supersede(
        self,
        old: Fact,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
        session_id: str | None = None,
        process_id: str | None = None,
    ) -> Fact:
        """Learn what holds instead of another fact, on its subject. The other ends and is kept."""
        fact = self.add(
            old.subject,
            text,
            source_ids=source_ids,
            confidence=confidence,
            valid_from=valid_from,
            session_id=session_id,
            entity_id=old.entity_id,
            process_id=process_id or old.process_id,
            pinned=old.pinned,
        )
        self.change(
            "UPDATE facts SET valid_to = ?, superseded_by = ?"
            " WHERE id = ? AND superseded_by IS NULL",
            (max(fact.valid_from, old.valid_from), fact.id, old.id),
        )
        return fact

    def confirm(self, fact: Fact, *, source_ids: Sequence[str], confidence: float) -> None:
        """Note that a fact was told again: it has more sources, and is as sure as that."""
        sources = dict.fromkeys((*fact.source_ids, *source_ids))
        self.change(
            "UPDATE facts SET source_ids = ?, confidence = ? WHERE id = ?",
            (as_json(sources), confidence, fact.id),
        )

    def forget(self, fact_id: str) -> None:
        """Remove a fact for good."""
        self.change("DELETE FROM facts WHERE id = ?", (fact_id,))

    def end(self, fact: Fact, at: float | None = None) -> None:
        """Note that a fact holds no more, and nothing instead of it. It is kept."""
        moment = time.time() if at is None else at
        self.change(
            "UPDATE facts SET valid_to = ? WHERE id = ? AND valid_to IS NULL",
            (max(moment, fact.valid_from), fact.id),
        )


class FactStore(MemoryStore[Fact, FactBatch]):
    """The facts of a database."""

    table = "facts"
    record = Fact
    batches = FactBatch
    lists: ClassVar[frozenset[str]] = frozenset({"source_ids"})
    counted = "valid_to IS NULL"

    async def add(
        self,
        subject: str,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
        session_id: str | None = None,
        entity_id: str | None = None,
        process_id: str | None = None,
    ) -> Fact:
        """Learn a fact from messages; it holds from now unless it held before."""
        async with self.batch() as batch:
            return batch.add(
                subject,
                text,
                source_ids=source_ids,
                confidence=confidence,
                valid_from=valid_from,
                session_id=session_id,
                entity_id=entity_id,
                process_id=process_id,
            )

    async def supersede(
        self,
        fact_id: str,
        text: str,
        *,
        source_ids: Sequence[str] = (),
        confidence: float = 1.0,
        valid_from: float | None = None,
        session_id: str | None = None,
    ) -> Fact:
        """Learn a fact that holds instead of another, on its subject; the other ends and is kept.

        Raises:
            UnknownMemoryError: The other is not there, or is superseded already.
        """
        old = await self.get(fact_id)
        if old is None:
            raise UnknownMemoryError(f"There is no fact {fact_id}.")
        async with self.batch() as batch:
            return batch.supersede(
                old,
                text,
                source_ids=source_ids,
                confidence=confidence,
                valid_from=valid_from,
                session_id=session_id,
            )

    async def history(self, fact_id: str) -> list[Fact]:
        """A fact and all that it superseded, the newest first. Empty when it is not there."""
        rows = await self._database.fetch_all(
            f"""
            WITH RECURSIVE before (id) AS (
                SELECT id FROM facts WHERE id = ?
                UNION SELECT facts.id FROM facts JOIN before ON facts.superseded_by = before.id
            )
            SELECT {self._columns()} FROM facts AS this WHERE this.id IN (SELECT id FROM before)
            ORDER BY this.key DESC
            """,
            (fact_id,),
        )
        return [self._decode(row) for row in rows]

    async def search(
        self,
        query: str = "",
        *,
        subject: str | None = None,
        at: float | None = None,
        min_confidence: float = 0.0,
        ended: bool = False,
        entity_id: str | None = None,
        process_id: str | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> list[Fact]:
        """The facts that hold at a time (now, if none is given) and share most with `query`.

        Without words it is the pinned ones, then the newest. With `ended`, also those that hold no
        more or not yet.
        """
        conditions, parameters = owned_by(entity_id, process_id)
        if not ended:
            moment = time.time() if at is None else at
            conditions += ["this.valid_from <= ?", "(this.valid_to IS NULL OR this.valid_to > ?)"]
            parameters += [moment, moment]
        if min_confidence:
            conditions.append("this.confidence >= ?")
            parameters.append(min_confidence)
        if subject is not None:
            conditions.append("this.subject = ?")
            parameters.append(subject)
        return await self._search(query, conditions, parameters, limit, offset)

    async def ended(
        self, entity_id: str | None = None, *, limit: int = 1_000
    ) -> list[tuple[Fact, str | None]]:
        """The facts of a person that hold no more, the newest first, and what each became."""
        rows = await self._database.fetch_all(
            f"SELECT {self._columns()}, next.text FROM facts AS this"
            " LEFT JOIN facts AS next ON next.id = this.superseded_by"
            " WHERE this.entity_id IS ? AND this.valid_to IS NOT NULL"
            " ORDER BY this.key DESC LIMIT ?",
            (entity_id, limit),
        )
        return [(self._decode(row[:-1]), row[-1]) for row in rows]
