"""One call of a client: what goes in front of it, and what is recorded of it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from engine.memory.archive import WAIT_SECONDS, exchange_of
from engine.memory.clients.base import Heard

if TYPE_CHECKING:
    import concurrent.futures
    from inspect import BoundArguments

    from engine.memory.archive import Archive, Scope
    from engine.memory.clients.base import Asked, Family

log = logging.getLogger(__name__)


class Call:
    """One call on its way. Nothing that fails here reaches whoever calls.

    Args:
        archive: Where it is recalled and recorded.
        family: Reads and writes what the client understands.
        scope: Whose call it is.
        client: Names the client among those of its memory.
        asked: What it asks.
        arguments: What the client's method is given; recall changes them.

    Attributes:
        arguments: The same.
    """

    def __init__(
        self,
        archive: Archive,
        family: Family,
        *,
        scope: Scope,
        client: str,
        asked: Asked,
        arguments: BoundArguments,
    ) -> None:
        self._archive = archive
        self._family = family
        self._scope = scope
        self._session_id = archive.session_of(scope, client)
        self._asked = asked
        self.arguments = arguments
        self._heard = Heard()
        self._began_at = time.time()
        self._ended = False

    async def recall(self) -> None:
        """Put what fits in front."""
        try:
            future = self._archive.begin(self._archive.told(self._asked, self._scope))
            async with asyncio.timeout(WAIT_SECONDS):
                self._tell(await asyncio.wrap_future(future))
        except Exception as error:
            _log_lost("recalled", error)

    def recall_blocking(self) -> None:
        """Put what fits in front, in code without asyncio."""
        if self._archive.is_here:
            log.warning("a client that blocks the event loop of its store is told no memories")
            return
        try:
            future = self._archive.begin(self._archive.told(self._asked, self._scope))
            self._tell(future.result(WAIT_SECONDS))
        except Exception as error:
            _log_lost("recalled", error)

    def hear(self, piece: Any) -> None:
        """Take down a response, or a piece of one."""
        try:
            self._family.hear(self._heard, piece)
        except Exception as error:
            _log_lost("taken down", error)

    async def end(self, error: BaseException | None = None) -> None:
        """Record what came, and wait until it is. An error that is no Exception is a stop."""
        future = self.let_go(error)
        if future is not None:
            # Who is cancelled meanwhile does not take the recording along.
            await asyncio.wait([asyncio.wrap_future(future)], timeout=WAIT_SECONDS)

    def end_blocking(self, error: BaseException | None = None) -> None:
        """Record what came, and wait until it is, in code without asyncio."""
        future = self.let_go(error)
        if future is not None and not self._archive.is_here:
            try:
                future.result(WAIT_SECONDS)
            except Exception as failure:
                _log_lost("recorded in time", failure)

    def let_go(self, error: BaseException | None = None) -> concurrent.futures.Future[None] | None:
        """Begin to record what came, once. A call that failed before its first word is not kept."""
        came = bool(any(self._heard.text) or any(self._heard.thinking))
        if self._ended or (error is not None and not came):
            return None
        self._ended = True
        exchange = exchange_of(
            self._session_id,
            self._scope,
            self._asked,
            self._heard,
            provider=self._family.NAME,
            began_at=self._began_at,
            error=error,
        )
        try:
            return self._archive.begin(self._archive.keep(exchange))
        except RuntimeError as failure:
            _log_lost("recorded", failure)
            return None

    def _tell(self, notes: str) -> None:
        if notes:
            self._family.tell(self.arguments.arguments, notes)


def _log_lost(what: str, error: Exception) -> None:
    log.error("of a client's call, something could not be %s", what, exc_info=error)
