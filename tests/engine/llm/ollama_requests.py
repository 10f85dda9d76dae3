"""Short requests to the small models that the tests' Ollama server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.llm.base import ChatMessage, ChatRequest, Options
from storage.records import Role
from tests.ollama_server import CHAT_MODEL

if TYPE_CHECKING:
    from engine.llm.base import Backend, Chunk

ENDLESS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}, "minItems": 5000}
"""A schema that an answer fits only after some ten thousand tokens: minutes of work."""


def ask(text: str, *, model: str = CHAT_MODEL, max_tokens: int = 12, **fields: Any) -> ChatRequest:
    """A request with one user message, answered the same each time."""
    options = Options(max_tokens=max_tokens, temperature=0)
    messages = (ChatMessage(role=Role.USER, content=text),)
    return ChatRequest(model=model, messages=messages, **{"options": options} | fields)


async def answer(backend: Backend, request: ChatRequest) -> list[Chunk]:
    """Every chunk of an answer."""
    return [chunk async for chunk in backend.chat(request)]


def text_of(chunks: list[Chunk]) -> str:
    """What the chunks say together."""
    return "".join(chunk.text for chunk in chunks)
