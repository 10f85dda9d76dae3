"""Embedders for the benchmarks of recall: `none`, `embedded`, or `ollama:NAME`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from engine.memory.meaning import Meaning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.embedder import Embedder
    from engine.workers import Workers
    from storage.store import Store

PATIENCE = 30.0
"""Seconds: a benchmark measures how long a question takes, and does not cut it short."""


@asynccontextmanager
async def meaning(store: Store, name: str) -> AsyncIterator[Meaning | None]:
    """What an embedder makes of a store; None for `none`."""
    if name == "none":
        yield None
        return

    async def choose(workers: Workers) -> Embedder:
        return await embedder(name, workers)

    made = Meaning(store, choose, patience=PATIENCE)
    try:
        yield made
    finally:
        await made.close()


async def embedder(name: str, workers: Workers) -> Embedder:
    """The embedder of that name, without an engine."""
    from engine.config import OllamaSettings
    from engine.embedding import ServerEmbedder, WorkerEmbedder
    from engine.llm.ollama import Ollama

    if name.startswith("ollama:"):
        return ServerEmbedder(name, Ollama(OllamaSettings()))
    return WorkerEmbedder(name, workers)
