"""The pages that were fetched, on the disk, so that nothing is asked for twice within the hour.

An entry is one file of MessagePack. Losing one costs a request, so what can't be read is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

LARGEST_BYTES = 100_000_000
"""Of all entries together; the oldest go first."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A page as it was answered."""

    url: str
    """After redirects."""

    content_type: str
    body: bytes
    etag: str = ""
    modified: str = ""
    """The `Last-Modified` header, as it was sent."""

    checked_at: float
    """When the server last said that this is the page, in seconds since the epoch."""


class Cache:
    """Entries in a folder, which is made when the first one is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, key: str) -> Entry | None:
        """The entry under a key, or None."""
        return await asyncio.to_thread(self._read, self._file(key))

    async def put(self, key: str, entry: Entry) -> None:
        """Keep an entry under a key; on a full disk it is left out."""
        await asyncio.to_thread(self._write, self._file(key), entry)

    async def prune(self) -> None:
        """Remove the oldest entries beyond `LARGEST_BYTES`."""
        await asyncio.to_thread(self._prune)

    def _file(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    def _read(self, file: Path) -> Entry | None:
        try:
            return msgspec.msgpack.decode(file.read_bytes(), type=Entry)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("a cached page can't be read: %s", type(error).__name__)
            return None

    def _write(self, file: Path, entry: Entry) -> None:
        part = file.with_name(f"{file.name}.{os.getpid()}-{time.monotonic_ns()}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_bytes(msgspec.msgpack.encode(entry))
            part.replace(file)
        except OSError as error:
            log.warning("a page can't be cached: %s", error.strerror)
            part.unlink(missing_ok=True)

    def _prune(self) -> None:
        try:
            files = [(file.stat(), file) for file in self._folder.iterdir()]
        except OSError:  # nothing was kept yet, or another process tidies up
            return
        kept = 0
        for stat, file in sorted(files, key=lambda pair: -pair[0].st_mtime):
            kept += stat.st_size
            if kept > LARGEST_BYTES:
                file.unlink(missing_ok=True)
