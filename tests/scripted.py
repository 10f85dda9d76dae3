"""A stand-in for a model: it says what a test tells it to, when the test tells it to.

Real models decide for themselves what they say and when. Where a test is about the engine or the
screen and needs an exact text, an exact moment or an exact failure, it speaks through this backend,
behind the same interface as the real ones.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.context.tokens import estimate
from engine.llm.base import Backend, ChatRequest, Chunk, ModelError, ModelInfo, TokenCount
from storage.records import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

INFO = ModelInfo(
    provider="scripted",
    name="parrot",
    family="parrot",
    parameters="135M",
    context_length=2048,
    window=2048,
    capabilities=frozenset({"chat"}),
    loaded=True,
)


class ScriptedBackend(Backend):
    """Answers with the next script; when there is none left, with what it was asked.

    A script is a list of steps: text is said, an `asyncio.Event` is waited for, an exception is
    raised, and a `Chunk` is passed on as it is.

    Attributes:
        requests: Every request that reached the model, in order.
        stopped: How many answers were closed before their end.
    """

    provider = "scripted"

    def __init__(self, *scripts: Iterable[str | asyncio.Event | Exception | Chunk]) -> None:
        self.info = INFO
        self.scripts = [list(script) for script in scripts]
        self.requests: list[ChatRequest] = []
        self.stopped = 0
        self.closed = False

    async def answers(self, timeout: float) -> bool:
        return True

    async def models(self) -> list[ModelInfo]:
        return [self.info]

    async def describe(self, model: str) -> ModelInfo:
        if model != self.info.name:
            raise ModelError("model_missing", f"There is no model {model}.", "Choose another.")
        return self.info

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        script = self.scripts.pop(0) if self.scripts else [request.messages[-1].content]
        words = 0
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                    continue
                words += 1
                yield step if isinstance(step, Chunk) else Chunk(text=step)
                await asyncio.sleep(0)
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped += 1
            raise
        usage = Usage(prompt_tokens=10, eval_tokens=words, eval_seconds=0.5, prompt_seconds=0.1)
        yield Chunk(done=True, done_reason="stop", usage=usage)

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        return await estimate(request, f"{self.provider}:{request.model}")

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise ModelError("unsupported", "The parrot has no embeddings.")

    async def close(self) -> None:
        self.closed = True
