"""Images on a server. While it is out of reach, new ones wait, and those seen can be shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from storage.images import Images, sha256_of
from storage.postgres.writes import Keep

if TYPE_CHECKING:
    from storage.postgres.later import Later
    from storage.sql import Sql


class PostgresImages(Images):
    """The images on a server."""

    def __init__(self, database: Sql, later: Later) -> None:
        super().__init__(database)
        self._later = later

    async def keep(self, data: bytes) -> str:
        """See `Images.keep`. What waits comes before the message that shows it."""
        sha256 = await asyncio.to_thread(sha256_of, data)
        await self._later.write(
            Keep(data=data), lambda: super(PostgresImages, self).keep(data), lambda: sha256
        )
        self._later.mirror.saw_image(sha256, data)
        return sha256

    async def get(self, sha256: str) -> bytes | None:
        """See `Images.get`."""
        data = await self._later.read(
            lambda: super(PostgresImages, self).get(sha256),
            lambda: self._later.mirror.image(sha256),
        )
        if data is not None:
            self._later.mirror.saw_image(sha256, data)
        return data
