"""An engine for the length of one command, and signals that end it in order."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from engine.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from engine.config import Paths, Settings

ENDING = (signal.SIGTERM, signal.SIGHUP)


def run(command: Coroutine[None, None, int]) -> int:
    """Run a command to its end and return its exit code.

    A signal cancels the command, which may then put things in order.

    Raises:
        KeyboardInterrupt: The user pressed ctrl-c.
    """
    caught: list[signal.Signals] = []

    async def watched() -> int:
        task = asyncio.current_task()
        assert task is not None

        def end(number: signal.Signals) -> None:
            caught.append(number)
            task.cancel()

        for number in ENDING:
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await command

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if not caught:
            raise
        return 128 + caught[0]


@asynccontextmanager
async def opened(settings: Settings, paths: Paths) -> AsyncIterator[Engine]:
    """An engine that is closed in order, whatever happens.

    Raises:
        StorageError: The database can't be used.
    """
    engine = await Engine.open(settings, paths)
    try:
        yield engine
    finally:
        await engine.close()
