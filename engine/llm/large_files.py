"""Putting large files on a disk: room for them, a lock, hashing, and work that can be cancelled."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import sys
import threading
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, TypeVar

from engine.llm.base import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

T = TypeVar("T")

_BLOCK = 2**20
_LOCK_POLL_SECONDS = 0.2
_SPARE_BYTES = 64 * 2**20
"""Left free, so that the conversations can still be saved."""


class Stopped(Exception):  # noqa: N818 - not an error: the thread did as it was told
    """The work in a thread ended early because nobody waits for it any more."""


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Run blocking `work` in a thread. Cancellation sets the event, and waits until it has ended.

    `work` looks at the event between blocks and raises `Stopped` when it is set.
    """
    stop = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


async def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""

    def work(stop: threading.Event) -> str:
        with file.open("rb") as stream:
            return copy_hashed(stream, None, stop)

    return await in_thread(work)


def copy_hashed(source: IO[bytes], target: IO[bytes] | None, stop: threading.Event) -> str:
    """Copy a stream, or only read it when there is no target; returns its SHA-256.

    Raises:
        Stopped: `stop` was set before the end.
    """
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        if stop.is_set():
            raise Stopped
        digest.update(block)
        if target is not None:
            target.write(block)
    return digest.hexdigest()


def need_room(folder: Path, size_bytes: int) -> None:
    """Check that `folder`'s disk has room for so much more.

    Raises:
        ModelError: It has not (`disk_full`).
    """
    free = shutil.disk_usage(folder).free
    if free < size_bytes + _SPARE_BYTES:
        raise ModelError(
            "disk_full",
            f"{folder} has {free / 1e6:,.0f} MB free; the model needs {size_bytes / 1e6:,.0f} MB.",
            "Make room, or set SCRUBJAY_MODELS_DIR to a folder on another disk.",
        )


def disk_error(error: OSError, folder: Path) -> ModelError:
    """What a failed write means for the user."""
    if error.errno == errno.ENOSPC:
        return ModelError(
            "disk_full",
            f"The disk that holds {folder} is full.",
            "Make room, or set SCRUBJAY_MODELS_DIR to a folder on another disk.",
        )
    return ModelError(
        "disk",
        f"{folder} can't be written: {error.strerror or error}.",
        "Correct its permissions, or set SCRUBJAY_MODELS_DIR to another folder.",
    )


def read_error(error: OSError, file: Path) -> ModelError:
    """What a failed read means for the user."""
    return ModelError(
        "disk",
        f"{file} can't be read: {error.strerror or error}.",
        "Check the file and its permissions.",
    )


@asynccontextmanager
async def one_at_a_time(folder: Path) -> AsyncGenerator[None, None]:
    """Hold the folder's lock, so that two programs don't fetch into it at once; makes the folder.

    The lock goes with the process that holds it, however that ends.
    """
    with _open_lock(folder) as file:
        while not _lock(file):  # noqa: ASYNC110 - another process tells nobody that it is done
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        yield


def _open_lock(folder: Path) -> IO[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / ".lock").open("a")


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
