"""What a run may not leave behind, and what may not be in its log."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROWTH = 1.2
"""The memory in the end may be so many times what it was after the first minute."""

TASK_SECONDS = 5.0
"""For so long a task may go on when all is over."""

FORESEEN = ("ModelError", "FetchError", "DiskFullError", "DatabaseLockedError", "TimeoutError")
"""What jobs fail by when models, sources and the disk do, as they are made to."""


class Held(NamedTuple):
    """What a process holds."""

    descriptors: int
    threads: frozenset[str]
    processes: frozenset[int]

    @classmethod
    def now(cls) -> Held:
        """What this process holds, once garbage is gone."""
        gc.collect()
        process = psutil.Process()
        children = {
            child.pid
            for child in process.children(recursive=True)
            if "resource_tracker" not in " ".join(child.cmdline())
        }
        return cls(
            process.num_fds(),
            frozenset(thread.name for thread in threading.enumerate()),
            frozenset(children),
        )

    def left_since(self, before: Held) -> list[str]:
        """What is held now and was not before."""
        more = self.descriptors - before.descriptors
        return [
            *([f"{more} descriptors are left open"] if more > 0 else []),
            *(f"a thread is left: {name}" for name in self.threads - before.threads),
            *(f"a process is left: {pid}" for pid in self.processes - before.processes),
        ]


@contextmanager
def overheard(problems: list[str]) -> Iterator[None]:
    """Note errors in the log, what nobody caught, warnings, and jobs that failed unforeseen."""
    handler = _Errors(problems)
    hooks = sys.unraisablehook, threading.excepthook
    logging.getLogger().addHandler(handler)
    show = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: problems.append(f"a warning: {message}")
    sys.unraisablehook = lambda hint: problems.append(f"nobody caught {hint.exc_value!r}")
    threading.excepthook = lambda hint: problems.append(f"in a thread: {hint.exc_value!r}")
    try:
        yield
        gc.collect()  # an error that nobody asked for is told when it is thrown away
    finally:
        sys.unraisablehook, threading.excepthook = hooks
        warnings.showwarning = show
        logging.getLogger().removeHandler(handler)


@contextmanager
def own_temporary_folder(folder: Path, problems: list[str]) -> Iterator[None]:
    """Let temporary files, those of child processes too, be made in a folder, and none stay."""
    folder.mkdir()
    with (
        mock.patch.object(tempfile, "tempdir", str(folder)),
        mock.patch.dict(os.environ, {"TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}),
    ):
        yield
    problems += [f"a temporary file is left: {file}" for file in folder.rglob("*")]


async def left_tasks() -> list[str]:
    """The tasks that do not end, but for the one that asks."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=TASK_SECONDS)
    return [f"a task is left: {task}" for task in left if not task.done()]


def left_files(data: Path) -> list[str]:
    """What lies beside the database."""
    return [f"a file is left: {file.name}" for file in data.iterdir() if file.name != "scrubjay.db"]


def memory() -> int:
    """What this process holds, in bytes, once garbage is gone."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def grown(sizes: list[int]) -> list[str]:
    """Whether the memory has grown from the first of `sizes` to the last."""
    if len(sizes) > 1 and sizes[-1] > GROWTH * sizes[0]:
        return [f"the memory grew to {sizes[-1] / sizes[0]:.2f} of what it was"]
    return []


class _Errors(logging.Handler):
    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        unforeseen = " failed: " in text and not text.endswith(FORESEEN)
        if record.levelno >= logging.ERROR or unforeseen:
            why = self.format(record) if record.exc_info else text
            self._problems.append(f"in the log: {record.name}: {why}")
