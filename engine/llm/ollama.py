"""Models on an Ollama server, through the official client."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from engine.llm.base import Backend, Chunk, ModelError, ModelInfo, TokenCount
from engine.llm.ollama_errors import bad_host, broken_off, explain, silent
from engine.llm.ollama_host import is_loopback, is_ollama, server_url
from storage.records import ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    import ollama
    import tiktoken
    from ollama._types import ModelDetails

    from engine.config import OllamaSettings
    from engine.context.tokens import Counter
    from engine.llm.base import ChatMessage, ChatRequest, Options, Progress, ToolSpec

DEFAULT_WINDOW = 4096
"""Tokens: what the server gives a model when neither a request nor the model asks for a window."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""Between two words of an answer; the first may take as long as loading and reading do."""

QUICK_SECONDS = 15.0
"""For questions about models, which the server answers without loading one."""

SHOWN_AT_ONCE = 8
"""Models whose files the server is asked to read at the same time."""

EMBED_BATCH = 64
"""Texts a request, so that a cancelled job stops the server soon."""

log = logging.getLogger(__name__)

Think = bool | Literal["low", "medium", "high"] | None


class Ollama(Backend):
    """Models on an Ollama server.

    A server that went away costs one `ModelError`; the next call finds it again when it is back.
    """

    provider = "ollama"

    def __init__(
        self,
        settings: OllamaSettings,
        environ: Mapping[str, str] = os.environ,
        *,
        cache_dir: Path | None = None,
        silence_seconds: float = SILENCE_SECONDS,
        counters: dict[str, Counter] | None = None,
    ) -> None:
        """Args:
        settings: Where the server is.
        environ: The environment, which may say so, too.
        cache_dir: Where what is known of models is kept from run to run. None keeps nothing.
        silence_seconds: How long an answer that has begun may pause before it is given up.
        counters: What is learnt of models' prompts, by digest; servers of the same models share it.
        """
        self._settings = settings
        self._silence_seconds = silence_seconds
        self._host = settings.host or environ.get("OLLAMA_HOST", "")
        self._api_key = environ.get("OLLAMA_API_KEY", "")
        self._vocabularies = cache_dir / "vocabularies" if cache_dir else None
        self._client: ollama.AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self._shown: dict[tuple[str, str], ollama.ShowResponse] = {}
        self._unthinking: set[str] = set()
        self._unlevelled: set[str] = set()
        self._windows: dict[str, int] = {}
        self._requested_windows: dict[str, int | None] = {}
        self._digests: dict[str, str] = {}
        self._counters: dict[str, Counter] = {} if counters is None else counters
        self._meeting = asyncio.Lock()

    async def answers(self, timeout: float) -> bool:
        """Whether an Ollama server is there. Asks by hand: the client takes longer to import."""
        try:
            async with asyncio.timeout(timeout):
                return await is_ollama(server_url(self._host), self._api_key)
        except (OSError, ValueError):
            return False

    async def models(self) -> list[ModelInfo]:
        """The server's models, those that chat first, the newest of them at the top."""
        listed, running = await self._listed(), await self._running()
        turns = asyncio.Semaphore(SHOWN_AT_ONCE)

        async def describe(entry: ollama.ListResponse.Model) -> ModelInfo:
            name = entry.model or ""
            async with turns:
                try:
                    shown = await self._show_cached(name, entry.digest or "")
                except ModelError as error:
                    # One damaged model, or one removed this moment, must not hide the others.
                    return self._info(name, entry, None, running, note=str(error))
            return self._info(name, entry, shown, running)

        async with asyncio.TaskGroup() as group:
            described = [group.create_task(describe(entry)) for entry in listed]
        infos = (task.result() for task in described)
        return sorted(infos, key=lambda info: "chat" not in info.capabilities)

    async def describe(self, model: str) -> ModelInfo:
        """What the server knows of a model, and the window that it runs or would run with."""
        shown = await self._show(model)
        entry = await self._entry(model)
        return self._info(model, entry, shown, await self._running())

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream an answer; closing the stream closes the connection, which stops the server."""
        self._requested_windows[request.model] = request.options.context_length
        client = await self._connect()
        try:
            async with aclosing(self._answer(client, request)) as parts:
                async for part in _spoken(parts, self._url, self._silence_seconds):
                    if part.done:
                        await self._calibrate(request, part.prompt_eval_count)
                    chunk = _chunk(part)
                    if chunk != Chunk():
                        yield chunk
                    if part.done:
                        return
        except Exception as error:
            raise explain(error, self._url, request.model) from error
        raise broken_off(self._url)

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """An estimate, by the model's own tokenizer and what the server counted in earlier answers.

        The first count of a model waits for its tokenizer; `warm` gets it earlier.
        """
        from engine.context.tokens import estimate

        await self._meet(request.model)
        return await estimate(request, f"{self.provider}:{request.model}")

    async def fetch(self, model: str, progress: Progress) -> None:
        """Let the server pull a model; it keeps the layers that have come if this is cancelled."""
        layers: dict[str, tuple[int, int]] = {}
        async with self._asking(model, seconds=None) as client:
            parts = cast(
                "AsyncGenerator[ollama.ProgressResponse, None]",
                await client.pull(model, stream=True),
            )
            async with aclosing(parts):
                async for part in parts:
                    if part.digest and part.total:
                        layers[part.digest] = part.completed or 0, part.total
                        done, total = map(sum, zip(*layers.values(), strict=True))
                        progress(done, total)

    async def remove(self, model: str) -> None:
        """Delete a model on the server."""
        async with self._asking(model) as client:
            await client.delete(model)

    async def warm(self, model: str) -> None:
        """Get the model's tokenizer."""
        await self._meet(model)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text; a text longer than the model's window is cut."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBED_BATCH):
            batch = texts[start : start + EMBED_BATCH]
            async with self._asking(model, seconds=None) as client:
                answer = await client.embed(
                    model,
                    list(batch),
                    truncate=True,
                    keep_alive=_keep_alive(self._settings.keep_alive),
                )
            vectors += [list(vector) for vector in answer.embeddings]
        if len(vectors) != len(texts):
            raise ModelError(
                "bad_answer", f"{model} returned {len(vectors)} vectors for {len(texts)} texts."
            )
        return vectors

    async def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]

    @property
    def address(self) -> str:
        """Where the server is, as people write it; what was set, if that is no address."""
        try:
            return server_url(self._host).partition("://")[2]
        except ValueError:
            return self._host

    @property
    def _url(self) -> str:
        try:
            return server_url(self._host)
        except ValueError as error:
            raise bad_host(self._host, error) from error

    async def _connect(self) -> ollama.AsyncClient:
        async with self._connecting:
            if self._client is None:
                # Importing the client takes about half a second, and reading certificates adds.
                self._client = await asyncio.to_thread(_make_client, self._url, self._api_key)
            return self._client

    @asynccontextmanager
    async def _asking(
        self, model: str = "", seconds: float | None = QUICK_SECONDS
    ) -> AsyncGenerator[ollama.AsyncClient, None]:
        client = await self._connect()
        try:
            async with asyncio.timeout(seconds):
                yield client
        except Exception as error:
            raise explain(error, self._url, model) from error

    async def _listed(self) -> list[ollama.ListResponse.Model]:
        async with self._asking() as client:
            return [entry for entry in (await client.list()).models if entry.model]

    async def _entry(self, model: str) -> ollama.ListResponse.Model | None:
        """The model in the server's list, its digest noted: the model may have been replaced."""
        named = (entry for entry in await self._listed() if entry.model == _full_name(model))
        entry = next(named, None)
        self._digests[model] = (entry and entry.digest) or ""
        return entry

    async def _meet(self, model: str) -> None:
        """Have the model's prompts counted with its own tokenizer, if the server tells it."""
        from engine.context.tokens import Counter, know

        async with self._meeting:
            try:
                if model not in self._digests:
                    await self._entry(model)
                digest = self._digests[model]
                if digest not in self._counters:
                    self._counters[digest] = Counter(await self._tokenizer(model, digest))
                know(f"{self.provider}:{model}", self._counters[digest])
            except ModelError as error:
                log.info("%s is counted by an estimate for now: %s", model, error.kind)

    async def _tokenizer(self, model: str, digest: str) -> tiktoken.Encoding | None:
        from engine.llm.ollama_tokenizer import tokenizer

        try:
            return await asyncio.to_thread(
                tokenizer, self._url, self._api_key, model, digest, self._vocabularies
            )
        except ModelError as error:
            if error.kind in ("unreachable", "disconnected"):
                raise
            # What a server can't tell now, it would not tell at every question either.
            log.warning("no tokenizer of %s: %s", model, error.kind)
            return None

    async def _running(self) -> dict[str, ollama.ProcessResponse.Model]:
        async with self._asking() as client:
            return {entry.model: entry for entry in (await client.ps()).models if entry.model}

    async def _show(self, model: str) -> ollama.ShowResponse:
        async with self._asking(model) as client:
            return await client.show(model)

    async def _show_cached(self, model: str, digest: str) -> ollama.ShowResponse:
        if (model, digest) not in self._shown:
            self._shown[model, digest] = await self._show(model)
        return self._shown[model, digest]

    async def _answer(
        self, client: ollama.AsyncClient, request: ChatRequest
    ) -> AsyncGenerator[ollama.ChatResponse, None]:
        """The parts of an answer, asked for again with less thinking where the model has less."""
        from ollama import ResponseError

        think = request.think
        while True:
            think = self._allowed(request.model, think)
            stream = await client.chat(
                request.model,
                [_message(message) for message in request.messages],
                tools=[_tool(tool) for tool in request.tools],
                stream=True,
                think=think,
                format=request.schema,
                options=_options(request.options),
                keep_alive=_keep_alive(request.keep_alive or self._settings.keep_alive),
            )
            try:
                # The client says iterator; it is a generator, and closing it closes the connection.
                parts = cast("AsyncGenerator[ollama.ChatResponse, None]", stream)
                async with aclosing(parts):
                    async for part in parts:
                        yield part
                return
            except ResponseError as error:
                if not think or error.status_code != 400:
                    raise
                if "does not support thinking" in error.error:
                    self._unthinking.add(request.model)
                elif isinstance(think, str) and "think" in error.error:
                    self._unlevelled.add(request.model)
                else:
                    raise

    def _allowed(self, model: str, think: Think) -> Think:
        """As much of the wished thinking as model and server were found to allow."""
        if model in self._unthinking:
            return None
        return bool(think) if isinstance(think, str) and model in self._unlevelled else think

    async def _calibrate(self, request: ChatRequest, returned: int | None) -> None:
        counter = self._counters.get(self._digests.get(request.model, ""))
        if not returned or counter is None or request.image_tokens:
            return  # what an image costs says nothing of what words do
        counted = await asyncio.to_thread(counter.count, request)
        # The server cuts long prompts without a word; half a window leaves room for an estimate
        # that is wrong by a factor of two.
        window = request.options.context_length or self._windows.get(request.model, DEFAULT_WINDOW)
        if counted.tokens <= window // 2:
            await asyncio.to_thread(counter.learn, request, returned)

    def _info(
        self,
        name: str,
        entry: ollama.ListResponse.Model | None,
        shown: ollama.ShowResponse | None,
        running: Mapping[str, ollama.ProcessResponse.Model],
        note: str = "",
    ) -> ModelInfo:
        details = (shown and shown.details) or (entry and entry.details) or None
        longest = _context_length(shown)
        process = running.get(_full_name(name))
        window = (
            self._requested_windows.get(name)
            or (process and process.context_length)
            or _parameter(shown, "num_ctx")
            or DEFAULT_WINDOW
        )
        window = self._windows[name] = min(window, longest) if longest else window
        return ModelInfo(
            provider=self.provider,
            name=name,
            family=(details and details.family) or None,
            parameters=_rounded(details.parameter_size) if details else None,
            quantization=(details and details.quantization_level) or None,
            context_length=longest,
            window=window,
            size_bytes=int(entry.size) if entry and entry.size is not None else None,
            capabilities=_capabilities(shown, details),
            loaded=process is not None,
            note=note,
        )


def _make_client(url: str, api_key: str) -> ollama.AsyncClient:
    import httpx
    import ollama

    from engine.llm.bounded import PLAIN, bound

    # A proxy from the environment can't reach this machine's own loopback address. A model may
    # take minutes to load, so only connecting has a limit.
    client = ollama.AsyncClient(
        url,
        headers={**PLAIN, **({"authorization": f"Bearer {api_key}"} if api_key else {})},
        trust_env=not is_loopback(url),
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        event_hooks={"response": [bound]},
    )
    if not api_key:  # the client takes that of the environment, which is for another server
        client._client.headers.pop("authorization", None)
    return client


async def _spoken(
    parts: AsyncGenerator[ollama.ChatResponse, None], url: str, seconds: float
) -> AsyncGenerator[ollama.ChatResponse, None]:
    """The parts, as long as no silence between two of them is too long."""
    limit = None
    while True:
        try:
            async with asyncio.timeout(limit):
                part = await anext(parts, None)
        except TimeoutError:
            raise silent(url, seconds) from None
        if part is None:
            return
        yield part
        limit = seconds


def _message(message: ChatMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": str(message.role), "content": message.content}
    if message.images:
        fields["images"] = [image.data for image in message.images]
    if message.tool_calls:
        fields["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_name:
        fields["tool_name"] = message.tool_name
    return fields


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"type": "function", "function": msgspec.structs.asdict(tool)}


def _options(options: Options) -> dict[str, Any]:
    named = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "repeat_penalty": options.repeat_penalty,
        "seed": options.seed,
        "stop": list(options.stop) or None,
        "num_predict": options.max_tokens,
        "num_ctx": options.context_length,
    }
    return {name: value for name, value in named.items() if value is not None}


def _keep_alive(text: str) -> str | float:
    """A duration such as `10m`, or seconds: the server takes those only as a number."""
    try:
        return float(text)
    except ValueError:
        return text


def _chunk(part: ollama.ChatResponse) -> Chunk:
    calls = tuple(
        ToolCall(
            id=f"call_{uuid.uuid4().hex}",
            name=call.function.name,
            arguments=dict(call.function.arguments),
        )
        for call in part.message.tool_calls or ()
    )
    return Chunk(
        text=part.message.content or "",
        thinking=part.message.thinking or "",
        tool_calls=calls,
        done=bool(part.done),
        done_reason=part.done_reason or "",
        usage=_usage(part) if part.done else None,
    )


def _usage(part: ollama.ChatResponse) -> Usage:
    return Usage(
        prompt_tokens=part.prompt_eval_count,
        eval_tokens=part.eval_count,
        prompt_seconds=_seconds(part.prompt_eval_duration),
        eval_seconds=_seconds(part.eval_duration),
        load_seconds=_seconds(part.load_duration),
        total_seconds=_seconds(part.total_duration),
    )


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


def _full_name(model: str) -> str:
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _context_length(shown: ollama.ShowResponse | None) -> int | None:
    facts = (shown and shown.modelinfo) or {}
    length = facts.get(f"{facts.get('general.architecture')}.context_length")
    return length if isinstance(length, int) else None


def _parameter(shown: ollama.ShowResponse | None, name: str) -> int | None:
    """A whole number among the model's own parameters, which come as lines of text."""
    for line in ((shown and shown.parameters) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None


def _rounded(size: str | None) -> str | None:
    """`134.52M` as people write it: `135M`."""
    if not size:
        return None
    number, unit = size[:-1], size[-1]
    try:
        value = float(number)
    except ValueError:
        return size
    return f"{value:.0f}{unit}" if value >= 100 or value == int(value) else f"{value:.1f}{unit}"


def _capabilities(
    shown: ollama.ShowResponse | None, details: ModelDetails | None
) -> frozenset[str]:
    named = shown and shown.capabilities
    if not named:  # a server from before mid-2025
        embeds = "bert" in ((details and details.family) or "")
        return frozenset({"embedding" if embeds else "chat"})
    ours = {"completion": "chat"}
    return frozenset(ours.get(name, name) for name in named) & {
        "chat",
        "tools",
        "thinking",
        "vision",
        "embedding",
    }
