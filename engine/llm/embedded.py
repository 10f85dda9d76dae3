"""The embedded model: llama.cpp in a child process, on weights that are kept on this disk."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

import msgspec

from engine.llm import catalog, weights
from engine.llm.base import Backend, Chunk, ModelError, ModelInfo, Options, TokenCount
from engine.llm.catalog import KNOWN, InstalledModel
from engine.llm.embedded_child import EmbeddedChild, RuntimeMissingError, library_folder, log_file
from engine.llm.gguf import short_count
from engine.llm.runtime_library import fetch_runtime_library

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from engine.config import EmbeddedSettings, Paths
    from engine.llm.base import ChatRequest, Progress

log = logging.getLogger(__name__)

SILENCE_SECONDS = 120.0
"""A large model on a slow processor takes half a minute for one batch of a prompt."""


class Embedded(Backend):
    """Owns at most one child, started when it is first needed, serving one answer at a time.

    Args:
        settings: The window, the threads, and how long an idle child is kept.
        paths: Where the models and the log are.
        silence_seconds: How long the child may send nothing of an answer before it is ended.
    """

    provider = "embedded"

    def __init__(
        self,
        settings: EmbeddedSettings,
        paths: Paths,
        *,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._silence_seconds = silence_seconds
        self._child: EmbeddedChild | None = None
        self._starting = asyncio.Lock()
        self._answering = asyncio.Lock()
        self._using = 0
        self._last_used = 0.0
        self._idle_watch: asyncio.Task[None] | None = None

    async def answers(self, timeout: float) -> bool:
        """Whether there are weights, and a runtime for them. Takes no time."""
        runtime = importlib.util.find_spec("xllamacpp")
        return runtime is not None and bool(catalog.installed(self._paths))

    async def models(self) -> list[ModelInfo]:
        """The installed models, the largest first."""
        return [self._info(model) for model in catalog.installed(self._paths)]

    async def describe(self, model: str) -> ModelInfo:
        """What is known of an installed model."""
        return self._info(catalog.find(self._paths, model))

    async def fetch(self, model: str, progress: Progress) -> None:
        """Fetch a known model, or the GGUF file at an address, and check it."""
        await weights.add(self._paths, model, progress=progress)

    async def remove(self, model: str) -> None:
        """Delete a model's weights, unless they lie in a folder of the user's own."""
        await asyncio.to_thread(catalog.remove, self._paths, model)

    async def warm(self, model: str) -> None:
        """Start the child ahead of the first question, unless one is being answered.

        Raises:
            ModelError: It does not start.
        """
        if not self._answering.locked():
            async with self._answering:
                await self._ready(model)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream an answer; waits while another is being written.

        A child that died since the last answer, or that hangs before the first word, is started
        anew once. After the first word it can't be: the answer ends with `crashed` or `hung`.
        """
        request = self._prepared(request)
        async with self._answering:
            for is_last_try in (False, True):
                before = self._child
                child = await self._ready(request.model, request.options.context_length)
                load_seconds = child.load_seconds if child is not before else None
                spoken = False
                try:
                    with self._in_use():
                        async with aclosing(child.server.chat(request)) as chunks:
                            async for chunk in chunks:
                                spoken = spoken or bool(chunk.text or chunk.thinking)
                                yield _with_load(chunk, load_seconds)
                    return
                except ModelError as error:
                    failure = await self._judge(child, error)
                    may_help = error.kind in ("unreachable", "silent")
                    if spoken or is_last_try or not may_help:
                        raise failure from error
                    log.warning("the embedded model's process is started again: %s", failure)

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """Exact, by the model's own tokenizer; an estimate while another model is answering."""
        request = self._prepared(request)
        running = self._child
        if running is not None and running.serves(request.model):
            try:
                return await self._count(running, request)
            except ModelError as error:
                if error.kind != "crashed":
                    raise
        if self._answering.locked():
            from engine.context.tokens import estimate

            return await estimate(request, f"{self.provider}:{request.model}")
        async with self._answering:
            return await self._count(await self._ready(request.model), request)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Not offered: the vectors of a small chat model hardly separate meanings."""
        raise ModelError(
            "unsupported",
            "The embedded chat model makes no useful vectors.",
            "Use an embedding model of an Ollama server.",
        )

    async def close(self) -> None:
        """End the child, within some seconds even when it hangs."""
        async with self._starting:
            watch, self._idle_watch = self._idle_watch, None
            if watch is not None:
                watch.cancel()
                (ended,) = await asyncio.gather(watch, return_exceptions=True)
                if isinstance(ended, Exception):
                    log.error("ending the idle embedded model failed", exc_info=ended)
            await self._stop()

    def _prepared(self, request: ChatRequest) -> ChatRequest:
        model = catalog.find(self._paths, request.model)
        return _with_defaults(_defused(request, model.header.control_tokens))

    async def _count(self, child: EmbeddedChild, request: ChatRequest) -> TokenCount:
        try:
            with self._in_use():
                return await child.server.count_tokens(request)
        except ModelError as error:
            raise await self._judge(child, error) from error

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """While this lasts, the child is not idle."""
        self._using += 1
        try:
            yield
        finally:
            self._using -= 1
            self._last_used = asyncio.get_running_loop().time()

    async def _judge(self, child: EmbeddedChild, error: ModelError) -> ModelError:
        """What an error means, given how the child is; a child that hangs is ended."""
        if error.kind == "silent":
            await self._drop(child)
            return ModelError(
                "hung",
                f"The embedded model sent nothing for {self._silence_seconds:.0f} seconds "
                "and was ended.",
                "Ask again: it starts anew with the next question.",
            )
        if error.kind not in ("unreachable", "disconnected"):
            return error
        fate = await child.fate()
        await self._drop(child)
        return ModelError(
            "crashed",
            f"The embedded model's process {fate or 'broke off the connection'}.",
            "Ask again: it starts anew with the next question. If it happens again, look into "
            f"{log_file(self._paths)} or choose another model.",
        )

    async def _ready(self, name: str, window: int | None = None) -> EmbeddedChild:
        """The running child of that model, started if need be; its window may be longer."""
        async with self._starting:
            model = catalog.find(self._paths, name)
            window = self._window(model, window)
            child = self._child
            if child is not None and child.serves(name) and child.window >= window:
                return child
            await self._stop()
            self._child = child = await self._start(model, window)
            self._last_used = asyncio.get_running_loop().time()
            if self._settings.idle_seconds > 0 and self._idle_watch is None:
                self._idle_watch = asyncio.create_task(
                    self._end_when_idle(), name="end the idle embedded model"
                )
            return child

    async def _start(self, model: InstalledModel, window: int) -> EmbeddedChild:
        file = await weights.check(self._paths, model)

        async def start() -> EmbeddedChild:
            return await EmbeddedChild.start(
                file,
                model=model.name,
                window=window,
                settings=self._settings,
                paths=self._paths,
                silence_seconds=self._silence_seconds,
            )

        try:
            return await start()
        except RuntimeMissingError as error:
            await fetch_runtime_library(library_folder(self._paths), str(error))
        try:
            return await start()
        except RuntimeMissingError as error:
            # The folder now has what can be fetched, so this says what to do instead.
            await fetch_runtime_library(library_folder(self._paths), str(error))
            raise

    async def _drop(self, child: EmbeddedChild) -> None:
        async with self._starting:
            if self._child is child:
                await self._stop()

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop()

    async def _end_when_idle(self) -> None:
        idle = self._settings.idle_seconds
        while True:
            rest = self._last_used + idle - asyncio.get_running_loop().time()
            await asyncio.sleep(idle if self._using else max(rest, 0))
            async with self._starting:
                rest = self._last_used + idle - asyncio.get_running_loop().time()
                if not self._using and rest <= 0:
                    log.info("the embedded model was idle for %.0f seconds and is ended", idle)
                    await self._stop()
                    self._idle_watch = None
                    return

    def _window(self, model: InstalledModel, wanted: int | None) -> int:
        longest = model.header.context_length or self._settings.context_length
        return min(max(self._settings.context_length, wanted or 0), longest)

    def _info(self, model: InstalledModel) -> ModelInfo:
        known = KNOWN.get(model.name)
        child = self._child if self._child and self._child.serves(model.name) else None
        return ModelInfo(
            provider=self.provider,
            name=model.name,
            family=model.header.architecture,
            parameters=short_count(model.header.parameters),
            quantization=model.header.quantization,
            context_length=model.header.context_length,
            window=child.window if child is not None else self._window(model, None),
            size_bytes=model.size_bytes,
            capabilities=known.capabilities if known is not None else frozenset({"chat"}),
            loaded=child is not None,
            note=known.note if known is not None else "",
        )


def _defused(request: ChatRequest, control_tokens: tuple[str, ...]) -> ChatRequest:
    """The request with a zero-width space inside whatever reads like a control token.

    llama.cpp cuts control tokens out of the whole prompt. A fetched page that contains
    `<|im_start|>system` would speak with the voice of the system otherwise.
    """
    longest_first = sorted(control_tokens, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def defuse(text: str) -> str:
        return pattern.sub(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", text)

    messages = tuple(
        msgspec.structs.replace(message, content=defuse(message.content))
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=messages)


def _with_load(chunk: Chunk, load_seconds: float | None) -> Chunk:
    """The chunk, with the child's start in its usage when this answer had to wait for it."""
    if chunk.usage is None or load_seconds is None:
        return chunk
    usage = msgspec.structs.replace(chunk.usage, load_seconds=load_seconds)
    return msgspec.structs.replace(chunk, usage=usage)


def _with_defaults(request: ChatRequest) -> ChatRequest:
    """The request with a known model's own options where it leaves them open."""
    known = KNOWN.get(request.model)
    if known is None or known.options == Options():
        return request
    chosen = {
        name: value
        for name in ("temperature", "top_p", "repeat_penalty", "max_tokens")
        if (value := getattr(known.options, name)) is not None
        and getattr(request.options, name) is None
    }
    return msgspec.structs.replace(
        request, options=msgspec.structs.replace(request.options, **chosen)
    )
