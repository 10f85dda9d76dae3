"""Several servers of one kind as one: each request goes to the one that serves it best.

That is, of those that have the model, the least busy one that has it loaded. A server that fails
before the first word is passed over for another; one that fails later leaves what it said, and is
not asked again before it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from engine.events import Events, HostsChanged, Notice
from engine.llm.base import Backend, ModelError
from engine.llm.hosts import LOOK_SECONDS
from engine.pool import Job, Lane, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from engine.llm.base import ChatRequest, Chunk, ModelInfo, Progress, TokenCount
    from engine.llm.hosts import Host

log = logging.getLogger(__name__)

T = TypeVar("T")

FRESH_SECONDS = 10.0
"""So long it is believed what a server said of itself."""

ROOM = 2
"""Requests at a time that a server which has the model loaded is given before one that would have
to load it gets any: waiting in line takes longer than loading."""

PAUSES = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Seconds between looks at a server that failed. After the last, it is looked at when one is
needed."""

SILENCE_SECONDS = 10.0
"""A server that says nothing for so long is asked whether it is still there: a model may take
minutes to load, and a machine that fell asleep never answers."""

GONE = frozenset({"unreachable", "disconnected", "silent"})
"""Failures after which a server is not asked again before it was seen to be back."""

ITS_OWN = GONE | {
    *("busy", "crashed", "server_error", "out_of_memory"),
    *("model_missing", "unauthorized", "bad_answer", "bad_setting"),
}
"""Failures of a server, and not of what was asked: another may do better."""


class Router(Backend):
    """The servers of one kind.

    With one server there is no choice to make, and nothing is asked of it but what is wanted.

    Attributes:
        hosts: The servers, the one that is preferred where all else is equal first.
    """

    def __init__(self, hosts: Sequence[Host], pool: Pool, events: Events) -> None:
        self.provider = hosts[0].kind
        self.hosts = tuple(hosts)
        self._pool = pool
        self._events = events
        self._returning: Job[None] | None = None
        self._talking: Host | None = None
        """The one that people last talked with: it still knows the conversation's beginning."""

    @property
    def spreads(self) -> bool:
        """Whether there is more than one server to work with now."""
        return sum(host.reachable is True for host in self.hosts) > 1

    async def answers(self, timeout: float) -> bool:
        """Whether any server does; known as soon as the first one answers."""
        asked = [asyncio.create_task(host.backend.answers(timeout)) for host in self.hosts]
        try:
            for answer in asyncio.as_completed(asked):
                if await answer:
                    return True
        finally:
            for task in asked:
                task.cancel()
        return False

    async def models(self) -> list[ModelInfo]:
        """What all of them have, each model once."""
        await self.look(older_than=1.0)
        if not any(host.reachable for host in self.hosts):
            raise self.hosts[0].failure or ModelError("unreachable", "No server answers.")
        found: dict[str, ModelInfo] = {}
        for host in self.hosts:
            for info in host.models if host.reachable else ():
                if info.name not in found or info.loaded:
                    found[info.name] = info
        return sorted(found.values(), key=lambda info: "chat" not in info.capabilities)

    async def describe(self, model: str) -> ModelInfo:
        """What the server that would answer knows of a model."""
        return await self._ask(model, lambda backend: backend.describe(model))

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream an answer from the best server; from the next best, if that fails at once."""
        failed: list[Host] = []
        while True:
            host = await self._choose(request.model, failed, background=request.background)
            if not request.background:
                self._talking = host
            first: float | None = None
            try:
                with host.busy(background=request.background):
                    self._changed()
                    async with aclosing(self._heard(host, request)) as chunks:
                        async for chunk in chunks:
                            if first is None and (chunk.text or chunk.thinking or chunk.tool_calls):
                                first = time.monotonic()
                                host.answered(request.model)
                            if first is not None:
                                host.measure(chunk.usage, time.monotonic() - first)
                            yield chunk
                return
            except ModelError as error:
                self._note_failure(host, error)
                failed.append(host)
                other = self._best(request.model, failed, background=request.background)
                if error.kind not in ITS_OWN or other is None:
                    raise
                if first is not None:
                    told = f"What had come is kept. Retry: {other.name} answers then."
                    raise ModelError(error.kind, str(error), told) from error
                if not request.background:
                    self._tell(f"{error} {other.name} answers instead.")
            finally:
                self._changed()

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """As the server counts that would answer."""
        return await self._ask(request.model, lambda backend: backend.count_tokens(request))

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, made away from the server that people talk with, where that can be."""
        return await self._ask(model, lambda backend: backend.embed(model, texts), background=True)

    async def fetch(self, model: str, progress: Progress) -> None:
        """Let the first server that answers get a model."""
        await self.look(older_than=FRESH_SECONDS)
        host = next((host for host in self.hosts if host.reachable), self.hosts[0])
        await host.backend.fetch(model, progress)
        await host.look()

    async def remove(self, model: str) -> None:
        """Delete a model on every server that has it."""
        await self.look(older_than=1.0)
        for host in [host for host in self.hosts if host.has(model)] or self.hosts[:1]:
            await host.backend.remove(model)
            await host.look()

    async def warm(self, model: str) -> None:
        """Do what is slow before the first question comes."""
        await self._ask(model, lambda backend: backend.warm(model))

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(host.backend.close() for host in self.hosts))

    async def look(self, *, older_than: float = 0.0) -> None:
        """Look at all servers of which it is `older_than` seconds ago."""
        await self._look(self.hosts, older_than)

    async def _heard(self, host: Host, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """What a server answers; one that falls silent and is not there any more is given up."""
        async with aclosing(host.backend.chat(request)) as chunks:
            while True:
                coming = asyncio.ensure_future(anext(chunks, None))
                try:
                    while not (await asyncio.wait([coming], timeout=SILENCE_SECONDS))[0]:
                        alone = len(self.hosts) == 1
                        if not alone and not await host.backend.answers(LOOK_SECONDS):
                            raise ModelError("silent", f"{host.name} does not answer any more.")
                finally:
                    await _end(coming)
                if (chunk := coming.result()) is None:
                    return
                yield chunk

    async def _ask(
        self, model: str, ask: Callable[[Backend], Awaitable[T]], *, background: bool = False
    ) -> T:
        """Ask the best server; the next best, if it fails."""
        failed: list[Host] = []
        while True:
            host = await self._choose(model, failed, background=background)
            try:
                if not background:
                    return await ask(host.backend)
                with host.busy(background=True):
                    self._changed()
                    return await ask(host.backend)
            except ModelError as error:
                self._note_failure(host, error)
                failed.append(host)
                other = self._best(model, failed, background=background)
                if error.kind not in ITS_OWN or other is None:
                    raise
                log.info("%s failed (%s); %s is asked", host.name, error.kind, other.name)
            finally:
                if background:
                    self._changed()

    async def _choose(self, model: str, failed: Sequence[Host], *, background: bool) -> Host:
        """The best server, going by what is known of them, which is made sure of."""
        if len(self.hosts) == 1:
            return self.hosts[0]
        await self._look((one for one in self.hosts if one.reachable is not False), FRESH_SECONDS)
        left = [host for host in self.hosts if host not in failed]
        best = self._best(model, failed, background=background)
        if best is None:
            await self._look(left, 1.0)  # one may be back, or have it since
            best = self._best(model, failed, background=background)
        # Where none has it, whoever is asked says what is amiss.
        return best or min(left, key=lambda host: (not host.has(model), not host.reachable))

    def _best(self, model: str, failed: Sequence[Host], *, background: bool) -> Host | None:
        """The best server of those that have the model and did not fail; None where none has."""

        def rank(host: Host) -> tuple[bool, bool, bool, int]:
            talked_with = background and (host.chats > 0 or host is self._talking)
            return talked_with, host.running >= ROOM, host.cold(model), host.running

        left = (host for host in self.hosts if host.reachable and host not in failed)
        return min((host for host in left if host.has(model)), key=rank, default=None)

    async def _look(self, hosts: Iterable[Host], older_than: float) -> None:
        before = {host: host.reachable for host in hosts}
        await asyncio.gather(*(host.look(older_than=older_than) for host in before))
        for host, reachable in before.items():
            if reachable and not host.reachable:
                self._tell(f"{host.failure} Others are asked instead.")
        if before != {host: host.reachable for host in before}:
            self._changed()
        self._await_return()

    def _note_failure(self, host: Host, error: ModelError) -> None:
        if error.kind in GONE:
            host.lost(error)
            self._await_return()

    def _await_return(self) -> None:
        """Look at servers that failed until all are back, more and more seldom."""
        waiting = self._returning is not None and not self._returning.state.over
        if waiting or self._pool.closing or len(self.hosts) == 1:
            return
        if all(host.reachable is not False for host in self.hosts):
            return

        async def wait(job: Job[None]) -> None:
            for pause in PAUSES:
                gone = [host for host in self.hosts if host.reachable is False]
                if not gone:
                    return
                job.report(detail=", ".join(host.name for host in gone))
                await asyncio.sleep(pause)
                await self._look(gone, 0.0)

        self._returning = self._pool.submit("wait for model hosts to be back", Lane.FETCH, wait)

    def _tell(self, text: str) -> None:
        self._events.emit(Notice(text=text, severity="warning"))

    def _changed(self) -> None:
        self._events.emit(HostsChanged())


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait for its end, also when that is cancelled: what it used is closed next.

    Raises:
        asyncio.CancelledError: It was; the task is over all the same.
    """
    cancelled: asyncio.CancelledError | None = None
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
