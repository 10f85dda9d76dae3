"""Ways to a server: a child process, or an address; each bounded in what it may send.

The SDK's own way to a child reads a line until memory is full, and its way to an address does so
with an answer; else these would not be here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import httpx2
from mcp import types
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from engine.llm.ollama_host import is_loopback
from engine.mcp.errors import ServerError
from engine.mcp.offers import LONGEST_MESSAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    from mcp.client._transport import TransportStreams
    from mcp.shared._stream_protocols import ReadStream

MOST_MESSAGES = 2_000
"""Messages within a second; more end the connection, for they would hold up the screen."""

GOODBYE_SECONDS = 1.0
"""How long a server has to end after its input was closed, and again after a signal."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""The longest silence within an answer; calls have deadlines of their own."""

VARIABLE = re.compile(r"\$\{(\w+)\}")
REFUSALS = (401, 403)
SESSION = "mcp-session-id"

ASKS = {
    "sampling/createMessage": "the use of your model",
    "elicitation/create": "something of you",
    "roots/list": "your folders",
}
"""What a server can ask for and is not given."""


class Watch(Protocol):
    """Whoever wants to know what a server does beside answering."""

    def said(self, line: str) -> None:
        """The server wrote a line to its standard error."""

    def declined(self, what: str) -> None:
        """The server asked for something that it does not get."""

    def ended(self, why: str) -> None:
        """The connection is over; `why` completes a sentence that begins with the server."""


@contextlib.asynccontextmanager
async def child(
    command: str, args: Sequence[str], env: Mapping[str, str], watch: Watch
) -> AsyncIterator[TransportStreams]:
    """A program that is started, and gone with all that it started when this is left.

    Its environment is the SDK's small one and `env`.

    Raises:
        ServerError: It can't be started.
    """
    environment = {**get_default_environment(), **env}
    program = shutil.which(command, path=environment.get("PATH"))
    if program is None:
        raise ServerError(f"can't be started: there is no program {command}")
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,  # ctrl-c is for the screen, and the group is ended as a whole
            limit=LONGEST_MESSAGE,
        )
    except (OSError, ValueError) as error:
        raise ServerError(f"can't be started: {error}") from None
    assert process.stdin is not None
    assert process.stderr is not None
    to_session, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    leaving = asyncio.Event()  # how it ends from then on is our doing
    tasks = (
        asyncio.create_task(_read(process, to_session, watch, leaving)),
        asyncio.create_task(_write(process.stdin, from_session)),
        asyncio.create_task(_listen(process.stderr, watch)),
    )
    try:
        yield read, write
    finally:
        leaving.set()
        with anyio.CancelScope(shield=True):
            await _end(process)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for stream in (to_session, read, write, from_session):
                await stream.aclose()


@contextlib.asynccontextmanager
async def address(
    url: str, headers: Mapping[str, str], auth: httpx2.Auth | None = None
) -> AsyncIterator[TransportStreams]:
    """A server at an address, which alone gets the headers.

    With `auth`, what it refuses is that one's business first.
    """
    proxied = not is_loopback(url)
    timeout = httpx2.Timeout(CONNECT_SECONDS, read=SILENCE_SECONDS)
    async with (
        httpx2.AsyncClient(
            headers=dict(headers),
            auth=auth,
            timeout=timeout,
            trust_env=proxied,
            event_hooks={"response": [_bound if auth is None else _bound_only]},
        ) as client,
        streamable_http_client(
            url, http_client=client, max_sse_event_size=LONGEST_MESSAGE
        ) as streams,
    ):
        yield streams


@contextlib.asynccontextmanager
async def watched(
    way: AbstractAsyncContextManager[TransportStreams], watch: Watch
) -> AsyncIterator[TransportStreams]:
    """A way whose messages are counted, and looked through for what a server may not do."""
    async with way as (read, write):
        yield _Watched(read, watch), write


def filled(values: Mapping[str, str]) -> dict[str, str]:
    """Values with `${NAME}` replaced by what the environment has.

    Raises:
        ServerError: It has none of that name.
    """

    def known(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise ServerError(f"needs the environment variable {match[1]}, which is not set")
        return found

    return {name: VARIABLE.sub(known, value) for name, value in values.items()}


class _Watched:
    """What comes from a server. It ends where the server floods."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], watch: Watch) -> None:
        self._inner = inner
        self._watch = watch
        self._second = 0.0
        self._count = 0

    async def receive(self) -> SessionMessage | Exception:
        """The next message.

        Raises:
            anyio.EndOfStream: There is none.
        """
        try:
            message = await self._inner.receive()
        except anyio.EndOfStream:
            self._watch.ended("ended the connection")
            raise
        now = time.monotonic()
        if now - self._second > 1:
            self._second, self._count = now, 0
        self._count += 1
        if self._count > MOST_MESSAGES:
            self._watch.ended(f"sent more than {MOST_MESSAGES:,} messages in a second")
            raise anyio.EndOfStream
        if isinstance(message, SessionMessage):
            self._look_at(message.message)
        return message

    def _look_at(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self._asked(message.method)
        if isinstance(message, types.JSONRPCResponse):
            # Newer versions of the protocol put what they ask for into an answer.
            asked = message.result.get("inputRequests")
            for one in asked.values() if isinstance(asked, dict) else ():
                self._asked(one.get("method") if isinstance(one, dict) else None)
            tools = message.result.get("tools")
            for tool in tools if isinstance(tools, list) else ():
                # The SDK would check results by it, on the loop: a pattern in it could take hours.
                if isinstance(tool, dict):
                    tool.pop("outputSchema", None)

    def _asked(self, method: object) -> None:
        if isinstance(method, str) and method in ASKS:
            self._watch.declined(ASKS[method])

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, traceback)


async def _read(
    process: asyncio.subprocess.Process, to_session: Any, watch: Watch, leaving: asyncio.Event
) -> None:
    """Hand on a message a line; a line that is none, such as a greeting, is shown as said."""
    assert process.stdout
    async with to_session:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # asyncio's word for a line beyond the limit
                watch.ended(f"sent a message of more than {LONGEST_MESSAGE / 1e6:.0f} MB")
                return
            if not line:
                if not leaving.is_set():
                    watch.ended(await _fate(process))
                return
            try:
                message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError as error:
                watch.said(line.decode(errors="replace").rstrip())
                # It is counted with the rest, for it can be a flood as well.
                found: SessionMessage | Exception = ValueError(type(error).__name__)
            else:
                found = SessionMessage(message)
            try:
                await to_session.send(found)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return


async def _write(stdin: asyncio.StreamWriter, from_session: Any) -> None:
    async with from_session:
        async for message in from_session:
            json = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                stdin.write(f"{json}\n".encode())
                await stdin.drain()
            except (OSError, RuntimeError):
                return


async def _listen(stderr: asyncio.StreamReader, watch: Watch) -> None:
    """Take what the server writes beside the protocol, however much, and hand on whole lines."""
    rest = b""
    while chunk := await stderr.read(65_536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines[-100:]:
            watch.said(line.decode(errors="replace").rstrip())
        rest = rest[-10_000:]
    if rest:
        watch.said(rest.decode(errors="replace"))


async def _fate(process: asyncio.subprocess.Process) -> str:
    """How a server ended that closed its output."""
    await _gone(process, GOODBYE_SECONDS)
    code = process.returncode
    if code is None:
        return "closed its output"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the input, as the protocol has it; then end whoever is left of the process group."""
    assert process.stdin
    process.stdin.close()
    if not await _gone(process, GOODBYE_SECONDS):
        _signal(process, signal.SIGTERM)
        await _gone(process, GOODBYE_SECONDS / 2)
    if sys.platform != "win32":
        _signal(process, signal.SIGKILL)
    elif process.returncode is None:
        process.kill()
    await _gone(process, GOODBYE_SECONDS)
    # A grandchild with a group of its own may still hold the pipes; nobody reads them any more.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            transport.close()


async def _gone(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Whether it ends within so many seconds. `wait` would wait for the pipes as well."""
    for _ in range(round(seconds * 100)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(0.01)
    return process.returncode is not None


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)


async def _bound(response: httpx2.Response) -> None:
    """Let an answer that is no stream end where it is too long.

    Raises:
        ServerError: It is a refusal, whose reason the SDK does not tell.
    """
    status = response.status_code
    if status in REFUSALS or status >= 500:
        what = "refuses access" if status in REFUSALS else "is out of order"
        raise ServerError(f"{what} (HTTP {status})", lost=True)
    request = response.request
    if status == 400 and request.method == "POST" and SESSION in request.headers:
        # It was started anew. The protocol has 404 for that, but not every server.
        raise ServerError("does not know this connection any more", lost=True)
    await _bound_only(response)


async def _bound_only(response: httpx2.Response) -> None:
    """The same, whatever the answer is."""
    if "text/event-stream" not in response.headers.get("content-type", ""):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in self._inner:
            length += len(chunk)
            if length > LONGEST_MESSAGE:
                raise httpx2.ReadError(f"more than {LONGEST_MESSAGE / 1e6:.0f} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
