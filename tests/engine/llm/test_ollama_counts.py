"""Token counts of a real Ollama server, beside the estimate that learns from them."""

from __future__ import annotations

import random
from contextlib import aclosing

import pytest

from engine.config import OllamaSettings
from engine.llm.base import ChatMessage, ChatRequest, Options
from engine.llm.ollama import Ollama
from storage.records import Role

PIECES = (
    "What is the capital of Peru?", "Was ist ein Eichelhäher?", "如何煮米饭？", "1,234.89 + 42 = ?",
    "def add(a, b):\n    return a + b", "Naïve façade, déjà vu.", '{"a": [1, 2, {"b": null}]}',
    "🎉!", "SELECT name FROM birds WHERE wings = 2;", "https://example.org/?c=d",
    "Hello, my friend.", "Why is the sky blue?", "101, 103, 107, 109", "Mañana iré al mercado.",
    "antidisestablishment",
)  # fmt: skip
PROMPTS = 50


@pytest.mark.timeout(600)
async def test_over_fifty_varied_prompts_the_estimate_comes_to_within_three_percent(
    ollama_host: str,
) -> None:
    chance = random.Random(7)
    backend = Ollama(OllamaSettings(host=ollama_host))
    counted: list[tuple[int, int]] = []
    try:
        for _ in range(PROMPTS):
            request = _request(" ".join(chance.sample(PIECES, 2)))
            estimate = (await backend.count_tokens(request)).tokens
            counted.append((estimate, await _returned(backend, request)))
    finally:
        await backend.close()
    learnt = counted[PROMPTS // 2 :]
    estimated, returned = (sum(column) for column in zip(*learnt, strict=True))
    assert abs(estimated - returned) <= 0.03 * returned
    # One by one they lie further off: a token is three percent of such a prompt.
    apart = sum(abs(one - other) for one, other in learnt)
    assert apart <= 0.08 * returned


def _request(text: str) -> ChatRequest:
    return ChatRequest(
        model="smollm2:135m",
        messages=(
            ChatMessage(role=Role.SYSTEM, content="Be brief."),
            ChatMessage(role=Role.USER, content=text),
        ),
        options=Options(max_tokens=1, context_length=2048),
    )


async def _returned(backend: Ollama, request: ChatRequest) -> int:
    async with aclosing(backend.chat(request)) as chunks:
        (usage,) = [chunk.usage async for chunk in chunks if chunk.usage is not None]
    assert usage.prompt_tokens is not None
    return usage.prompt_tokens
