"""One model server among several: how it is, what it has, what runs there, and how fast it was."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from engine.llm.base import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from engine.config import OllamaSettings, OpenAISettings
    from engine.context.tokens import Counter
    from engine.llm.base import Backend, ModelInfo
    from storage.records import Usage

LOOK_SECONDS = 2.0
"""A server that does not answer within so long is taken to be gone."""

LIST_SECONDS = 10.0
"""One that answers may take so long to list its models, the first time."""

NEWEST_COUNTS = 0.3
"""How much of the speed shown is the last answer's; the rest is that of those before."""


def ollama_hosts(settings: OllamaSettings, cache_dir: Path | None = None) -> list[Host]:
    """The Ollama servers that the user has set, each once and with a key of its own."""
    from engine.llm.ollama import Ollama

    hosts: dict[str, Host] = {}
    counters: dict[str, Counter] = {}  # prompts are counted by the model, wherever it runs
    places: list[tuple[OllamaSettings, Mapping[str, str]]] = [(settings, os.environ)]
    for written in settings.hosts:
        host, key = _parted(written)
        own = {"OLLAMA_API_KEY": os.environ.get(key, "")}
        places.append((msgspec.structs.replace(settings, host=host), own))
    for place, environ in places:
        backend = Ollama(place, environ, cache_dir=cache_dir, counters=counters)
        hosts.setdefault(backend.address, Host(backend.address, backend))
    return list(hosts.values())


def openai_hosts(settings: OpenAISettings) -> list[Host]:
    """The OpenAI-compatible servers that the user has set, each with a key of its own."""
    from engine.llm.openai_compatible import OpenAICompatible

    places = [(settings.base_url, settings.api_key_env)] if settings.base_url else []
    hosts: dict[str, Host] = {}
    for url, variable in [*places, *map(_parted, settings.hosts)]:
        own = msgspec.structs.replace(settings, base_url=url, api_key_env=variable)
        name = urlsplit(url).netloc or url
        hosts.setdefault(url, Host(name, OpenAICompatible.from_settings(own), variable))
    return list(hosts.values())


def _parted(written: str) -> tuple[str, str]:
    """An address, and the environment variable with its key."""
    address, _, variable = written.strip().partition(" ")
    return address, variable.strip()


class Host:
    """A server.

    Attributes:
        name: Its address, as people know it.
        backend: Speaks with it.
        key_variable: The environment variable with its key; empty where it takes none.
        reachable: Whether it answered when it was last asked; None before that.
        failure: Why it did not.
        latency: How long the shortest of its answers takes, in seconds.
        models: What it had when it last answered.
        chats: Answers that it writes and somebody waits for.
        others: Answers and vectors that it makes and nobody waits for.
        tokens_per_second: How fast it wrote, as measured; None before its first answer.
    """

    def __init__(self, name: str, backend: Backend, key_variable: str = "") -> None:
        self.name = name
        self.backend = backend
        self.key_variable = key_variable
        self.reachable: bool | None = None
        self.failure: ModelError | None = None
        self.latency: float | None = None
        self.models: tuple[ModelInfo, ...] = ()
        self.chats = 0
        self.others = 0
        self.tokens_per_second: float | None = None
        self._looked_at: float | None = None
        self._looking = asyncio.Lock()

    @property
    def kind(self) -> str:
        """What it speaks: `ollama` or `openai`."""
        return self.backend.provider

    @property
    def running(self) -> int:
        """The requests that it works on."""
        return self.chats + self.others

    def info(self, model: str) -> ModelInfo | None:
        """What it told of a model when it last answered; None where it did not have it."""
        names = (model, f"{model}:latest")  # Ollama's way of leaving out what is usual
        return next((info for info in self.models if info.name in names), None)

    def has(self, model: str) -> bool:
        """Whether it had the model when it last answered."""
        return self.info(model) is not None

    def cold(self, model: str) -> bool:
        """Whether it would have to load the model first. Servers that do not say have it ready."""
        info = self.info(model)
        return info is None or info.loaded is False

    async def look(self, *, older_than: float = 0.0) -> None:
        """Ask the server how it is and what it has, unless that was `older_than` seconds ago."""
        async with self._looking:
            now = time.monotonic()
            if self._looked_at is not None and now - self._looked_at < older_than:
                return
            try:
                if await self.backend.answers(LOOK_SECONDS):
                    self.latency = time.monotonic() - now
                async with asyncio.timeout(LIST_SECONDS if self.latency else LOOK_SECONDS):
                    self.models = tuple(await self.backend.models())
            except TimeoutError:
                self.lost(ModelError("unreachable", f"{self.name} does not answer."))
            except ModelError as error:
                self.lost(error)
            else:
                self.reachable, self.failure = True, None
            self._looked_at = time.monotonic()

    def lost(self, error: ModelError) -> None:
        """Take note that it can't be used."""
        self.reachable, self.failure, self.latency = False, error, None

    def answered(self, model: str) -> None:
        """Take note that it answers with the model, which it has loaded for that."""
        self.reachable, self.failure = True, None
        info = self.info(model)
        if info is not None and info.loaded is False:
            others = (one for one in self.models if one is not info)
            self.models = (msgspec.structs.replace(info, loaded=True), *others)

    def measure(self, usage: Usage | None, seconds: float) -> None:
        """Take in how fast an answer was written.

        Args:
            usage: What the server says of it.
            seconds: From the first word to the last, for servers that measure nothing.
        """
        if usage is None or not usage.eval_tokens:
            return
        speed = usage.eval_tokens / (usage.eval_seconds or max(seconds, 1e-3))
        before = self.tokens_per_second
        self.tokens_per_second = (
            speed if before is None else before + NEWEST_COUNTS * (speed - before)
        )

    @contextmanager
    def busy(self, *, background: bool) -> Iterator[None]:
        """Count a request for as long as it runs."""
        kind = "others" if background else "chats"
        setattr(self, kind, getattr(self, kind) + 1)
        try:
            yield
        finally:
            setattr(self, kind, getattr(self, kind) - 1)
