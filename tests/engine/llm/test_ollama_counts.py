"""Token counts of a real Ollama server, beside those by the model's own tokenizer."""

from __future__ import annotations

import random
from contextlib import aclosing

import pytest

from engine.config import OllamaSettings
from engine.llm.base import ChatMessage, ChatRequest, Options
from engine.llm.ollama import Ollama
from storage.records import Role

PIECES = (
    "What is the capital of Peru?", "Was ist ein Eichelhäher?", "如何煮米饭？", "1,234 + 42 = ?",
    "def add(a, b):\n    return a + b", "Naïve façade, déjà vu.", '{"a": [1, 2, {"b": null}]}',
    "🎉 👩‍👩‍👧!", "SELECT name FROM birds WHERE wings = 2;", "https://example.org/?c=d",
    "- acorns\n- 12 nuts\n\n1. seeds", "Why is the sky blue?", "101, 103, 107, 109",
    "مرحبا بالعالم", "antidisestablishment", "नमस्ते दुनिया", "Ζωή και γλώσσα",
    "it's WE'LL don’t", "a\t\tb    c",
)  # fmt: skip
PROMPTS = 50
LEARNING = 5


@pytest.mark.timeout(600)
async def test_each_of_fifty_varied_prompts_is_counted_to_within_three_percent(
    ollama_host: str,
) -> None:
    chance = random.Random(7)
    backend = Ollama(OllamaSettings(host=ollama_host))
    off: list[float] = []
    try:
        for n in range(LEARNING + PROMPTS):
            # Prompts that begin alike follow each other, for the server reads what is new only.
            earlier = 2 * n // (LEARNING + PROMPTS) if n >= LEARNING else n % 2
            request = _request(" ".join(chance.sample(PIECES, 1 + n % 2)), earlier)
            counted = (await backend.count_tokens(request)).tokens
            returned = await _returned(backend, request)
            off.append(abs(counted - returned) / returned)
    finally:
        await backend.close()
    assert max(off[LEARNING:]) <= 0.03


def _request(text: str, earlier: int) -> ChatRequest:
    """A question after so many others."""
    said = [
        ChatMessage(role=role, content=content)
        for role, content in ((Role.USER, "Is it a jay?"), (Role.ASSISTANT, "It is."))
    ]
    return ChatRequest(
        model="smollm2:135m",
        messages=(
            ChatMessage(role=Role.SYSTEM, content="Be brief."),
            *said * earlier,
            ChatMessage(role=Role.USER, content=text),
        ),
        options=Options(max_tokens=1, context_length=2048),
    )


async def _returned(backend: Ollama, request: ChatRequest) -> int:
    async with aclosing(backend.chat(request)) as chunks:
        (usage,) = [chunk.usage async for chunk in chunks if chunk.usage is not None]
    assert usage.prompt_tokens is not None
    return usage.prompt_tokens
