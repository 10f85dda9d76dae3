"""Bounds on what a model server may send, for httpx's clients: no line and no error without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from engine.llm.base import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONGEST = 16 * 2**20
"""Bytes of a line, or of an answer that is no success. No honest one comes near; without a bound, a
server that never ends its line would fill the memory."""


PLAIN = {"Accept-Encoding": "identity"}
"""The header that goes with it: what is packed could unpack to any size."""


async def bound(response: httpx.Response) -> None:
    """Have the body watched while it is read: httpx calls this as a hook on responses.

    Raises:
        ModelError: The body is packed.
    """
    packing = response.headers.get("content-encoding", "identity").lower()
    if packing != "identity":
        raise ModelError(
            "bad_answer",
            f"The model server packs what it sends ({packing[:20]!r}), unasked.",
            "Check that the address is a model server's, and what stands before it.",
        )
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Watched(response.stream, lines=response.is_success)


class _Watched(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, *, lines: bool) -> None:
        self._stream = stream
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for piece in self._stream:
            end = piece.rfind(b"\n") if self._lines else -1
            length = len(piece) - end - 1 if end >= 0 else length + len(piece)
            if length > LONGEST:
                raise ModelError(
                    "bad_answer",
                    f"The model server sent more than {LONGEST // 2**20} MB without an end.",
                    "Check that the address is a model server's, and try again.",
                )
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
