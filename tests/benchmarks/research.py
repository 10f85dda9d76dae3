"""How long research takes: sources at once, the event loop while passages are ranked, the analysis.

`python -m tests.benchmarks.research --json` runs against a server on loopback that answers after
300 ms, with the embedded sentence encoder. Times are in seconds.

Worker processes import this module, and must not find numpy before they are told to use one core
each, as they do not in the program: so what needs it is imported late.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config import MemorySettings, ModelSettings, ResearchSettings, Settings
from engine.engine import Engine
from engine.events import ResearchChanged
from engine.research.analysis import analyse
from engine.research.outcome import Stage
from engine.research.sources.arxiv import Arxiv
from engine.workers import Workers, processes
from storage.articles import Draft
from storage.records import Role
from tests.embedded_weights import paths_under
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import QUESTION
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.engine.research.server import Reply, Request

ANSWER_SECONDS = 0.3
SOURCES = (3, 10, 30)
PASSAGES = 2_000
ANALYSED = 1_000


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of what is quick")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.runs))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, figure in figures.items():
            print(f"{name}: {figure}")


async def measure(runs: int) -> dict[str, Any]:
    """All figures, by name."""
    return {
        "sources_at_once": [await sources_at_once(number, runs) for number in SOURCES],
        "ranking": await ranking(),
        "analysis": await analysis(runs * 3),
    }


async def sources_at_once(number: int, runs: int) -> dict[str, Any]:
    """The time that fetching from so many sources takes, beside that of the slowest."""

    async def slow(request: Request, reply: Reply) -> None:
        await asyncio.sleep(ANSWER_SECONDS)
        await reply.whole(formats.arxiv(), kind="application/atom+xml")

    walls, slowest = [], []
    async with serving(slow) as server:
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                wall, longest = await _fetch(Path(folder), server.url, number)
                walls.append(wall)
                slowest.append(longest)
    ratio = statistics.median(walls) / statistics.median(slowest)
    return {
        "sources": number,
        "wall": round(statistics.median(walls), 4),
        "slowest_source": round(statistics.median(slowest), 4),
        "times_the_slowest": round(ratio, 3),
        "times_an_answer": round(statistics.median(walls) / ANSWER_SECONDS, 3),
        "budget": 1.25,
        "within": ratio <= 1.25,
    }


async def _fetch(folder: Path, url: str, number: int) -> tuple[float, float]:
    from engine.research.pipeline import Research

    entered: dict[str, float] = {}

    def note(event: object) -> None:
        if isinstance(event, ResearchChanged):
            entered.setdefault(event.research.stage, time.perf_counter())

    settings = Settings(
        model=ModelSettings(default="scripted:parrot"),
        memory=MemorySettings(recall=False),
        research=ResearchSettings(embedder="words", workers=1),
    )
    backend = ScriptedBackend()
    engine = await Engine.open(settings, paths_under(folder), backends=[backend])
    try:
        desk = await engine.research_desk()
        session = await engine.library.create()
        question = await desk.store.messages.append(session.id, role=Role.USER, content=QUESTION)
        sources = [Arxiv(url, named=True, limit=5) for _ in range(number)]
        research = Research(desk, question, sources)
        engine.events.subscribe(note)
        await research.gather(backend, INFO)
        longest = max(source.seconds for source in research.outcome.sources)
        return entered[Stage.RANK] - entered[Stage.FETCH], longest
    finally:
        await engine.close()


async def ranking() -> dict[str, Any]:
    """How long a callback waits for the event loop while passages are embedded and compared."""
    from engine.embedding import WorkerEmbedder
    from engine.encoders import ready
    from engine.research.passages import MOST_PASSAGES
    from engine.research.ranking import rank

    text = [formats.prose(n, 70) for n in range(8)]
    drafts = [
        # Numbers keep the texts apart, so that none is left out as a repetition.
        Draft(
            url=f"https://x.example/{n}",
            source="a",
            title=f"Article {n}",
            text=" ".join(f"{word}{n}" if at % 3 == 0 else word
                          for at, word in enumerate(text[n % 8].split())),
        )
        for n in range(-(-PASSAGES // MOST_PASSAGES))
    ]  # fmt: skip
    async with Workers.running(partial(processes, 2), 2) as workers:
        await workers.warm(ready)
        delays: list[float] = []
        began = time.perf_counter()
        working = asyncio.ensure_future(
            rank(QUESTION, drafts, WorkerEmbedder("embedded", workers), workers)
        )
        while not working.done():
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            delays.append(time.perf_counter() - before - 0.002)
        ranked = await working
        seconds = time.perf_counter() - began
    delays.sort()
    p99 = delays[int(len(delays) * 0.99)]
    return {
        "passages": PASSAGES,
        "articles": len(ranked),
        "seconds": round(seconds, 2),
        "loop_delay_p50": round(statistics.median(delays), 5),
        "loop_delay_p99": round(p99, 5),
        "loop_delay_max": round(delays[-1], 5),
        "budget_p99": 0.02,
        "within": p99 < 0.02,
    }


async def analysis(runs: int) -> dict[str, Any]:
    """The analysis of many articles, beside the start of an interpreter that does nothing."""
    articles = [
        Draft(
            url=f"https://x.example/{n}",
            source=("wikipedia", "arxiv", "feeds")[n % 3],
            title=f"Scrub jays and their stores, part {n}",
            text=formats.prose(n, 30),
            relevance=(n % 100) / 100,
            published_at=1_500_000_000.0 + n * 200_000,
        )
        for n in range(ANALYSED)
    ]

    async def bare() -> None:
        await asyncio.to_thread(subprocess.run, [sys.executable, "-I", "-c", "pass"], env={})

    async def whole() -> None:
        report = await analyse(articles)
        assert report.count == ANALYSED, report.failure

    starts, analyses = [], []
    for _ in range(runs):  # in turns, so that other load on the machine meets both
        starts.append(await _timed(bare))
        analyses.append(await _timed(whole))
    start, took = statistics.median(starts), statistics.median(analyses)
    return {
        "articles": ANALYSED,
        "seconds": round(took, 4),
        "bare_interpreter": round(start, 4),
        "times_a_start": round(took / start, 2),
        "budget": 3.0,
        "within": took <= 3 * start,
    }


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
