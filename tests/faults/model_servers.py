"""A stand-in for a model server that can't be made to fail when a test wants it: it speaks as
Ollama or as OpenAI does, and answers a chat with what the test tells it, byte for byte.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RESET = "reset"
"""A step: the connection is torn down, as it is when the server is killed."""

HOLD = "hold"
"""A step: nothing more is said, and the connection is held open."""

ENDLESS = "endless"
"""A step: words without end."""

Step = bytes | str


class ModelServer:
    """A server of one dialect, `ollama` or `openai`.

    Attributes:
        script: What the next chats are answered with; without one, they are answered rightly.
        asked: How many chats were asked for.
        models: The models that it has.
        key: What it wants to be shown; empty, it wants none.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.script: list[Step] | None = None
        self.asked = 0
        self.models: tuple[str, ...] = ("m",)
        self.key = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._held: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, at the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone."""
        if self._server is not None:
            self._server.close()
            for task in self._held:
                task.cancel()
            self._server = None

    def says(self, *steps: Step, status: int = 200) -> None:
        """Answer chats so from now on."""
        kind = "application/x-ndjson" if self.dialect == "ollama" else "text/event-stream"
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"
        self.script = [head.encode(), *steps]

    def refuses(self, status: int, said: str) -> None:
        """Answer chats with an error from now on."""
        error = {"error": said if self.dialect == "ollama" else {"message": said}}
        body = json.dumps(error).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        self.script = [head.encode() + body]

    def word(self, text: str) -> bytes:
        """A piece of an answer."""
        if self.dialect == "ollama":
            part = {"message": {"role": "assistant", "content": text}, "done": False}
            return json.dumps(part).encode() + b"\n"
        choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
        return b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n"

    @property
    def end(self) -> bytes:
        """The end of an answer."""
        if self.dialect == "ollama":
            return b'{"message": {"role": "assistant"}, "done": true, "done_reason": "stop"}\n'
        choices = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        return b"data: " + json.dumps({"choices": choices}).encode() + b"\n\ndata: [DONE]\n\n"

    @property
    def line(self) -> bytes:
        """How a line of an answer begins."""
        return b"" if self.dialect == "ollama" else b"data: "

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._held.add(task)
        try:
            await self._reply(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._held.discard(task)
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        await reader.readexactly(int(length or 0))
        path = head.split()[1]
        if not path.endswith(("/chat", "/completions")):
            allowed = f"bearer {self.key}" in head if self.key else True
            body = json.dumps(self._known(path) if allowed else {"error": "who are you?"}).encode()
            writer.write(b"HTTP/1.1 %d X\r\n" % (200 if allowed else 401))
            writer.write(b"Content-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
            await writer.drain()
            return
        self.asked += 1
        if self.script is None:
            self.says(self.word("Here "), self.word("I am."), self.end)
            steps, self.script = self.script or [], None
        else:
            steps = self.script
        for step in steps:
            if step == HOLD:
                await reader.read()
            elif step == RESET:
                peer = writer.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            elif step == ENDLESS:
                while True:
                    writer.write(self.word("and so on, "))
                    await writer.drain()
                    await asyncio.sleep(0.005)
            elif isinstance(step, bytes):
                writer.write(step)
                await writer.drain()

    def _known(self, path: str) -> object:
        match path.rpartition("/")[2]:
            case "version" if self.dialect == "ollama":
                return {"version": "0.12.0"}
            case "tags":
                return {"models": [{"model": name, "digest": "d"} for name in self.models]}
            case "ps":
                return {"models": []}
            case "show":
                return {"model_info": {}, "capabilities": ["completion"]}
            case _:
                return {"data": [{"id": "m", "object": "model", "owned_by": "somebody"}]}


@asynccontextmanager
async def model_server(dialect: str) -> AsyncIterator[ModelServer]:
    """A server that listens."""
    server = ModelServer(dialect)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
