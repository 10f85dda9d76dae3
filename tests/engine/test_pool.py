"""The worker pool: lanes, order, states, deadlines, cancellation and shutdown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from engine.events import Event, Events, JobChanged
from engine.pool import KEPT_AFTER_END, WIDTHS, Job, JobState, Lane, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def pool(events: Events) -> AsyncIterator[Pool]:
    pool = Pool(events)
    yield pool
    await pool.close()


def waits_for(event: asyncio.Event) -> Callable[[Job[None]], Awaitable[None]]:
    async def work(_job: Job[None]) -> None:
        await event.wait()

    return work


async def test_a_job_returns_what_its_work_returns(pool: Pool) -> None:
    async def work(_job: Job[int]) -> int:
        return 42

    job = pool.submit("count", Lane.UPKEEP, work)
    assert await job.result() == 42
    assert job.state is JobState.DONE


async def test_every_change_of_a_job_is_told(pool: Pool, events: Events) -> None:
    seen: list[tuple[JobState, float | None]] = []

    def listen(event: Event) -> None:
        assert isinstance(event, JobChanged)
        seen.append((event.job.state, event.job.progress))

    events.subscribe(listen)

    async def work(job: Job[None]) -> None:
        job.report(0.5, "half way")

    await pool.submit("walk", Lane.UPKEEP, work).result()
    assert seen == [
        (JobState.QUEUED, None),
        (JobState.RUNNING, None),
        (JobState.RUNNING, 0.5),
        (JobState.DONE, 0.5),
    ]


async def test_a_lane_runs_no_more_jobs_at_a_time_than_its_width(pool: Pool) -> None:
    release = asyncio.Event()
    jobs = [pool.submit(f"job {n}", Lane.CHAT, waits_for(release)) for n in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running = [job for job in jobs if job.state is JobState.RUNNING]
    assert len(running) == WIDTHS[Lane.CHAT]
    release.set()
    await asyncio.gather(*(job.result() for job in jobs))


async def test_a_full_lane_does_not_hold_up_another(pool: Pool) -> None:
    release = asyncio.Event()
    held = [pool.submit("held", Lane.BACKGROUND, waits_for(release)) for _ in range(3)]

    async def work(_job: Job[str]) -> str:
        return "through"

    assert await pool.submit("other", Lane.CHAT, work).result() == "through"
    release.set()
    await asyncio.gather(*(job.result() for job in held))


async def test_jobs_of_one_key_run_in_order_even_when_one_fails_or_is_cancelled(pool: Pool) -> None:
    ran: list[int] = []
    started = asyncio.Event()

    def work(number: int) -> Callable[[Job[None]], Awaitable[None]]:
        async def run(_job: Job[None]) -> None:
            ran.append(number)
            started.set()
            if number == 0:
                await asyncio.Event().wait()
            if number == 2:
                raise ValueError(number)

        return run

    jobs = [pool.submit(str(n), Lane.CHAT, work(n), key="session") for n in range(5)]
    await started.wait()
    jobs[1].cancel()
    jobs[0].cancel()
    for job in jobs:
        await job.ended()
    assert ran == [0, 2, 3, 4]
    assert [job.state for job in jobs] == [
        JobState.CANCELLED,
        JobState.CANCELLED,
        JobState.FAILED,
        JobState.DONE,
        JobState.DONE,
    ]


async def test_a_failure_is_kept_on_the_job_and_raised_to_who_waits(pool: Pool) -> None:
    async def work(_job: Job[None]) -> None:
        raise LookupError("nothing there")

    job = pool.submit("look", Lane.UPKEEP, work)
    with pytest.raises(LookupError, match="nothing there"):
        await job.result()
    assert job.state is JobState.FAILED
    assert isinstance(job.error, LookupError)


async def test_a_job_past_its_deadline_times_out(pool: Pool) -> None:
    job = pool.submit("dawdle", Lane.UPKEEP, waits_for(asyncio.Event()), deadline=0.01)
    with pytest.raises(TimeoutError):
        await job.result()
    assert job.state is JobState.TIMED_OUT


async def test_a_timeout_of_the_work_s_own_is_a_failure_not_a_missed_deadline(pool: Pool) -> None:
    async def work(_job: Job[None]) -> None:
        raise TimeoutError("the server did not answer")

    job = pool.submit("ask", Lane.UPKEEP, work, deadline=60)
    await job.ended()
    assert job.state is JobState.FAILED


async def test_a_waiter_that_is_cancelled_does_not_cancel_the_job(pool: Pool) -> None:
    release = asyncio.Event()
    job = pool.submit("go on", Lane.UPKEEP, waits_for(release))
    waiter = asyncio.create_task(job.result())
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not job.state.over
    release.set()
    await job.result()


async def test_ended_jobs_stay_listed_but_not_for_ever(pool: Pool) -> None:
    async def work(_job: Job[None]) -> None:
        return None

    for n in range(KEPT_AFTER_END + 20):
        await pool.submit(str(n), Lane.UPKEEP, work).result()
    await asyncio.sleep(0)
    listed = list(pool.jobs())
    assert len(listed) == KEPT_AFTER_END
    assert listed[0].name == str(KEPT_AFTER_END + 19)


async def test_closing_waits_for_writes_and_cancels_the_rest(pool: Pool) -> None:
    release, running = asyncio.Event(), asyncio.Event()
    written: list[str] = []

    async def write(_job: Job[None]) -> None:
        running.set()
        await release.wait()
        written.append("kept")

    lost = pool.submit("look", Lane.UPKEEP, waits_for(asyncio.Event()))
    pool.submit("write", Lane.STORAGE, write)
    await running.wait()
    closing = asyncio.create_task(pool.close())
    await lost.ended()
    assert not closing.done()
    release.set()
    await closing
    assert written == ["kept"]
    assert lost.state is JobState.CANCELLED
    assert pool.living() == []


async def test_closing_waits_for_the_write_that_a_cancelled_job_hands_in(pool: Pool) -> None:
    written: list[str] = []

    async def write(_job: Job[None]) -> None:
        await asyncio.sleep(0.01)
        written.append("partial")

    async def work(_job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await pool.submit("last write", Lane.STORAGE, write).result()
            raise

    pool.submit("answer", Lane.CHAT, work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await pool.close()
    assert written == ["partial"]


async def test_closing_ends_within_its_time_when_a_write_hangs(pool: Pool) -> None:
    stuck = pool.submit("stuck", Lane.STORAGE, waits_for(asyncio.Event()))
    await asyncio.sleep(0)
    await pool.close(timeout=0.05)
    assert stuck.state is JobState.CANCELLED


async def test_a_closing_pool_takes_no_work_but_writes(pool: Pool) -> None:
    await pool.close()
    with pytest.raises(RuntimeError, match="closing"):
        pool.submit("late", Lane.CHAT, waits_for(asyncio.Event()))
