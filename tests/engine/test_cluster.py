"""Work on a real Dask cluster: done, watched, cancelled, and not lost with a worker."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engine.cluster import connect, maker
from engine.config import MemorySettings, WorkerSettings
from engine.embedding import WorkerEmbedder
from engine.events import JobChanged, Notice
from engine.research.ranking import rank
from engine.workers import Workers
from storage.articles import Draft
from storage.records import Finish, Role
from tests.dask_cluster import DaskCluster
from tests.engine.research.support import holds
from tests.engine.support import SETTINGS, Watch, running_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.engine import Engine

TEXTS = [f"The jay number {number} hid an acorn under the oak." for number in range(320)]


@pytest.fixture(scope="module")
def two() -> Iterator[DaskCluster]:
    """A cluster of two workers. A test that ends one starts another."""
    cluster = DaskCluster(2)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def told() -> list[str]:
    """Why the cluster was not used."""
    return []


def workers_of(address: str, told: list[str]) -> Workers:
    settings = WorkerSettings(executor="dask", scheduler=address)
    return Workers(maker(settings, told.append, 1), 1)


def pid_later(folder: str, seconds: float = 0.0) -> int:
    """Leave a mark that this was begun, and return who did it."""
    Path(folder, f"{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(seconds)
    return os.getpid()


def no_such_bird() -> None:
    raise LookupError("no such bird")


def begin(workers: Workers, folder: Path, many: int, seconds: float) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(workers.run(pid_later, str(folder), seconds)) for _ in range(many)]


def begun(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def test_all_workers_of_a_cluster_take_part_and_vectors_come_back_in_order(
    two: DaskCluster, told: list[str], tmp_path: Path
) -> None:
    workers = workers_of(two.address, told)
    try:
        pids = await asyncio.gather(*begin(workers, tmp_path, 6, 0.2))
        assert set(pids) == {worker.pid for worker in two.workers}
        words = WorkerEmbedder("words", workers)
        vectors = await words.embed(TEXTS)
        assert np.array_equal(vectors, words._function(TEXTS))
        with pytest.raises(LookupError, match="no such bird"):
            await workers.run(no_such_bird)
        drafts = [
            Draft(url=f"https://{number}.example/", title=text, text=text, source="pages")
            for number, text in enumerate(TEXTS[:8])
        ]
        ranked = await rank("jay number 5", drafts, words, workers)
        assert ranked[0].title == TEXTS[5]
    finally:
        await workers.close()
    assert told == []


async def test_the_work_of_a_worker_that_is_killed_is_done_by_another(
    two: DaskCluster, told: list[str], tmp_path: Path
) -> None:
    workers = workers_of(two.address, told)
    try:
        work = [
            asyncio.ensure_future(workers.run(pid_later, str(tmp_path), 0.2)) for _ in TEXTS[:30]
        ]
        await holds(lambda: begun(tmp_path) > 4, 20)
        await asyncio.to_thread(two.kill_worker)
        pids = await asyncio.gather(*work)
        assert len(pids) == 30
        assert pids[-1] == two.workers[0].pid
        assert begun(tmp_path) > 30  # what the other had begun was begun again
    finally:
        await workers.close()
        two.add_worker()
        await asyncio.to_thread(two.wait_for, 2)
    assert told == []


async def test_work_that_is_cancelled_is_not_begun_any_more(
    two: DaskCluster, told: list[str], tmp_path: Path
) -> None:
    workers = workers_of(two.address, told)
    try:
        work = [
            asyncio.ensure_future(workers.run(pid_later, str(tmp_path), 0.3)) for _ in range(60)
        ]
        await holds(lambda: begun(tmp_path) > 0, 20)
        for one in work:
            one.cancel()
        await asyncio.wait(work)
        assert await workers.run(abs, -1) == 1  # it is the next to be done, not the 60th
        assert begun(tmp_path) < 20
    finally:
        await workers.close()


async def test_without_a_cluster_this_machine_does_the_work_and_it_is_told(
    told: list[str],
) -> None:
    workers = workers_of("tcp://127.0.0.1:1", told)
    try:
        assert await workers.run(os.getpid) != os.getpid()
    finally:
        await workers.close()
    [why] = told
    assert "No Dask scheduler answers at tcp://127.0.0.1:1." in why
    assert "This machine's own processes do the work." in why


async def test_a_cluster_that_goes_away_while_it_is_asked_breaks_what_was_asked_of_it(
    two: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No real scheduler can be ended at that very moment, so its client is made to fail."""
    cluster = await asyncio.to_thread(connect, two.address)

    def gone() -> None:
        raise ConnectionResetError

    monkeypatch.setattr(cluster._client, "nthreads", gone)
    with pytest.raises(BrokenExecutor):
        await asyncio.wait_for(asyncio.wrap_future(cluster.submit(time.sleep, 8)), 30)
    await asyncio.to_thread(cluster.shutdown)


async def test_a_cluster_that_goes_away_in_the_middle_leaves_the_work_to_this_machine(
    told: list[str], tmp_path: Path
) -> None:
    cluster = DaskCluster(1)
    workers = workers_of(cluster.address, told)
    try:
        work = begin(workers, tmp_path, 8, 0.2)
        await holds(lambda: begun(tmp_path) > 0, 20)
        await asyncio.to_thread(cluster.kill_scheduler)
        pids = await asyncio.gather(*work)
        assert pids[-1] not in (os.getpid(), cluster.workers[0].pid)
    finally:
        await workers.close()
        cluster.stop()
    assert len(told) == 1


async def test_a_scheduler_without_workers_is_told_as_that(told: list[str]) -> None:
    cluster = DaskCluster(0)
    workers = workers_of(cluster.address, told)
    try:
        assert await workers.run(abs, -1) == 1
    finally:
        await workers.close()
        cluster.stop()
    assert "has no workers" in told[0]


async def test_messages_are_embedded_by_the_cluster_with_progress(
    two: DaskCluster, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(
        SETTINGS,
        memory=MemorySettings(embedder="words"),
        workers=WorkerSettings(executor="dask", scheduler=two.address),
    )
    async with running_engine(tmp_path, settings=settings) as engine:
        watch = Watch(engine)
        await tell(engine, TEXTS)
        engine.load_memory()
        shares: list[float] = []

        def hear(event: object) -> None:
            if isinstance(event, JobChanged) and event.job.name == "embed what was said":
                shares.append(event.job.progress or 0.0)

        engine.events.subscribe(hear)
        await holds(lambda: 1.0 in shares, 60)
        assert len({share for share in shares if 0 < share < 1}) > 1
        assert engine._meaning is not None
        assert engine._meaning._workers.width == 8
        assert watch.of(Notice) == []


async def tell(engine: Engine, texts: list[str]) -> None:
    session = await engine.library.create()
    for text in texts:
        await engine._store.messages.append(
            session.id, role=Role.USER, content=text, finish=Finish.COMPLETE
        )
