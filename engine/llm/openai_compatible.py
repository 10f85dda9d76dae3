"""Any server that speaks OpenAI's chat completions: llama.cpp, vLLM, LM Studio, OpenAI itself.

The embedded model's child process is such a server too, and is spoken to by this same code.
The protocol is OpenAI's API reference; what llama.cpp adds to it (`return_progress`, `timings`,
`/apply-template`, `/tokenize`) is in its `tools/server/README.md`.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from engine.llm.base import Backend, Chunk, ModelError, ModelInfo, TokenCount
from engine.llm.bounded import PLAIN, bound
from engine.llm.gguf import short_count
from engine.llm.openai_answer import Answer
from engine.llm.openai_errors import failure
from engine.llm.openai_wire import (
    EmbeddingList,
    Event,
    ModelList,
    ModelMeta,
    Refusal,
    RenderedPrompt,
    ServedModel,
    TokenList,
)
from engine.llm.sse import EventDecoder, EventTooLongError
from engine.secrets import from_keyring
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from engine.config import OpenAISettings
    from engine.llm.base import ChatImage, ChatMessage, ChatRequest

T = TypeVar("T")

CONNECT_SECONDS = 5.0
QUICK_SECONDS = 15.0
"""What takes a server milliseconds takes no longer than this on a busy machine."""

SILENCE_SECONDS = 300.0
"""A busy server may hold a request back for minutes before the first chunk."""

_LONGEST_ERROR = 300


class OpenAICompatible(Backend):
    """A client of one server.

    Args:
        base_url: Up to and with the version, such as `http://127.0.0.1:8080/v1`.
        api_key: The key, or a function that finds it, called once and off the event loop. It is
            sent to `base_url` and nowhere else: redirects are not followed.
        provider: The name before the colon in model refs.
        transport: How to reach the server, when not by the URL's own address (a Unix socket).
        silence_seconds: How long the server may send nothing of an answer before it is given up.
        vision: Whether its models see images, whatever it says of them.
        tools: Whether they call tools, whatever it says of them.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | Callable[[], str | None] | None = None,
        *,
        provider: str = "openai",
        transport: httpx.AsyncBaseTransport | None = None,
        silence_seconds: float = SILENCE_SECONDS,
        vision: bool = False,
        tools: bool = False,
    ) -> None:
        self.provider = provider
        self.base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._transport = transport
        self._silence_seconds = silence_seconds
        self._vision = vision
        self._tools = tools
        self._http: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._known: dict[str, ServedModel] = {}

    @classmethod
    def from_settings(cls, settings: OpenAISettings) -> OpenAICompatible:
        """The server that the user has set."""
        return cls(
            settings.base_url,
            lambda: find_api_key(settings),
            vision=settings.vision,
            tools=settings.tools,
        )

    async def answers(self, timeout: float) -> bool:
        """Whether the server lists its models within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._list()
        except (ModelError, TimeoutError):
            return False
        return True

    async def models(self) -> list[ModelInfo]:
        """The models that the server lists, in its order."""
        return [self._info(served) for served in await self._list()]

    async def describe(self, model: str) -> ModelInfo:
        """What the server's list says of a model; llama.cpp tells most, OpenAI only the name."""
        return self._info(await self._served(model))

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream an answer; closing the generator closes the connection, which stops the server."""
        answer = Answer(self._where)
        url = self.base_url + "/chat/completions"
        body = self._body(request, await self._flavour(request.model))
        async with aclosing(self._post_stream(url, body)) as events:
            async for event in events:
                if event == "[DONE]":
                    answer.closed = True
                    break
                for chunk in answer.take(self._decode(event, Event)):
                    yield chunk
        for chunk in answer.end():
            yield chunk

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """Exact with llama.cpp, which renders and cuts the prompt itself; else an estimate."""
        if await self._flavour(request.model) != "llamacpp":
            from engine.context.tokens import estimate

            return await estimate(request, f"{self.provider}:{request.model}")
        body = self._body(_without_images(request), "llamacpp")
        prompt = (await self._post_to_root("/apply-template", body, RenderedPrompt)).prompt
        cut = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = (await self._post_to_root("/tokenize", cut, TokenList)).tokens
        images = request.image_tokens
        return TokenCount(len(tokens) + images, exact=not images)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order."""
        if not texts:
            return []
        body = {"model": model, "input": list(texts)}
        exchange = self._exchange("POST", self.base_url + "/embeddings", body)
        answer = self._decode(await exchange, EmbeddingList)
        vectors = [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        if len(vectors) != len(texts):
            raise ModelError(
                "bad_answer",
                f"{self._where} was asked for {len(texts)} vectors and sent {len(vectors)}.",
                "Choose another model for embeddings.",
            )
        return vectors

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    # What the server has

    async def _list(self) -> list[ServedModel]:
        """The server's models; none when it keeps no list."""
        try:
            listed = await self._exchange("GET", self.base_url + "/models", seconds=QUICK_SECONDS)
        except ModelError as error:
            if error.kind != "model_missing":
                raise
            listed = b'{"data": []}'
        served = self._decode(listed, ModelList).data
        self._known = {model.id: model for model in served}
        return served

    async def _served(self, model: str) -> ServedModel:
        if model not in self._known and await self._list() and model not in self._known:
            raise ModelError(
                "model_missing",
                f"{self._where} has no model called {model}.",
                "Choose one that it lists.",
            )
        return self._known.get(model) or ServedModel(id=model)

    async def _flavour(self, model: str) -> str:
        """The server's software as its model list gives it away; empty when it does not."""
        if not self._known:
            await self._list()
        served = self._known.get(model) or next(iter(self._known.values()), None)
        return served.owned_by if served is not None else ""

    def _info(self, served: ServedModel) -> ModelInfo:
        meta = served.meta or ModelMeta()
        return ModelInfo(
            provider=self.provider,
            name=served.id,
            parameters=short_count(meta.n_params) if meta.n_params else None,
            quantization=meta.ftype,
            context_length=meta.n_ctx_train or served.max_model_len,
            window=meta.n_ctx or served.max_model_len,
            size_bytes=meta.size,
            capabilities=frozenset(self._capabilities(served)),
            loaded=True if served.meta else None,
        )

    def _capabilities(self, served: ServedModel) -> Iterator[str]:
        yield "chat"
        if self._vision or served.sees:
            yield "vision"
        if self._tools or served.calls:
            yield "tools"

    # The request

    def _body(self, request: ChatRequest, flavour: str) -> dict[str, Any]:
        options = request.options
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": options.temperature,
            "top_p": options.top_p,
            "seed": options.seed,
            "stop": list(options.stop) or None,
            "max_tokens": options.max_tokens,
        }
        if request.tools:
            body["tools"] = [
                {"type": "function", "function": msgspec.to_builtins(tool)}
                for tool in request.tools
            ]
        if request.schema is not None:
            wanted = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        if isinstance(request.think, str):
            body["reasoning_effort"] = request.think
        # Strict servers refuse fields that they don't know, so each flavour gets its own only.
        if flavour in ("llamacpp", "vllm") and request.think is not None:
            body["chat_template_kwargs"] = {"enable_thinking": bool(request.think)}
        if flavour == "llamacpp":
            body["repeat_penalty"] = options.repeat_penalty
            # Without it, a stop while the prompt is being read is noticed only at its end.
            body["return_progress"] = True
        elif flavour == "vllm":
            body["repetition_penalty"] = options.repeat_penalty
        elif urlsplit(self.base_url).hostname == "api.openai.com":
            body["max_completion_tokens"] = body.pop("max_tokens")
        return {key: value for key, value in body.items() if value is not None}

    # The wire

    async def _client(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._http is None:
                # In a thread: the keyring may ask the user, and reading certificates takes 20 ms.
                self._http = await asyncio.to_thread(self._make_client)
            return self._http

    def _make_client(self) -> httpx.AsyncClient:
        key = self._api_key() if callable(self._api_key) else self._api_key
        return httpx.AsyncClient(
            transport=self._transport,
            headers=PLAIN | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx.Timeout(self._silence_seconds, connect=CONNECT_SECONDS),
            follow_redirects=False,
            # A proxy has no business between this program and this machine.
            trust_env=not _is_local(self.base_url),
            event_hooks={"response": [bound]},
        )

    async def _post_to_root(self, path: str, body: dict[str, Any], kind: type[T]) -> T:
        """Ask for what llama.cpp offers beside OpenAI's API, not under it."""
        url = self.base_url.removesuffix("/v1") + path
        return self._decode(await self._exchange("POST", url, body, seconds=QUICK_SECONDS), kind)

    async def _exchange(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None = None,
        *,
        seconds: float | None = None,
    ) -> bytes:
        """Send a request and return the body of the answer, waiting `seconds` for each part."""
        timeout = httpx.Timeout(seconds or self._silence_seconds, connect=CONNECT_SECONDS)
        try:
            client = await self._client()
            response = await client.request(method, url, json=body, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if response.is_success:
            return response.content
        raise self._refusal(response.status_code, response.content)

    async def _post_stream(self, url: str, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The data of the events that the server answers with.

        The silence is measured between events, not bytes: a server may keep a connection alive
        with comments while its model hangs.
        """
        begun = False
        try:
            client = await self._client()
            async with client.stream("POST", url, json=body) as response:
                if not response.is_success:
                    raise self._refusal(response.status_code, await response.aread())
                begun = True
                if response.headers.get("content-type", "").startswith("application/json"):
                    yield (await response.aread()).decode("utf-8", errors="replace")
                    return
                decoder = EventDecoder()
                pieces = response.aiter_bytes()
                clock = asyncio.get_running_loop().time
                deadline = clock() + self._silence_seconds
                while True:
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    for event in decoder.feed(piece):
                        yield event
                        deadline = clock() + self._silence_seconds
        except (TimeoutError, httpx.ReadTimeout) as error:
            raise ModelError(
                "silent",
                f"{self._where} has sent nothing for {self._silence_seconds:.0f} seconds.",
                "Try again; if it stays silent, restart the server.",
            ) from error
        except EventTooLongError as error:
            raise self._nonsense("a line without end") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise (self._lost() if begun else self._unreachable(error)) from error

    def _decode(self, data: bytes | str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._nonsense(str(error)) from error

    # Failures

    @property
    def _where(self) -> str:
        return (
            "The embedded model"
            if self.provider == "embedded"
            else f"The server at {self.base_url}"
        )

    def _unreachable(self, error: Exception) -> ModelError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            what = "does not answer"
        elif isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            what = "can't be asked: the address is not valid"
        else:
            what = f"broke off the exchange ({type(error).__name__})"
        return ModelError(
            "unreachable",
            f"{self._where} {what}.",
            "Start it, or correct `base_url` in the settings' section [openai].",
        )

    def _lost(self) -> ModelError:
        return ModelError(
            "disconnected",
            f"{self._where} broke off in the middle of the answer.",
            "Try again; what had come is kept.",
        )

    def _nonsense(self, detail: str) -> ModelError:
        return ModelError(
            "bad_answer",
            f"{self._where} sent something that is not a chat answer: {detail[:_LONGEST_ERROR]}",
            "Check that `base_url` points at an OpenAI-compatible API; most end in /v1.",
        )

    def _refusal(self, status: int, content: bytes) -> ModelError:
        try:
            error = msgspec.json.decode(content, type=Refusal).error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            error = content[:_LONGEST_ERROR].decode("utf-8", errors="replace")
        return failure(self._where, status, error)


def find_api_key(settings: OpenAISettings) -> str | None:
    """The key from the environment, else from the system's keyring, else None."""
    if key := os.environ.get(settings.api_key_env):
        return key
    return from_keyring(settings.base_url)


def _message(message: ChatMessage) -> dict[str, Any]:
    out: dict[str, Any] = {"role": str(message.role), "content": message.content}
    if message.images:
        # https://platform.openai.com/docs/guides/images-vision
        out["content"] = [
            {"type": "text", "text": message.content},
            *(
                {"type": "image_url", "image_url": {"url": _url_of(image)}}
                for image in message.images
            ),
        ]
    if message.tool_calls:
        out["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": msgspec.json.encode(call.arguments).decode(),
                },
            }
            for call in message.tool_calls
        ]
    if message.role is Role.TOOL:
        out["tool_call_id"] = message.tool_call_id or ""
    return out


def _url_of(image: ChatImage) -> str:
    return f"data:{image.kind};base64,{b64encode(image.data).decode()}"


def _without_images(request: ChatRequest) -> ChatRequest:
    messages = (msgspec.structs.replace(message, images=()) for message in request.messages)
    return msgspec.structs.replace(request, messages=tuple(messages))


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
