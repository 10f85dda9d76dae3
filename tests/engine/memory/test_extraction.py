"""Reading facts through a real server: what comes back fits the schema, however small the model.

The model of the tests is far too small to read well; the program would not ask it. What is shown
here is that the schema is kept to, and that what no message bears out is dropped.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import msgspec

from engine.config import OllamaSettings
from engine.llm.ollama import Ollama
from engine.memory import extraction
from storage.records import Message, Role
from tests.ollama_server import CHAT_MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from engine.llm.base import ChatRequest, Chunk

TOLD = "My name is Ana Quispe and I live in Lima. I work as a carpenter."


class Listening(Ollama):
    """Keeps what the model says."""

    said = ""

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        async for chunk in super().chat(request):
            self.said += chunk.text
            yield chunk


async def test_facts_come_as_the_schema_wants_them_from_a_real_server(
    ollama_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = copy.deepcopy(extraction.SCHEMA)
    short["properties"]["facts"]["maxItems"] = 1  # some twenty words a second is what it writes
    short["properties"]["about"]["maxLength"] = 40
    monkeypatch.setattr(extraction, "SCHEMA", short)
    message = Message(
        id="m",
        session_id="s",
        parent_id=None,
        position=0,
        role=Role.USER,
        content=TOLD,
        created_at=0,
    )
    backend = Listening(OllamaSettings(host=ollama_host))
    try:
        info = await backend.describe(CHAT_MODEL)
        found = await extraction.extract(backend, info, [message])
    finally:
        await backend.close()
    answer = msgspec.json.decode(backend.said)
    assert set(answer) == {"facts", "about"}
    assert len(answer["facts"]) <= 1
    for fact in answer["facts"]:
        assert set(fact) == {"subject", "text", "confidence"}
    assert found.tokens > 0
    for statement, source in found.statements:
        assert source == "m"
        assert statement.text
