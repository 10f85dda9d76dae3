"""Cancelling at any moment leaves nothing behind: no task, process, socket or half-written row."""

from __future__ import annotations

import asyncio
import tempfile
import time
from multiprocessing import resource_tracker
from pathlib import Path

import psutil
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.events import ResearchChanged
from engine.research.outcome import Stage
from storage.records import Finish
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import QUESTION, holds, research_at, researching
from tests.scripted import ScriptedBackend

LIMIT = 2.0
"""Seconds, for everything to be gone."""

STAGES = [Stage.TOPICS, Stage.FETCH, Stage.RANK, Stage.ANALYSE, Stage.ANSWER]


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(stage=st.sampled_from(STAGES), delay=st.floats(0, 0.3))
@example(stage=Stage.TOPICS, delay=0.0)
@example(stage=Stage.RANK, delay=0.1)
@example(stage=Stage.ANALYSE, delay=0.0)
def test_a_run_that_is_stopped_leaves_nothing(stage: Stage, delay: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(stop_at(Path(folder), stage, delay))


async def stop_at(folder: Path, stage: Stage, delay: float) -> None:
    reached = asyncio.Event()

    def note(event: object) -> None:
        if isinstance(event, ResearchChanged) and event.research.stage == stage:
            reached.set()

    backend = ScriptedBackend(["So ", asyncio.Event(), "on."])
    async with serving(formats.services) as server:
        research = research_at(server.url, embedder="embedded", workers=2)
        async with researching(folder, research, backend, in_processes=True) as engine:
            await engine.research_desk()
            tasks, children = asyncio.all_tasks(), processes()
            engine.events.subscribe(note)
            turn = await engine.research(None, QUESTION)
            async with asyncio.timeout(20):
                await reached.wait()
            await asyncio.sleep(delay)

            stopped = time.monotonic()
            answer = await turn.stop()
            await holds(
                lambda: (
                    not (
                        [task for task in asyncio.all_tasks() - tasks if "serve" not in repr(task)]
                        or processes() - children
                        or server.open
                        or engine.pool.living()
                    )
                ),
                LIMIT,
            )
            assert time.monotonic() - stopped < LIMIT

            assert answer.finish is Finish.STOPPED
            assert turn.research is not None
            assert turn.research.stage is Stage.STOPPED
            kept = await engine.library.articles(turn.session_id)
            assert len(kept) in (0, len(turn.research.articles))
            assert all(article.relevance is not None for article in kept)
            assert not list((folder / "cache" / "research").glob("*.part"))


def processes() -> set[int]:
    """Our children, without the one that Python keeps to tidy up after the others."""
    tidier = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.pid != tidier and child.status() != psutil.STATUS_ZOMBIE
    }


async def test_closing_the_engine_ends_a_run(tmp_path: Path) -> None:
    async def hang(request: object, reply: object) -> None:
        await asyncio.Event().wait()

    before = processes()
    async with serving(hang) as server:
        async with researching(tmp_path, research_at(server.url), in_processes=True) as engine:
            turn = await engine.research(None, QUESTION)
            await holds(lambda: server.open >= 4)
            began = time.monotonic()
        assert time.monotonic() - began < LIMIT
        assert turn.answer.finish is Finish.INTERRUPTED
        await holds(lambda: not server.open and processes() <= before, LIMIT)
