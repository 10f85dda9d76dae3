"""What recall costs as memory grows: loading, adding a message, asking.

`python -m tests.benchmarks.recall_scale` keeps made-up messages in a real database (words drawn by
Zipf's law from 30,000, sessions of 20 messages) and prints JSON: seconds to make the index, to read
it again at the next start and processor time for both, median and 95th percentile of a question in
milliseconds from text to five messages, of adding one message, the longest time in milliseconds
that the event loop stood still while the index was made, and how many megabytes the process grew by
at the next start and sixty questions. Each size has a process of its own for that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from engine.memory.recall import Recall
from storage.records import Role
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (650, 60_000, 100_000)
QUESTIONS = 60
VOCABULARY = 30_000
SESSION = 20
AT_ONCE = 400
"""Messages handed to the writer together."""

COMMON = tuple(
    "i you the a to and of in is it that was for on my with have not but this at we be".split()  # noqa: SIM905
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    print(json.dumps([measured(size) for size in arguments.sizes], indent=1))


def measured(size: int) -> dict[str, Any]:
    """The figures for one person with so many messages."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "recall.db"
        asyncio.run(_filled(database, size))
        made, again = (in_a_process(database, size + turn) for turn in range(2))
    return {
        "messages": size,
        "load_seconds": made["load_seconds"],
        "load_processor_seconds": made["load_processor_seconds"],
        "loop_stood_still_ms": made["loop_stood_still_ms"],
        "load_again_seconds": again.pop("load_seconds"),
        "load_again_processor_seconds": again.pop("load_processor_seconds"),
        "loop_stood_still_again_ms": again.pop("loop_stood_still_ms"),
        **again,
    }


def in_a_process(database: Path, seed: int) -> dict[str, Any]:
    """The figures of a program that starts."""
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return executor.submit(_started, database, seed).result()


async def _filled(database: Path, size: int) -> None:
    async with await Store.open(database) as store:
        await _fill(store, made_up(random.Random(size)), size)


def _started(database: Path, seed: int) -> dict[str, Any]:
    return asyncio.run(_start(database, seed))


async def _start(database: Path, seed: int) -> dict[str, Any]:
    """What a program sees that recalls from a database."""
    texts = made_up(random.Random(seed))
    next(texts)
    async with await Store.open(database) as store:
        before = psutil.Process().memory_info().rss
        recall = Recall(store)
        used = time.process_time()
        stood_still, load_seconds = await _loaded(recall)
        used = time.process_time() - used
        asking = [await _asked(recall, next(texts)) for _ in range(QUESTIONS)]
        adding = [await _added(store, recall, next(texts)) for _ in range(20)]
        grown = psutil.Process().memory_info().rss - before
    return {
        "load_seconds": round(load_seconds, 2),
        "load_processor_seconds": round(used, 2),
        "loop_stood_still_ms": round(stood_still, 1),
        "grown_megabytes": round(grown / 1024**2, 1),
        "ask_p50_ms": round(statistics.median(asking), 2),
        "ask_p95_ms": round(sorted(asking)[int(QUESTIONS * 0.95)], 2),
        "add_p50_ms": round(statistics.median(adding), 2),
    }


def made_up(chance: random.Random) -> Iterator[str]:
    """Texts without end."""
    syllables = [one + two for one in "bcdfghjklmnprstvw" for two in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(VOCABULARY)]
    weights = [1 / (rank + 10) for rank in range(VOCABULARY)]
    while True:
        said = chance.choices(words, weights, k=chance.randint(4, 24))
        said += chance.choices(COMMON, k=len(said))
        chance.shuffle(said)
        yield " ".join(said)


async def _fill(store: Store, texts: Iterator[str], size: int) -> None:
    sessions = [(await store.sessions.create()).id for _ in range(-(-size // SESSION))]
    for start in range(0, size, AT_ONCE):
        await asyncio.gather(
            *(
                store.messages.append(
                    sessions[number // SESSION],
                    role=Role.ASSISTANT if number % 2 else Role.USER,
                    content=next(texts),
                    created_at=1_700_000_000.0 + 600 * number,
                )
                for number in range(start, min(start + AT_ONCE, size))
            )
        )


async def _loaded(recall: Recall) -> tuple[float, float]:
    """How long the loop stood still at most, in milliseconds, and how many seconds it took."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, 1000 * (time.perf_counter() - before) - 1)

    watching = asyncio.create_task(watch())
    started = time.perf_counter()
    await recall.load()
    seconds = time.perf_counter() - started
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await recall.recall("warm up the caches", 1)
    return longest, seconds


async def _asked(recall: Recall, text: str) -> float:
    """Milliseconds for a question of up to ten words."""
    question = " ".join(text.split()[:10])
    started = time.perf_counter()
    await recall.recall(question, 5)
    return 1000 * (time.perf_counter() - started)


async def _added(store: Store, recall: Recall, text: str) -> float:
    """Milliseconds until a kept message is in the index."""
    session = await store.sessions.create()
    await store.messages.append(session.id, role=Role.USER, content=text)
    started = time.perf_counter()
    await recall.load()
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
