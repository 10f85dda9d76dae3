"""A model backend: a parrot, which says what it heard, and rolls dice when asked to."""

from collections.abc import AsyncGenerator, Sequence

from engine.plugins import (
    Backend,
    ChatRequest,
    Chunk,
    ModelError,
    ModelInfo,
    TokenCount,
    ToolCall,
    Usage,
)


class Parrot(Backend):
    """Runs one model, `parrot:grey`."""

    provider = "parrot"

    async def answers(self, timeout: float) -> bool:
        """It is always there."""
        return True

    async def models(self) -> list[ModelInfo]:
        """The one model."""
        return [await self.describe("grey")]

    async def describe(self, model: str) -> ModelInfo:
        """What is known of it."""
        if model != "grey":
            raise ModelError("no_model", f"There is no parrot {model}.", "Ask `parrot:grey`.")
        return ModelInfo(
            provider=self.provider,
            name=model,
            context_length=8192,
            window=8192,
            capabilities=frozenset({"chat", "tools", "embedding"}),
        )

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Say the last message again, word by word."""
        last = request.messages[-1]
        if "dice" in last.content and last.role == "user" and request.tools:
            roll = ToolCall(id="roll-1", name="roll_dice", arguments={"sides": 6, "count": 2})
            yield Chunk(tool_calls=(roll,))
            yield Chunk(done=True, done_reason="tool_calls")
            return
        for word in f"You said: {last.content}".split():
            yield Chunk(text=f"{word} ")
        tokens = await self.count_tokens(request)
        yield Chunk(
            done=True, done_reason="stop", usage=Usage(prompt_tokens=tokens.tokens, eval_tokens=2)
        )

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """Words, as a parrot counts."""
        words = sum(len(message.content.split()) for message in request.messages)
        return TokenCount(words, exact=True)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """How long each text is."""
        return [[float(len(text)), 1.0] for text in texts]

    async def close(self) -> None:
        """There is nothing to let go of."""
