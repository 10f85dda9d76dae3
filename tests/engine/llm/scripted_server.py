"""A server that sends what a test tells it to, byte for byte.

A stand-in, for faults that a real server can't be made to show. It also keeps what it was asked.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Request:
    """One request as it came."""

    def __init__(self, head: str, body: bytes) -> None:
        self.path = head.split(" ", 2)[1]
        lines = head.split("\r\n")[1:]
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        self.json: Any = json.loads(body) if body else None


class ScriptedServer:
    """Answers each path with its bytes; a float among them is a pause in seconds.

    `None` at the end of a script leaves the connection open until the client closes it.
    """

    def __init__(self) -> None:
        self.scripts: dict[str, list[bytes | float | None]] = {}
        self.requests: list[Request] = []
        self.left: list[str] = []
        """Paths whose client closed the connection while the server held it open."""

        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def lists(self, *names: str, owner: str = "somebody") -> None:
        """Let the model list have these."""
        models = [{"id": name, "object": "model", "owned_by": owner} for name in names]
        self.scripts["/v1/models"] = [answer(json.dumps({"data": models}))]

    def streams(self, *pieces: bytes | float | None) -> None:
        """Let a chat be answered with these, after the head of an event stream."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        self.scripts["/v1/chat/completions"] = [head, *pieces]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().strip()
            request = Request(head, b"")
            length = int(request.headers.get("content-length", 0))
            request = Request(head, await reader.readexactly(length))
            self.requests.append(request)
            for piece in self.scripts.get(request.path, [answer("{}", status=404)]):
                if piece is None:
                    await reader.read()
                    self.left.append(request.path)
                elif isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    writer.write(piece)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def answer(
    body: str, *, status: int = 200, kind: str = "application/json", extra: str = ""
) -> bytes:
    """A whole answer of the server."""
    content = body.encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n{extra}\r\n".encode() + content


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a streamed answer."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return b"data: " + json.dumps({"choices": choices, **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    server.lists("m")
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
