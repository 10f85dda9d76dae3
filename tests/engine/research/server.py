"""A small HTTP server whose every byte a test decides, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Request(msgspec.Struct):
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float
    body: bytes


class Reply:
    """The connection that a request came by."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, **headers: str | int) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def whole(
        self, body: bytes | str, status: int = 200, kind: str = "application/json", **headers: str
    ) -> None:
        body = body if isinstance(body, bytes) else body.encode()
        await self.head(status, Content_Type=kind, Content_Length=len(body), **headers)
        await self.raw(body)

    async def redirect(self, to: str) -> None:
        await self.head(302, Location=to, Content_Length=0)


Handler: TypeAlias = Callable[[Request, Reply], Awaitable[None]]


class Server:
    """Answers with a handler; remembers what it was asked, unless it is told not to.

    Attributes:
        requests: Everything that was asked.
        open: Connections that are open now.
    """

    def __init__(self, handler: Handler, *, remembers: bool = True) -> None:
        self.handler = handler
        self.remembers = remembers
        self.requests: list[Request] = []
        self.open = 0
        self.port = 0
        self._listening: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, at the same address as before if there was one."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    def kill(self) -> None:
        """Listen no more, and break off every connection, as the end of a process does."""
        if self._listening is not None:
            self._listening.close()
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """Listen no more, and wait until everybody has left."""
        if self._listening is not None:
            self._listening.close()
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self._writers.add(writer)
        answering: asyncio.Task[None] | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            target = urlsplit(first.split(" ")[1])
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)
            }
            request = Request(
                path=target.path,
                query=dict(parse_qsl(target.query)),
                headers=headers,
                at=asyncio.get_running_loop().time(),
                body=await reader.readexactly(int(headers.get("content-length", 0))),
            )
            if self.remembers:
                self.requests.append(request)
            answering = asyncio.ensure_future(self._answer(request, writer))
            gone = asyncio.ensure_future(reader.read())  # returns when the client leaves
            await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
            for task in (answering, gone):
                task.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await self.handler(request, Reply(writer))
        await writer.drain()


@asynccontextmanager
async def serving(handler: Handler, *, remembers: bool = True) -> AsyncIterator[Server]:
    server = Server(handler, remembers=remembers)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
