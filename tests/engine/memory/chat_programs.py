"""Small programs that chat through each kind of client, with asyncio and without."""

from __future__ import annotations

import asyncio
import functools
import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import ollama
import openai

from tests.engine.memory.chat_servers import KEY, Server

if TYPE_CHECKING:
    from engine.memory.client import Memory

FAMILIES = ("openai", "ollama", "anthropic")

own_requests: ContextVar[list[str]] = ContextVar("own_requests")
"""Where set, the bodies of the requests of this task alone."""


class Program:
    """A program with one registered client.

    Attributes:
        requests: The bodies of its requests, as they left for the server.
        client: The client.
    """

    def __init__(self, family: str, server: Server, memory: Memory, *, blocking: bool) -> None:
        self.requests: list[str] = []
        self.family = family
        self.model = server.model
        self._blocking = blocking
        self._memory = memory
        self.client = memory.register(self._client(server.url))

    async def ask(
        self, question: str, how: str = "whole", history: tuple[dict[str, Any], ...] = ()
    ) -> str:
        """What the model answers, asked for `whole`, as a `stream`, or by a stream's `manager`."""
        messages = [*history, {"role": "user", "content": question}]
        call = functools.partial(getattr(self, f"_{self.family}"), messages, how)
        if self._blocking:
            return await asyncio.to_thread(lambda: _read(call(), how))
        if how == "manager":
            async with call() as stream:
                return "".join([_text(piece) async for piece in stream])
        said = await call()
        return _text(said) if how == "whole" else "".join([_text(piece) async for piece in said])

    async def close(self) -> None:
        """Let go of the connections."""
        self._memory.unregister(self.client)
        if self._blocking:
            self.client.close()
        else:
            await self.client.close()

    def _client(self, url: str) -> Any:
        if self._blocking:
            http: Any = httpx.Client(event_hooks={"request": [self._note]}, timeout=60)
        else:
            http = httpx.AsyncClient(event_hooks={"request": [self._note_async]}, timeout=60)
        if self.family == "openai":
            kind: Any = openai.OpenAI if self._blocking else openai.AsyncOpenAI
            return kind(base_url=f"{url}/v1", api_key=KEY, http_client=http, max_retries=0)
        if self.family == "anthropic":
            kind = anthropic.Anthropic if self._blocking else anthropic.AsyncAnthropic
            return kind(base_url=url, api_key=KEY, http_client=http, max_retries=0)
        kind = ollama.Client if self._blocking else ollama.AsyncClient
        return kind(url, event_hooks=http.event_hooks, timeout=60)

    def _note(self, request: httpx.Request) -> None:
        body = json.dumps(json.loads(request.content))
        self.requests.append(body)
        own_requests.get([]).append(body)

    async def _note_async(self, request: httpx.Request) -> None:
        self._note(request)

    def _openai(self, messages: list[dict[str, Any]], how: str) -> Any:
        wants: dict[str, Any] = {"model": self.model, "messages": messages, "max_tokens": 3}
        if how == "manager":
            return self.client.chat.completions.stream(**wants)
        return self.client.chat.completions.create(**wants, stream=how == "stream")

    def _ollama(self, messages: list[dict[str, Any]], how: str) -> Any:
        return self.client.chat(
            self.model, messages, stream=how == "stream", options={"num_predict": 3}
        )

    def _anthropic(self, messages: list[dict[str, Any]], how: str) -> Any:
        wants: dict[str, Any] = {"model": self.model, "messages": messages, "max_tokens": 3}
        if how == "manager":
            return self.client.messages.stream(**wants)
        return self.client.messages.create(**wants, stream=how == "stream")


def _read(said: Any, how: str) -> str:
    if how == "whole":
        return _text(said)
    if how == "manager":
        with said as stream:
            return "".join(map(_text, stream))
    return "".join(map(_text, said))


def _text(piece: Any) -> str:
    """What a response says, or a piece of one."""
    if isinstance(piece, ollama.ChatResponse):
        return piece.message.content or ""
    match getattr(piece, "type", "") or piece.object:
        case "message":
            return "".join(block.text for block in piece.content)
        case "content_block_delta":
            return str(piece.delta.text)
        case "content.delta":
            return str(piece.delta)
        case "chat.completion":
            return piece.choices[0].message.content or ""
        case "chat.completion.chunk":
            return "".join(choice.delta.content or "" for choice in piece.choices)
    return ""
