"""Settings that lead to loopback, a fetcher, and an engine that researches with them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from engine.config import MemorySettings, ModelSettings, ResearchSettings, Settings
from engine.llm.base import Chunk
from engine.research.fetching import Fetcher, Network
from engine.research.guard import system_resolve
from storage.records import ToolCall
from tests.engine.support import running_engine
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from engine.engine import Engine
    from engine.research.guard import Resolve

QUESTION = "How do scrub jays remember the food that they cached?"

TOPICS = '{"topics": ["scrub jay memory"]}'
"""What a model says that is asked for topics."""

QUICK = ResearchSettings(
    connect_seconds=1.0,
    read_seconds=1.0,
    request_seconds=2.0,
    source_seconds=4.0,
    attempts=2,
    largest_bytes=1_000_000,
    embedder="words",
    workers=1,
)
"""Bounds that a test can wait for."""


def research_at(url: str, **changes: Any) -> ResearchSettings:
    """All four services at one address."""
    return msgspec.structs.replace(
        QUICK,
        **{
            "wikipedia_url": url,
            "hacker_news_url": url,
            "arxiv_url": url,
            "stack_exchange_url": url,
            **changes,
        },
    )


@asynccontextmanager
async def fetching(
    folder: Path, settings: ResearchSettings = QUICK, *, resolve: Resolve = system_resolve
) -> AsyncIterator[Fetcher]:
    async with Network.open(settings, folder / "pages", resolve=resolve) as network:
        yield network.fetcher()


@asynccontextmanager
async def researching(
    folder: Path,
    research: ResearchSettings,
    backend: ScriptedBackend | None = None,
    *,
    in_processes: bool = False,
) -> AsyncIterator[Engine]:
    settings = Settings(
        model=ModelSettings(default="scripted:parrot"),
        memory=MemorySettings(recall=False),
        research=research,
    )
    async with running_engine(folder, backend, settings) as engine:
        if not in_processes:
            (await engine.research_desk()).make_workers = threads
        yield engine


def threads() -> tuple[Executor, Callable[[], None]]:
    """Workers that begin at once, where a test is not about processes."""
    return ThreadPoolExecutor(1), lambda: None


def wants(question: str, id: str = "1") -> Chunk:
    """A model's call of the tool."""
    call = ToolCall(id=id, name="research", arguments={"question": question})
    return Chunk(tool_calls=(call,))


def able(*scripts: list[str | asyncio.Event | Exception | Chunk]) -> ScriptedBackend:
    """A model that is large enough for tools."""
    backend = ScriptedBackend(*scripts)
    backend.info = msgspec.structs.replace(
        INFO,
        parameters="8B",
        context_length=8192,
        window=8192,
        capabilities=frozenset({"chat", "tools"}),
    )
    return backend


async def holds(condition: Any, seconds: float = 10) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
