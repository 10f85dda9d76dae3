"""What embeddings add to recall: vectors of messages, made in the background, and of questions.

A message is found by its words as soon as it is kept; its vector follows. Vectors belong to the
model that made them: when another one is chosen, all are made anew, and then the old ones go.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.llm.base import ModelError
from engine.workers import Workers, processes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.embedder import Embedder
    from engine.workers import MakeExecutor
    from storage.store import Store

    Progress: TypeAlias = Callable[[float], None]

log = logging.getLogger(__name__)

PATIENCE = 0.25
"""Seconds that a question waits for its vector; then its words have to do."""

NICENESS = 10
"""The encoder's process gives way to whatever else there is to do."""

BATCH = 16
"""Messages that a worker embeds at a time. A question waits for one batch at most."""

LONGEST_CHARACTERS = 2_000
"""Of a longer message the beginning stands for it."""

FAILURES = (ModelError, BrokenExecutor, ExceptionGroup, TimeoutError, OSError, ValueError)


class Meaning:
    """Embeds the messages of a store, and questions about them."""

    def __init__(
        self,
        store: Store,
        choose: Callable[[Workers], Awaitable[Embedder]],
        *,
        patience: float = PATIENCE,
        make: MakeExecutor | None = None,
    ) -> None:
        """Keep how to come by an embedder; it is chosen when it is needed.

        Args:
            store: Whose messages.
            choose: Told what processes there are to work in. Raises `ModelError` when there is no
                embedder.
            patience: Seconds that a question waits for its vector.
            make: Makes the executor of the workers; by default, one process that gives way.
        """
        self._store = store
        self._choose = choose
        self._patience = patience
        self._workers = Workers(make or partial(processes, 1, NICENESS), 1)
        self._embedder: Embedder | None = None
        self._ready = False
        self._done = 0
        """Up to this key every message has its vector, or needs none."""

        self._mark = (0, "")
        """The newest message when that was so."""

        self._others_gone = False
        self._catching_up = asyncio.Lock()

    @property
    def space(self) -> str | None:
        """Which vectors can be compared with those of questions; None before that is known."""
        return self._embedder.space if self._embedder is not None and self._ready else None

    async def of(self, question: str) -> Any:
        """A question's vector, of length one; None when that would take long."""
        if not self._ready or self._embedder is None:
            return None
        try:
            async with asyncio.timeout(self._patience):
                [vector] = await self._scaled([question])
        except FAILURES as error:
            log.info("a question was not embedded: %s", type(error).__name__)
            return None
        return vector

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Embed every finished message that has no vector yet, oldest first.

        What was made is kept batch by batch: cancelled, this goes on where it stood.

        Args:
            progress: Told the share of what is done, from time to time.

        Raises:
            ModelError: There is no such embedder, or its server failed.
            BrokenExecutor, TimeoutError: Its process did.
            StorageError: The store can't be used.
        """
        async with self._catching_up:
            embedder = await self._chosen()
            if not self._ready:
                await embedder.embed(["ready"])
                self._ready = True
            source = self._store.recall_source
            if not await source.holds(*self._mark):  # keys of purged messages are used again
                self._done = 0
            self._mark = await source.newest()
            after, held = self._done, None
            while batch := await self._store.message_vectors.waiting(
                embedder.space, after=after, limit=BATCH * self._workers.width
            ):
                told = [one for one in batch if not one.streaming and one.text.strip()]
                if told:
                    vectors = await self._scaled([one.text[:LONGEST_CHARACTERS] for one in told])
                    await self._store.message_vectors.keep(
                        embedder.space,
                        {
                            one.message_id: vector.astype("<f4").tobytes()
                            for one, vector in zip(told, vectors, strict=True)
                        },
                    )
                after = batch[-1].key
                if held is None:
                    held = next((one.key for one in batch if one.streaming), None)
                self._done = after if held is None else held - 1
                if progress is not None:
                    progress(min(1.0, after / max(1, self._mark[0])))
            if not self._others_gone:
                await self._store.message_vectors.forget_others(embedder.space)
                self._others_gone = True

    async def close(self) -> None:
        """End the process of the encoder."""
        self._ready = False
        await self._workers.close()

    async def _chosen(self) -> Embedder:
        if self._embedder is None:
            self._embedder = await self._choose(self._workers)
        return self._embedder

    async def _scaled(self, texts: Sequence[str]) -> Any:
        """Vectors of texts, each of length one."""
        import numpy as np

        embedder = await self._chosen()
        vectors = await embedder.embed(texts)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise ValueError("An embedder gave what is no number.")
        return vectors / np.maximum(lengths, 1e-6)
