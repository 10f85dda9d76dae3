"""The read/write lock: exclusive, fair, and unharmed by cancellation, for any schedule."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.locks import AsyncReadWriteLock


class Visit(NamedTuple):
    """One task's use of the lock. Times are turns of the event loop."""

    writes: bool
    arrives: int
    stays: int
    cancelled: int | None
    """How long after its arrival it is cancelled."""


visits = st.lists(
    st.builds(
        Visit,
        writes=st.booleans(),
        arrives=st.integers(0, 12),
        stays=st.integers(0, 4),
        cancelled=st.none() | st.integers(0, 8),
    ),
    max_size=14,
)


class Trial:
    """Runs visits on one lock and notes who came, who got in and who was inside with whom."""

    def __init__(self) -> None:
        self.lock = AsyncReadWriteLock()
        self.came: list[int] = []
        self.entered: list[int] = []
        self.inside: dict[int, bool] = {}

    async def visit(self, number: int, visit: Visit) -> None:
        for _ in range(visit.arrives):
            await asyncio.sleep(0)
        self.came.append(number)
        async with self.lock.writing() if visit.writes else self.lock.reading():
            self.entered.append(number)
            self.inside[number] = visit.writes
            try:
                assert not any(self.inside.values()) or len(self.inside) == 1, "a writer, not alone"
                for _ in range(visit.stays):
                    await asyncio.sleep(0)
            finally:
                del self.inside[number]

    async def run(self, schedule: list[Visit]) -> list[asyncio.Task[None]]:
        tasks = [
            asyncio.create_task(self.visit(number, visit)) for number, visit in enumerate(schedule)
        ]
        for turn in range(30):
            for task, visit in zip(tasks, schedule, strict=True):
                if visit.cancelled is not None and turn == visit.arrives + visit.cancelled:
                    task.cancel()
            await asyncio.sleep(0)
        # Progress: all visits in a row, with some turns to change places, are over by now.
        for _ in range(len(schedule) * 12):
            await asyncio.sleep(0)
        assert all(task.done() for task in tasks), "somebody starves"
        return tasks


@settings(max_examples=600, deadline=None)
@given(visits)
def test_any_schedule_is_exclusive_fair_and_goes_on(schedule: list[Visit]) -> None:
    async def main() -> None:
        trial = Trial()
        tasks = await trial.run(schedule)
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        arrivals = [number for number in trial.came if number in trial.entered]
        for one, other in combinations(arrivals, 2):
            if schedule[one].writes or schedule[other].writes:
                assert trial.entered.index(one) < trial.entered.index(other), "an overtaking"
        # Nothing is left behind.
        async with asyncio.timeout(1), trial.lock.writing():
            pass

    asyncio.run(main())


async def test_readers_share() -> None:
    lock = AsyncReadWriteLock()
    meeting = asyncio.Barrier(3)

    async def read() -> None:
        async with lock.reading():
            await meeting.wait()

    async with asyncio.timeout(5):
        await asyncio.gather(read(), read(), read())


async def test_a_reader_waits_behind_a_waiting_writer() -> None:
    lock = AsyncReadWriteLock()
    order: list[str] = []

    async def enter(name: str, *, writes: bool) -> None:
        async with lock.writing() if writes else lock.reading():
            order.append(name)

    async with lock.reading():
        writer = asyncio.create_task(enter("writer", writes=True))
        await asyncio.sleep(0)
        reader = asyncio.create_task(enter("reader", writes=False))
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(writer, reader)
    assert order == ["writer", "reader"]


@pytest.mark.parametrize("first", ["reading", "writing"])
@pytest.mark.parametrize("second", ["reading", "writing"])
async def test_asking_twice_is_an_error_not_a_deadlock(first: str, second: str) -> None:
    lock = AsyncReadWriteLock()

    async def twice() -> None:
        async with getattr(lock, first)(), getattr(lock, second)():
            pass

    with pytest.raises(RuntimeError, match="not re-entrant"):
        await twice()
    async with lock.writing():
        pass


async def test_a_writer_that_gives_up_lets_the_readers_behind_it_in() -> None:
    lock = AsyncReadWriteLock()

    async def read() -> None:
        async with lock.reading():
            pass

    async def write() -> None:
        async with lock.writing():
            pass

    async with lock.reading():
        writer = asyncio.create_task(write())
        await asyncio.sleep(0)
        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        writer.cancel()
        async with asyncio.timeout(5):
            await reader
