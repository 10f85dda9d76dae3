"""Episodes, facts and skills on a server. While it is out of reach, batches of them wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.episodes import EpisodeBatch, EpisodeStore
from storage.facts import FactBatch, FactStore
from storage.memory import Batch, BatchT, MemoryStore, RecordT
from storage.postgres.writes import Remember
from storage.records import Episode, Fact, Skill
from storage.skills import SkillBatch, SkillStore

if TYPE_CHECKING:
    from storage.postgres.later import Later
    from storage.sql import Sql


class _Waiting(MemoryStore[RecordT, BatchT]):
    def __init__(self, database: Sql, later: Later) -> None:
        super().__init__(database)
        self._later = later

    async def _commit(self, batch: Batch) -> None:
        async def now() -> bool:
            await MemoryStore._commit(self, batch)
            return True

        changes = [(sql, list(parameters)) for sql, parameters in batch.changes]
        await self._later.write(Remember(changes=changes), now, lambda: True)


class PostgresEpisodeStore(_Waiting[Episode, EpisodeBatch], EpisodeStore):
    """The episodes on a server."""


class PostgresFactStore(_Waiting[Fact, FactBatch], FactStore):
    """The facts on a server."""


class PostgresSkillStore(_Waiting[Skill, SkillBatch], SkillStore):
    """The skills on a server."""
