"""The servers of tools that the settings name: started late, restarted on demand, ended at exit.

A server is another program and may do anything at any time. What it does ends at most its own
connection, is told, and stays out of the log.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from contextlib import AsyncExitStack, suppress
from enum import StrEnum
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from engine.events import Notice, ServersChanged
from engine.mcp.errors import ServerError, reason
from engine.mcp.offers import Offers, RemoteTool, ServerTool, chosen, is_usable, name_of
from engine.pool import Lane
from engine.tools.registry import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from engine.config import McpServer
    from engine.events import Events
    from engine.mcp.connection import Connection
    from engine.pool import Job, Pool
    from engine.tools.registry import Registry, ToolResult
    from storage.records import ToolCall

FIRST_SECONDS = 5.0
"""So long the first question waits for servers that are still starting."""

GOODBYE_SECONDS = 4.0
"""So long a server may take to end."""

REST_SECONDS = 0.5
"""What changes more often than that is read again only so often."""

LINES_KEPT = 50
"""Of what a server writes beside the protocol."""


class ServerState(StrEnum):
    """How a server is."""

    OFF = "off"
    """The settings say so."""

    IDLE = "not started"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    """It could not be reached, or ended by itself; its next call starts it again."""


class Server:
    """One server, whether it runs or not.

    Attributes:
        name: As the settings call it.
        state: How it is.
        trouble: Why it failed; completes a sentence that begins with the server.
        offers: What it offered last.
        lines: What it wrote beside the protocol, the last of it.
        waited_for: Whether a question has waited for this start of it; another does not.
    """

    def __init__(self, name: str, settings: McpServer, within: Servers) -> None:
        self.name = name
        self.settings = settings
        self.state = ServerState.IDLE if settings.enabled else ServerState.OFF
        self.trouble = ""
        self.offers = Offers()
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.waited_for = False
        self._declined: list[str] = []
        self._left_out: list[str] = []
        self._within = within
        self._connection: Connection | None = None
        self._job: Job[None] | None = None
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self._stale = asyncio.Event()

    @property
    def notes(self) -> list[str]:
        """What else is to be known of it, in sentences."""
        declined = [f"It asked for {what}, and was declined." for what in self._declined]
        return [*declined, *self._left_out]

    @property
    def place(self) -> str:
        """What is started, or who is asked."""
        settings = self.settings
        return settings.url or " ".join((settings.command, *settings.args))

    def start(self) -> None:
        """Begin to connect, unless that was begun or is not wanted."""
        running = self._job is not None and not self._job.state.over
        if self.state is ServerState.OFF or running or self._within.pool.closing:
            return
        self._settled.clear()
        self.waited_for = False
        self._over, self._stale = asyncio.Event(), asyncio.Event()
        self.trouble = ""
        self._move(ServerState.STARTING)
        self._job = self._within.pool.submit(
            f"MCP server {self.name}", Lane.SERVERS, self._live, key=f"mcp {self.name}"
        )

    async def stop(self) -> None:
        """End it, and wait until it is gone. Its next call starts it again."""
        if self._job is not None:
            self._job.cancel()
            await self._job.ended()
        if self.state is not ServerState.OFF:
            self._move(ServerState.IDLE)

    async def settled(self) -> None:
        """Wait until it is ready, or known to have failed."""
        if self.state is ServerState.STARTING and self._job is not None:
            settled = asyncio.create_task(self._settled.wait())
            ended = asyncio.create_task(self._job.ended())  # it may be cancelled before it begins
            await _first({settled, ended})
            if self.state is ServerState.STARTING:
                self._move(ServerState.IDLE)

    async def connection(self) -> Connection:
        """The open connection; it is opened first if need be.

        Raises:
            ServerError: It can't be.
        """
        if self.state is ServerState.OFF:
            raise ServerError("is turned off in the settings")
        self.start()
        await self.settled()
        if self._connection is None:
            raise ServerError(self.trouble or "was stopped")
        return self._connection

    async def call(self, tool: RemoteTool, arguments: dict[str, Any]) -> ToolResult:
        """Let it do something that was agreed to.

        Raises:
            ToolError: It can't be reached, or the tool is no longer what was agreed to.
        """
        try:
            connection = await self.connection()
            if tool not in self.offers.tools:
                raise ToolError(
                    f"The server {self.name} has changed {tool.name} meanwhile, so nothing was"
                    " done. Call it again."
                )
            return await connection.call(tool.name, arguments)
        except ServerError as error:
            why = str(error)
            if error.lost:
                self.ended(why)
                await self._closed()
                why = self.trouble
            raise ToolError(f"The server {self.name} {why}.") from None
        except asyncio.CancelledError:
            self._see_whether_it_hangs()
            raise

    # What a connection tells

    def said(self, line: str) -> None:
        """Keep what it writes beside the protocol."""
        self.lines.append(line[:500])

    def declined(self, what: str) -> None:
        """Tell, once, that it asked for what it does not get."""
        if what not in self._declined:
            self._declined.append(what)
            self._within.tell(f"The MCP server {self.name} asked for {what}; it was declined.")

    def ended(self, why: str) -> None:
        """Note that the connection is over; the first reason is the right one."""
        self.trouble = self.trouble or why
        self._over.set()

    async def _live(self, _job: Job[None]) -> None:
        ready = False
        try:
            async with asyncio.timeout(None) as leaving, AsyncExitStack() as stack:
                try:
                    await self._connect(stack)
                    ready = True
                    await self._follow()
                finally:
                    self._connection = None
                    leaving.reschedule(asyncio.get_running_loop().time() + GOODBYE_SECONDS)
        except asyncio.CancelledError:
            self.trouble = "was stopped"
            raise
        except (Exception, ExceptionGroup) as error:
            self.trouble = self.trouble or reason(error)
        finally:
            self._move(ServerState.FAILED)
        again = " Its next call starts it again." if ready else ""
        self._within.tell(
            f"The MCP server {self.name} {self.trouble}.{again} /mcp shows more.", "warning"
        )
        raise ServerError(self.trouble)

    async def _connect(self, stack: AsyncExitStack) -> None:
        library = await asyncio.to_thread(import_module, "engine.mcp.connection")
        try:
            async with asyncio.timeout(self.settings.start_seconds):
                connection: Connection = await stack.enter_async_context(
                    library.connected(
                        self.name, self.settings, self._within.logins, self, self._stale.set
                    )
                )
                self._take(await connection.offers())
        except TimeoutError:
            raise ServerError(
                f"did not answer within {self.settings.start_seconds:g} seconds; `start_seconds`"
                " can give it longer"
            ) from None
        self._connection = connection
        self._move(ServerState.READY)

    async def _follow(self) -> None:
        """Read anew what it offers when that changes, until the connection is over."""
        connection = self._connection
        assert connection is not None
        while True:
            over = asyncio.create_task(self._over.wait())
            stale = asyncio.create_task(self._stale.wait())
            await _first({over, stale})
            if self._over.is_set():
                return
            await asyncio.sleep(REST_SECONDS)
            self._stale.clear()
            async with asyncio.timeout(self.settings.start_seconds):
                self._take(await connection.offers())
            self._move(ServerState.READY)

    def _take(self, offers: Offers) -> None:
        """Put what it offers beside what others do."""
        offers, self._left_out = chosen(offers, self.settings.tools)
        tools: dict[str, ServerTool] = {}
        for remote in offers.tools:
            if is_usable(remote):
                tools.setdefault(name_of(self.name, remote.name), self._tool(remote))
        if left := len(offers.tools) - len(tools):
            self._left_out.append(f"{left} of its tools can't be offered to a model.")
        self.offers = offers
        self._within.tools.put(f"mcp {self.name}", tools.values())

    def _tool(self, remote: RemoteTool) -> ServerTool:
        settings = self.settings
        told = msgspec.json.encode(
            [settings.command, settings.args, settings.url, remote], order="sorted"
        )
        return ServerTool(
            self.name,
            remote,
            origin=f"{self.name} · {self.place}",
            edition=hashlib.sha256(told).hexdigest()[:8],
            seconds=settings.call_seconds,
            call=partial(self.call, remote),
        )

    def _see_whether_it_hangs(self) -> None:
        """After a call that was given up: end the connection if nothing else is answered either."""
        connection = self._connection
        if connection is None or self._within.pool.closing:
            return

        async def see(_job: Job[None]) -> None:
            if not await connection.answers() and connection is self._connection:
                self.ended("does not answer")

        self._within.pool.submit(f"ask {self.name} whether it is there", Lane.SERVERS, see)

    async def _closed(self) -> None:
        if self._job is not None:
            await self._job.ended()

    def _move(self, state: ServerState) -> None:
        self.state = state
        if state is not ServerState.STARTING:
            self._settled.set()
        self._within.events.emit(ServersChanged())


class Servers:
    """All servers of the settings, in their order."""

    def __init__(
        self,
        settings: Mapping[str, McpServer],
        tools: Registry,
        pool: Pool,
        events: Events,
        logins: Path,
    ) -> None:
        self.tools = tools
        self.logins = logins
        self.pool = pool
        self.events = events
        self._servers = {name: Server(name, one, self) for name, one in settings.items()}

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers.values())

    def get(self, name: str) -> Server | None:
        """The server of that name, or None."""
        return self._servers.get(name)

    def start(self) -> None:
        """Connect to all that were not tried yet, in the background."""
        for server in self:
            if server.state is ServerState.IDLE:
                server.start()

    async def settled(self, seconds: float | None = FIRST_SECONDS) -> None:
        """Connect to all, and wait for them: no longer than that, and for each start once only.

        Without a limit, until each is ready or has failed.
        """
        self.start()
        waiting = [server for server in self if seconds is None or not server.waited_for]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for server in waiting:
                    await server.settled()
        for server in waiting:
            server.waited_for = True

    async def ready_for(self, calls: Iterable[ToolCall]) -> None:
        """Connect to the servers whose tools are called, as far as they can be."""
        wanted = {call.name.partition("__")[0] for call in calls if "__" in call.name}
        for server in filter(None, map(self.get, sorted(wanted))):
            if server.state is not ServerState.FAILED or not server.offers.tools:
                server.start()
                await server.settled()

    def tell(
        self, text: str, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """Say something to whoever sits before the screen."""
        self.events.emit(Notice(text=text, severity=severity))


async def _first(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait for the first of some tasks, and end the others."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
