"""The bytes of images, each kept once under its SHA-256, as long as a message shows it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

from storage.memory import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from storage.records import Placed
    from storage.sql import Sql, Statements

UNUSED_SECONDS = 3600.0
"""An image that no message has shown for so long goes at the next purge: its message never came."""


class Images:
    """The images of a database."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def keep(self, data: bytes) -> str:
        """Keep an image for a message that is about to show it. Returns its SHA-256, in hex."""
        sha256 = await asyncio.to_thread(sha256_of, data)
        await self._database.write(_KEEP, (sha256, time.time(), data))
        return sha256

    async def get(self, sha256: str) -> bytes | None:
        """The bytes of an image; None when it is not kept."""
        row = await self._database.fetch_one("SELECT bytes FROM images WHERE sha256 = ?", (sha256,))
        return row[0] if row else None


async def take_in(transaction: Statements, messages: Iterable[Placed]) -> list[str]:
    """Keep the images of messages that are about to come from elsewhere. Returns their SHA-256."""
    kept = []
    for placed in messages:
        for data in placed.images:
            kept.append(await asyncio.to_thread(sha256_of, data))
            await transaction.execute(_KEEP, (kept[-1], time.time(), data))
    return kept


async def forget_unused(transaction: Statements, images: Sequence[str] | None = None) -> None:
    """Remove those of some images that no message shows.

    Without any, those whose messages should have come long ago.
    """
    parameter: float | str
    if images is None:
        which, parameter = "kept_at < ?", time.time() - UNUSED_SECONDS
    else:
        which, parameter = "sha256 IN (SELECT value FROM json_each(?))", as_json(images)
    await transaction.execute(
        f"DELETE FROM images WHERE {which} AND NOT EXISTS"
        " (SELECT 1 FROM image_uses WHERE image_uses.sha256 = images.sha256)",
        (parameter,),
    )


# The time is set anew: an old image that nothing shows is about to be shown again.
_KEEP = (
    "INSERT INTO images VALUES (?, ?, ?)"
    " ON CONFLICT (sha256) DO UPDATE SET kept_at = excluded.kept_at"
)


def sha256_of(data: bytes) -> str:
    """The SHA-256 of an image, in hex. Slow for large ones."""
    return hashlib.sha256(data).hexdigest()
