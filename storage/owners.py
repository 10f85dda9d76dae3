"""Which process writes an answer, so that another can tell whether it still lives."""

from __future__ import annotations

import functools
import os

CLOCK_DRIFT_SECONDS = 2.0
"""A process's start is told relative to the system's boot, which a clock adjustment moves."""


@functools.cache
def _own(pid: int) -> str:
    import psutil

    return f"{pid}:{psutil.Process(pid).create_time():.2f}"


def this_process() -> str:
    """This process: its id, and when it started, as ids are used again."""
    return _own(os.getpid())


def lives(owner: str) -> bool:
    """Whether the process that `this_process` named in `owner` is still there."""
    import psutil

    pid, _, started = owner.partition(":")
    try:
        process = psutil.Process(int(pid))
        return (
            abs(process.create_time() - float(started)) < CLOCK_DRIFT_SECONDS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
