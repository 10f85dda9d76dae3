"""Streams that are taken down while a program reads them, and recorded when they end."""

from __future__ import annotations

import functools
import weakref
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from engine.memory.clients.exchange import Call


async def heard(pieces: Any, call: Call) -> AsyncIterator[Any]:
    """The same pieces."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                call.hear(piece)
                yield piece
    except BaseException as error:
        await call.end(error)
        raise
    await call.end()


def heard_blocking(pieces: Any, call: Call) -> Iterator[Any]:
    """The same pieces, in code without asyncio."""
    try:
        with closing(pieces):
            for piece in pieces:
                call.hear(piece)
                yield piece
    except BaseException as error:
        call.end_blocking(error)
        raise
    call.end_blocking()


def listen(stream: Any, call: Call) -> Any:
    """Take down a client's stream object, which stays what it is: its class becomes a subclass."""
    kind: Any = type(stream)
    stream.__class__ = _subclass(kind) if hasattr(kind, "__anext__") else _subclass_blocking(kind)
    stream._scrubjay_call = call
    # One that nobody reads to its end, nor closes, ends when it is thrown away.
    weakref.finalize(stream, call.let_go, GeneratorExit()).atexit = False
    return stream


def late(opening: Callable[[], Any], call: Call, *, blocking: bool) -> Any:
    """Anthropic's manager of a stream, which is opened when its block begins, after recall."""
    return (_late_blocking if blocking else _late)()(opening, call)


@functools.cache
def _subclass(kind: Any) -> Any:
    class Heard(kind):  # type: ignore[misc]
        async def __anext__(self) -> Any:
            try:
                piece = await super().__anext__()
            except StopAsyncIteration:
                await self._scrubjay_call.end()
                raise
            except BaseException as error:
                await self._scrubjay_call.end(error)
                raise
            self._scrubjay_call.hear(piece)
            return piece

        async def __aiter__(self) -> AsyncIterator[Any]:
            while True:
                try:
                    piece = await self.__anext__()
                except StopAsyncIteration:
                    return
                yield piece

        async def close(self) -> None:
            try:
                await super().close()
            finally:
                await self._scrubjay_call.end(GeneratorExit())

    return _named_like(Heard, kind)


@functools.cache
def _subclass_blocking(kind: Any) -> Any:
    class Heard(kind):  # type: ignore[misc]
        def __next__(self) -> Any:
            try:
                piece = super().__next__()
            except StopIteration:
                self._scrubjay_call.end_blocking()
                raise
            except BaseException as error:
                self._scrubjay_call.end_blocking(error)
                raise
            self._scrubjay_call.hear(piece)
            return piece

        def __iter__(self) -> Iterator[Any]:
            while True:
                try:
                    piece = self.__next__()
                except StopIteration:
                    return
                yield piece

        def close(self) -> None:
            try:
                super().close()
            finally:
                self._scrubjay_call.end_blocking(GeneratorExit())

    return _named_like(Heard, kind)


@functools.cache
def _late() -> Any:
    from anthropic.lib.streaming import AsyncMessageStreamManager

    class Late(AsyncMessageStreamManager[Any]):
        def __init__(self, opening: Callable[[], Any], call: Call) -> None:
            self._opening = opening
            self._call = call

        async def __aenter__(self) -> Any:
            await self._call.recall()
            self._manager = self._opening()
            return listen(await self._manager.__aenter__(), self._call)

        async def __aexit__(self, *error: Any) -> None:
            await self._manager.__aexit__(*error)

    return _named_like(Late, AsyncMessageStreamManager)


@functools.cache
def _late_blocking() -> Any:
    from anthropic.lib.streaming import MessageStreamManager

    class Late(MessageStreamManager[Any]):
        def __init__(self, opening: Callable[[], Any], call: Call) -> None:
            self._opening = opening
            self._call = call

        def __enter__(self) -> Any:
            self._call.recall_blocking()
            self._manager = self._opening()
            return listen(self._manager.__enter__(), self._call)

        def __exit__(self, *error: Any) -> None:
            self._manager.__exit__(*error)

    return _named_like(Late, MessageStreamManager)


def _named_like(new: type, kind: type) -> type:
    new.__name__, new.__qualname__, new.__module__ = (
        kind.__name__,
        kind.__qualname__,
        kind.__module__,
    )
    return new
