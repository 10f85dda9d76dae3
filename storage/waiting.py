"""Waiting for work that must not be left half-way, whatever happens to the one who waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

T = TypeVar("T")


NUDGE_SECONDS = 0.05


async def to_its_end(
    work: Coroutine[Any, Any, T] | asyncio.Future[T],
    hasten: Callable[[], Awaitable[object]] | None = None,
) -> T:
    """The result of `work`. A caller that is cancelled still waits for its end before it goes.

    From then on `hasten` is called again and again, to bring that end about.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            # Cancelled once more, it waits all the same.
            with suppress(asyncio.CancelledError):
                if hasten is not None:
                    await hasten()
                await asyncio.wait([task], timeout=NUDGE_SECONDS if hasten else None)
        if not task.cancelled():
            task.exception()  # or it would be logged as one that nobody asked for
        raise
