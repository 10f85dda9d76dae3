"""The link to the server: it hears what other clients change, and brings a lost connection back.

While the connection is lost, writes wait in the outbox. When it is back they are done in order,
and only then does everybody write directly again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from storage.changes import AnythingTouched, Change, ConnectionChanged, SessionTouched
from storage.errors import ConnectionLostError, StorageError
from storage.postgres.database import bypassing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from storage.postgres.database import PostgresDatabase
    from storage.postgres.outbox import Outbox

CHANNEL = "scrubjay"
FIRST_SECONDS, LONGEST_SECONDS = 0.1, 5.0
"""Between two attempts to connect."""

BEAT_SECONDS, SILENT_SECONDS = 5.0, 5.0
"""How often the server is asked whether it is there, and how long it may take to say so."""

log = logging.getLogger(__name__)


class Link:
    """Keeps one connection that listens. Begun by `begin`, ended by `close`."""

    def __init__(
        self,
        database: PostgresDatabase,
        outbox: Outbox | None,
        do: Callable[[bytes], Awaitable[None]],
        tell: Callable[[Change], None],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._do = do
        self._tell = tell
        self._broken = asyncio.Event()
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Do what earlier runs left waiting, and listen from now on."""
        if self._outbox is not None and await self._outbox.adopt():
            self._database.lose()
        self._database.when_lost = self._lost
        self._task = asyncio.create_task(self._run(), name="the link to the database server")
        waiting = asyncio.create_task(self._up.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _lost(self) -> None:
        self._broken.set()
        waiting = self._outbox.waiting if self._outbox else 0
        self._tell(ConnectionChanged(lost=True, waiting=waiting))

    async def _run(self) -> None:
        bypassing.set(True)  # for this task alone
        seconds = FIRST_SECONDS
        began = False
        while True:
            try:
                listener = await self._database.connect()
                try:
                    await listener.execute(f"LISTEN {CHANNEL}")
                    self._broken.clear()
                    sent, refused = await self._send_what_waits()
                    if began:  # Nobody heard what was changed meanwhile.
                        self._tell(ConnectionChanged(lost=False, sent=sent, refused=refused))
                        self._tell(AnythingTouched())
                    began = True
                    seconds = FIRST_SECONDS
                    self._up.set()
                    await self._listen(listener)
                finally:
                    await listener.close()
            except (ConnectionLostError, psycopg.OperationalError) as error:
                log.warning("the database server is out of reach: %s", type(error).__name__)
            except StorageError as error:
                log.error("the database server refuses the connection: %s", type(error).__name__)
            began = True
            self._database.lose()
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, LONGEST_SECONDS)

    async def _send_what_waits(self) -> tuple[int, int]:
        """Do what waits, in order, then let everybody write again.

        Returns:
            How many writes were done, and how many the server refused.
        """
        self._database.catch_up()
        sent = refused = 0
        while self._outbox is not None and self._outbox.waiting:
            entry = await self._outbox.first()
            if entry is None:
                await asyncio.sleep(0)  # It is on its way to the disk.
                continue
            number, write = entry
            reason = ""
            try:
                await self._do(write)
                sent += 1
            except ConnectionLostError:
                raise
            except Exception as error:
                # What can't be done must not keep back what comes after it.
                log.error("a write that had waited was refused: %s", type(error).__name__)
                reason = str(error) or type(error).__name__
                refused += 1
            await self._outbox.done(number, refused=reason)
        # No await since it was seen that nothing waits.
        self._database.found()
        return sent, refused

    async def _listen(self, listener: psycopg.AsyncConnection) -> None:
        hearing = asyncio.create_task(self._hear(listener))
        doubting = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait({hearing, doubting}, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                hearing.result()
        finally:
            doubting.cancel()
            hearing.cancel()
            with suppress(asyncio.CancelledError, psycopg.Error):
                await hearing

    async def _hear(self, listener: psycopg.AsyncConnection) -> None:
        while True:
            async for notice in listener.notifies(timeout=BEAT_SECONDS):
                client, _, session_id = notice.payload.partition(" ")
                if client != self._database.client:
                    self._tell(SessionTouched(session_id))
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    await listener.execute("SELECT 1")
            except TimeoutError:
                # The machine is there and the server does not answer: it will not say goodbye.
                self._database.cut()
                return
