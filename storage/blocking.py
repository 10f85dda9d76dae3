"""The store for scripts and notebooks without asyncio: the same methods, which wait.

    with storage.blocking.open(Path("scrubjay.db")) as store:
        for episode in store.episodes.search("what failed?"):
            ...
        with store.episodes.batch() as batch:
            batch.add("it works now")

An event loop runs in a thread of its own for as long as the store is open.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal

from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from anyio.from_thread import BlockingPortal

    from storage.postgres.address import Address


@contextmanager
def open(place: Path | Address) -> Iterator[Blocking]:
    """The store in a file or on a server, made or upgraded as needed, closed after the block.

    Raises:
        RuntimeError: An event loop runs in this thread; use `storage.store.Store.open` there.
        StorageError: See `storage.store.Store.open`.
    """
    _refuse_in_event_loop("storage.blocking.open", "await storage.store.Store.open(…)")
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(portal.call(Store.open, place)) as store,
    ):
        yield Blocking(portal, store, "store")


class Blocking:
    """Stands for a part of the store, and has its attributes.

    Coroutine functions become functions, async iterators iterators, async context managers context
    managers. Each raises a RuntimeError in a thread with a running event loop.
    """

    def __init__(self, portal: BlockingPortal, part: object, name: str) -> None:
        self._portal = portal
        self._part = part
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._part, attribute)
        name = f"{self._name}.{attribute}"
        if inspect.ismethod(value):
            return functools.partial(self._call, value, name)
        if type(value).__module__.startswith("storage."):
            return Blocking(self._portal, value, name)
        return value

    def __len__(self) -> int:
        return len(self._part)  # type: ignore[arg-type]

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._part) if not name.startswith("_")]

    def _call(self, method: Any, name: str, /, *arguments: Any, **keywords: Any) -> Any:
        _refuse_in_event_loop(name, f"await {name}(…) of storage.store.Store")
        # Made in the loop's thread: what an async function does before its first await counts too.
        result = self._portal.call(functools.partial(_begin, method, arguments, keywords))
        if inspect.isasyncgen(result):
            return self._iterate(result)
        if isinstance(result, AbstractAsyncContextManager):
            return self._portal.wrap_async_context_manager(result)
        if type(result).__module__.startswith("storage.vectors"):
            return Blocking(self._portal, result, "index")
        return result

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._portal.call(items.__anext__)
            except StopAsyncIteration:
                return


async def _begin(method: Any, arguments: Any, keywords: Any) -> Any:
    result = method(*arguments, **keywords)
    return await result if inspect.iscoroutine(result) else result


def _refuse_in_event_loop(name: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"{name} blocks, and an event loop runs in this thread: use `{instead}`.")
