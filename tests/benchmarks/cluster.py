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

import psutil

from engine.cluster import maker
from engine.config import WorkerSettings
from engine.workers import Workers
from tests.dask_cluster import DaskCluster

PASSAGES = 20_000
WORDS = 40
ROUND = 2_000


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
    took = {1: 0.0, 2: 0.0}
    busiest = dict(took)
    clusters = {workers: await asyncio.to_thread(DaskCluster, workers) for workers in took}
    try:
        # In turns, so that other load on the machine meets both; the one that waits does nothing.
        for start in range(0, passages, ROUND):
            for workers, cluster in clusters.items():
                seconds, processor = await embedded(cluster, texts[start : start + ROUND])
                took[workers] += seconds
                busiest[workers] += processor
        killed, _ = await embedded(clusters[2], texts, kill_after=took[2] / 2)
    finally:
        for cluster in clusters.values():
            cluster.stop()
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "passages": passages,
        "words_each": WORDS,
        "seconds": {
            "one worker": round(took[1], 1),
            "two workers": round(took[2], 1),
            "two workers, one of them killed half-way": round(killed, 1),
        },
        "passages_a_second": {
            "one worker": round(passages / took[1], 1),
            "two workers": round(passages / took[2], 1),
        },
        "speed_up": round(took[1] / took[2], 2),
        "processor_seconds_of_the_busiest_worker": {
            "one worker": round(busiest[1], 1),
            "two workers": round(busiest[2], 1),
        },
        "speed_up_with_a_core_for_each": round(busiest[1] / busiest[2], 2),
    }


async def embedded(
    cluster: DaskCluster, texts: list[str], *, kill_after: float | None = None
) -> tuple[float, float]:
    """Seconds until a cluster has embedded all texts, and those of its busiest worker's processor.

    One of its workers may be killed meanwhile.
    """
    from engine.embedding import WorkerEmbedder  # late: it brings numpy

    told: list[str] = []
    make = maker(WorkerSettings(executor="dask", scheduler=cluster.address), told.append, 1)
    async with Workers.running(make, 1) as workers:
        embedder = WorkerEmbedder("embedded", workers)
        await embedder.embed(["ready"] * 64)  # every worker loads the encoder
        used = [processor_seconds(worker.pid) for worker in cluster.workers]
        began = time.perf_counter()
        working = asyncio.ensure_future(embedder.embed(texts))
        if kill_after is not None:
            await asyncio.sleep(kill_after)
            cluster.kill_worker()
        vectors = await working
        seconds = time.perf_counter() - began
        own = [
            processor_seconds(worker.pid) - before
            for worker, before in zip(cluster.workers, used, strict=False)
        ]
    assert vectors.shape[0] == len(texts)
    assert not told, told
    return seconds, max(own)


def processor_seconds(pid: int) -> float:
    """The processor time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def passage(number: int) -> str:
    """A text like no other."""
    words = "the jay hid an acorn under old oak bark where winter snow would not reach it".split()  # noqa: SIM905
    return (
        " ".join(f"{words[(number * 7 + at) % len(words)]}" for at in range(WORDS)) + f" {number}"
    )


if __name__ == "__main__":
    main()
