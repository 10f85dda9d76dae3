"""What recall costs as memory grows: loading, adding a message, asking.

`python -m tests.benchmarks.recall_scale` keeps made-up messages in a real database (words drawn by
Zipf's law from 30,000, sessions of 20 messages) and prints JSON: seconds to load the index, median
and 95th percentile of a question in milliseconds from text to five messages, of adding one message,
and the longest time in milliseconds that the event loop stood still while the index was loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    print(json.dumps([asyncio.run(measured(size)) for size in arguments.sizes], indent=1))


async def measured(size: int) -> dict[str, Any]:
    """The figures for one person with so many messages."""
    texts = made_up(random.Random(size))
    with tempfile.TemporaryDirectory() as folder:
        async with await Store.open(Path(folder) / "recall.db") as store:
            await _fill(store, texts, size)
            recall = Recall(store)
            stood_still, load_seconds = await _loaded(recall)
            asking = [await _asked(recall, next(texts)) for _ in range(QUESTIONS)]
            adding = [await _added(store, recall, next(texts)) for _ in range(20)]
    return {
        "messages": size,
        "load_seconds": round(load_seconds, 2),
        "loop_stood_still_ms": round(stood_still, 1),
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
