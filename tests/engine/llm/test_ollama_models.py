"""Fetching models through an Ollama server, and deleting them there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.config import OllamaSettings
from engine.llm.base import ModelError
from engine.llm.ollama import Ollama
from tests.engine.llm.scripted_server import answer, scripted
from tests.ollama_server import CHAT_MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def ollama(ollama_host: str) -> AsyncIterator[Ollama]:
    backend = Ollama(OllamaSettings(host=ollama_host))
    yield backend
    await backend.close()


async def test_a_model_is_deleted_on_the_server(ollama: Ollama) -> None:
    client = await ollama._connect()
    await client.copy(CHAT_MODEL, "scrubjay-test-copy")
    names = [info.name for info in await ollama.models()]
    assert "scrubjay-test-copy:latest" in names
    await ollama.remove("scrubjay-test-copy")
    names = [info.name for info in await ollama.models()]
    assert "scrubjay-test-copy:latest" not in names
    assert CHAT_MODEL in names
    with pytest.raises(ModelError) as missing:
        await ollama.remove("scrubjay-test-copy")
    assert missing.value.kind == "model_missing"


async def test_the_bytes_of_all_layers_are_told_while_a_model_is_pulled() -> None:
    """The server is a stand-in, for a real one pulls from the network."""
    parts = [
        {"status": "pulling manifest"},
        {"status": "pulling a", "digest": "a", "total": 80},
        {"status": "pulling a", "digest": "a", "total": 80, "completed": 40},
        {"status": "pulling b", "digest": "b", "total": 20, "completed": 20},
        {"status": "pulling a", "digest": "a", "total": 80, "completed": 80},
        {"status": "success"},
    ]
    body = "".join(json.dumps(part) + "\n" for part in parts)
    told: list[tuple[int, int | None]] = []
    async with scripted() as server:
        server.scripts["/api/pull"] = [answer(body, kind="application/x-ndjson")]
        backend = Ollama(OllamaSettings(host=f"127.0.0.1:{server.port}"))
        try:
            await backend.fetch("jay", lambda done, total: told.append((done, total)))
        finally:
            await backend.close()
        assert server.requests[-1].json["model"] == "jay"
    assert told == [(0, 80), (40, 80), (60, 100), (100, 100)]


async def test_a_pull_that_the_server_refuses_says_why() -> None:
    """The server is a stand-in, for a real one asks the network first."""
    body = json.dumps({"error": "pull model manifest: file does not exist"}) + "\n"
    async with scripted() as server:
        server.scripts["/api/pull"] = [answer(body, kind="application/x-ndjson")]
        backend = Ollama(OllamaSettings(host=f"127.0.0.1:{server.port}"))
        try:
            with pytest.raises(ModelError) as refused:
                await backend.fetch("dodo", lambda done, total: None)
        finally:
            await backend.close()
    assert "file does not exist" in str(refused.value) or "dodo" in str(refused.value)
