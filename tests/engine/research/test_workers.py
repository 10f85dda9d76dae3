"""Workers: processes that may die, hang or be killed without harm."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from engine import workers as module
from engine.workers import Workers, processes
from tests.engine.research.support import holds


def die_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die() -> None:
    os._exit(3)


def fail() -> None:
    raise ValueError("no")


def chatter() -> int:
    print("on the screen", flush=True)
    os.write(2, b"on the screen")
    return os.getpid()


async def test_a_worker_that_dies_is_replaced_and_its_work_done_again(tmp_path: Path) -> None:
    async with Workers.running(partial(processes, 1), 1) as workers:
        assert await workers.run(die_once, str(tmp_path / "marker")) == "alive"


async def test_work_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    async with Workers.running(partial(processes, 1), 1) as workers:
        with pytest.raises(BrokenExecutor):
            await workers.run(die)
        assert await workers.run(die_once, __file__) == "alive"


async def test_an_executor_that_breaks_between_two_pieces_of_work_is_replaced() -> None:
    # One that waits for its turn with a crew that another gives up meanwhile finds it shut down.
    async with Workers.running(lambda: (ThreadPoolExecutor(1), lambda: None), 1) as workers:
        assert await workers.run(os.getpid) == os.getpid()
        assert workers._crew is not None
        workers._crew.executor.shutdown()
        assert await workers.run(os.getpid) == os.getpid()


async def test_what_a_function_raises_comes_back(tmp_path: Path) -> None:
    async with Workers.running(partial(processes, 1), 1) as workers:
        with pytest.raises(ValueError, match="no"):
            await workers.run(fail)


async def test_work_that_hangs_is_ended_and_the_next_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Workers.running(partial(processes, 1), 1) as workers:
        await workers.run(os.getpid)
        monkeypatch.setattr(module, "LONGEST_SECONDS", 0.3)
        with pytest.raises(TimeoutError):
            await workers.run(time.sleep, 60)
        monkeypatch.setattr(module, "LONGEST_SECONDS", 10.0)
        assert await workers.run(abs, -1) == 1


async def test_workers_are_gone_at_the_end_even_in_the_middle_of_work() -> None:
    async with Workers.running(partial(processes, 1), 1) as workers:
        pid = await workers.run(os.getpid)
        working = asyncio.ensure_future(workers.run(sum, range(10**12)))
        used = psutil.Process(pid).cpu_times().user
        await holds(lambda: psutil.Process(pid).cpu_times().user > used + 0.1)
        working.cancel()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert not psutil.pid_exists(pid)


async def test_any_executor_will_do() -> None:
    def threads() -> tuple[ThreadPoolExecutor, object]:
        return ThreadPoolExecutor(1), lambda: None

    async with Workers.running(threads, 1) as workers:  # type: ignore[arg-type]
        assert await workers.run(os.getpid) == os.getpid()


async def test_what_workers_print_reaches_no_screen(capfd: pytest.CaptureFixture[str]) -> None:
    async with Workers.running(partial(processes, 1), 1) as workers:
        assert await workers.run(chatter) != os.getpid()
    assert capfd.readouterr() == ("", "")


async def test_workers_end_with_a_program_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import asyncio, os\n"
        "from functools import partial\n"
        "from engine.workers import Workers, processes\n"
        "async def main():\n"
        "    async with Workers.running(partial(processes, 1), 1) as workers:\n"
        "        print(await workers.run(os.getpid), flush=True)\n"
        "        await workers.run(sum, range(10**12))\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert program.stdout is not None
    pid = int(await program.stdout.readline())
    program.kill()
    await program.wait()
    await holds(lambda: not _runs(pid), 5)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
