"""Episodes: what happened, in which session and task, and whether it went well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from storage.ids import new_id
from storage.memory import Batch, MemoryStore, as_json, insertion, owned_by
from storage.records import Episode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class EpisodeBatch(Batch):
    """Changes to episodes, written together."""

    def add(
        self,
        text: str,
        *,
        session_id: str | None = None,
        task_id: str | None = None,
        tags: Sequence[str] = (),
        success: bool | None = None,
        score: float = 0.0,
        created_at: float | None = None,
        entity_id: str | None = None,
        process_id: str | None = None,
    ) -> Episode:
        """Remember an episode, as of now unless it happened before."""
        episode = Episode(
            id=new_id(),
            session_id=session_id,
            task_id=task_id,
            text=text,
            tags=tuple(tags),
            success=success,
            score=score,
            created_at=time.time() if created_at is None else created_at,
            entity_id=entity_id,
            process_id=process_id,
        )
        self.change(*insertion("episodes", episode))
        return episode

    def rate(self, episode_id: str, *, success: bool | None, score: float) -> None:
        """Say how an episode went, when that is known."""
        self.change(
            "UPDATE episodes SET success = ?, score = ? WHERE id = ?", (success, score, episode_id)
        )

    def retell(self, episode_id: str, text: str, *, tags: Sequence[str] = ()) -> None:
        """Replace an episode's text and tags."""
        self.change(
            "UPDATE episodes SET text = ?, tags = ? WHERE id = ?",
            (text, as_json(tags), episode_id),
        )

    def forget(self, episode_id: str) -> None:
        """Remove an episode for good."""
        self.change("DELETE FROM episodes WHERE id = ?", (episode_id,))


class EpisodeStore(MemoryStore[Episode, EpisodeBatch]):
    """The episodes of a database."""

    table = "episodes"
    record = Episode
    batches = EpisodeBatch
    lists: ClassVar[frozenset[str]] = frozenset({"tags"})

    async def add(
        self,
        text: str,
        *,
        session_id: str | None = None,
        task_id: str | None = None,
        tags: Sequence[str] = (),
        success: bool | None = None,
        score: float = 0.0,
        created_at: float | None = None,
        entity_id: str | None = None,
        process_id: str | None = None,
    ) -> Episode:
        """Remember an episode, as of now unless it happened before."""
        batch = EpisodeBatch()
        episode = batch.add(
            text,
            session_id=session_id,
            task_id=task_id,
            tags=tags,
            success=success,
            score=score,
            created_at=created_at,
            entity_id=entity_id,
            process_id=process_id,
        )
        await self._commit(batch)
        return episode

    async def rate(self, episode_id: str, *, success: bool | None, score: float) -> None:
        """Say how an episode went, when that is known.

        Raises:
            UnknownMemoryError: It is not there.
        """
        batch = EpisodeBatch()
        batch.rate(episode_id, success=success, score=score)
        await self._commit(batch)

    async def search(
        self,
        query: str = "",
        *,
        task_id: str | None = None,
        session_id: str | None = None,
        tags: Sequence[str] = (),
        success_only: bool = False,
        limit: int = 10,
        offset: int = 0,
        min_score: float | None = None,
        entity_id: str | None = None,
        process_id: str | None = None,
    ) -> list[Episode]:
        """The episodes that share most with `query`; without words, the pinned, then the newest.

        All of `tags` have to be an episode's, and its score at least `min_score`. The query may
        hold `after:` and `before:`.
        """
        conditions, parameters = owned_by(entity_id, process_id)
        if task_id is not None:
            conditions.append("this.task_id = ?")
            parameters.append(task_id)
        if session_id is not None:
            conditions.append("this.session_id = ?")
            parameters.append(session_id)
        for tag in tags:
            conditions.append("EXISTS (SELECT 1 FROM json_each(this.tags) WHERE value = ?)")
            parameters.append(tag)
        if success_only:
            conditions.append("this.success")
        if min_score is not None:
            conditions.append("this.score >= ?")
            parameters.append(min_score)
        return await self._search(query, conditions, parameters, limit, offset)

    async def stream(
        self, *, batch_size: int = 500, min_score: float | None = None
    ) -> AsyncIterator[Episode]:
        """Every episode with this score at least, the oldest first, read `batch_size` at a time.

        What is added meanwhile comes too; no lock and no memory is held between batches.
        """
        conditions = [] if min_score is None else ["this.score >= ?"]
        parameters = [] if min_score is None else [min_score]
        async for episode in self._stream(conditions, parameters, batch_size):
            yield episode
