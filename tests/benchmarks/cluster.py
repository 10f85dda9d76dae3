"""What workers of a cluster bring: passages embedded by one, by two, and by two of which one dies.

`python -m tests.benchmarks.cluster --json` starts Dask on loopback, a scheduler and workers of one
thread, each a process of its own, and lets them embed with the sentence encoder. On one machine the
workers share its cores, so the speed-up can't be more than what these are free for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from typing import Any

from engine.cluster import maker
from engine.config import WorkerSettings
from engine.workers import Workers
from tests.dask_cluster import DaskCluster

PASSAGES = 20_000
WORDS = 40


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=PASSAGES)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.passages))
    print(json.dumps(figures, indent=2 if options.json else None))


async def measure(passages: int) -> dict[str, Any]:
    """All figures; times are in seconds."""
    texts = [passage(number) for number in range(passages)]
    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "passages": passages,
        "words_each": WORDS,
    }
    took = {}
    for name, workers in (("one_worker", 1), ("two_workers", 2)):
        cluster = await asyncio.to_thread(DaskCluster, workers)
        try:
            took[name] = await embedded(cluster, texts)
        finally:
            cluster.stop()
        figures[name] = {
            "seconds": round(took[name], 1),
            "passages_a_second": round(passages / took[name], 1),
        }
    figures["speed_up"] = round(took["one_worker"] / took["two_workers"], 2)
    cluster = await asyncio.to_thread(DaskCluster, 2)
    try:
        seconds = await embedded(cluster, texts, kill_after=took["two_workers"] / 2)
    finally:
        cluster.stop()
    figures["two_of_which_one_is_killed_half_way"] = {"seconds": round(seconds, 1)}
    return figures


async def embedded(
    cluster: DaskCluster, texts: list[str], *, kill_after: float | None = None
) -> float:
    """Seconds until a cluster has embedded all texts, with one of its workers killed or not."""
    from engine.embedding import WorkerEmbedder  # late: it brings numpy

    told: list[str] = []
    make = maker(WorkerSettings(executor="dask", scheduler=cluster.address), told.append, 1)
    async with Workers.running(make, 1) as workers:
        embedder = WorkerEmbedder("embedded", workers)
        await embedder.embed(["ready"] * 64)  # every worker loads the encoder
        began = time.perf_counter()
        working = asyncio.ensure_future(embedder.embed(texts))
        if kill_after is not None:
            await asyncio.sleep(kill_after)
            cluster.kill_worker()
        vectors = await working
        seconds = time.perf_counter() - began
    assert vectors.shape[0] == len(texts)
    assert not told, told
    return seconds


def passage(number: int) -> str:
    """A text like no other."""
    words = "the jay hid an acorn under old oak bark where winter snow would not reach it".split()  # noqa: SIM905
    return (
        " ".join(f"{words[(number * 7 + at) % len(words)]}" for at in range(WORDS)) + f" {number}"
    )


if __name__ == "__main__":
    main()
