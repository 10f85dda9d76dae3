"""OpenAI's chat protocol as records: what is read of a server's answers. The rest is passed over.

Next to OpenAI's own fields stand those that llama.cpp, vLLM and LM Studio add.
"""

from __future__ import annotations

import msgspec


class ServerError(msgspec.Struct):
    """What went wrong, with an HTTP status or before it in the middle of a stream."""

    message: str | None = None
    type: str | None = None
    code: int | str | None = None
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class Refusal(msgspec.Struct):
    """The body of an answer whose status is not a success."""

    error: ServerError | str


class FunctionDelta(msgspec.Struct):
    """A piece of a tool call's function."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct):
    """A piece of a tool call."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct):
    """A piece of a message."""

    content: str | None = None
    reasoning_content: str | None = None
    """llama.cpp, vLLM, DeepSeek."""

    reasoning: str | None = None
    """LM Studio, OpenRouter."""

    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct):
    """One of the answers; only one is ever asked for."""

    delta: Delta | None = None
    message: Delta | None = None
    """From servers that can't stream and answer at once."""

    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    """How the prompt's tokens came about."""

    cached_tokens: int | None = None


class UsageFigures(msgspec.Struct):
    """What the answer cost, in tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class Timings(msgspec.Struct):
    """llama.cpp's; `_n` are tokens, `_ms` milliseconds."""

    cache_n: int | None = None
    prompt_n: int | None = None
    prompt_ms: float | None = None
    predicted_n: int | None = None
    predicted_ms: float | None = None


class PromptProgress(msgspec.Struct):
    """llama.cpp: how much of the prompt has been read, in tokens."""

    total: int = 0
    processed: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(self.processed / self.total, 1.0) if self.total > 0 else 0.0


class Event(msgspec.Struct):
    """One event of a streamed answer."""

    choices: list[Choice] | None = None
    usage: UsageFigures | None = None
    timings: Timings | None = None
    prompt_progress: PromptProgress | None = None
    error: ServerError | str | None = None


class ModelMeta(msgspec.Struct):
    """llama.cpp: what the GGUF file says. Sizes are bytes."""

    n_ctx: int | None = None
    n_ctx_train: int | None = None
    n_params: int | None = None
    size: int | None = None
    ftype: str | None = None


class Architecture(msgspec.Struct):
    """llama.cpp, OpenRouter: what a model is made for."""

    input_modalities: list[str] = []
    """Of `text`, `image`, `audio`, …"""


class ServedModel(msgspec.Struct):
    """A model in the server's list."""

    id: str
    owned_by: str = ""
    max_model_len: int | None = None
    """vLLM's window."""

    meta: ModelMeta | None = None
    """llama.cpp's."""

    architecture: Architecture | None = None
    supported_parameters: list[str] = []
    """OpenRouter: what a request may hold."""

    @property
    def sees(self) -> bool:
        """Whether the server says that it takes images."""
        return self.architecture is not None and "image" in self.architecture.input_modalities

    @property
    def calls(self) -> bool:
        """Whether the server says that it calls tools."""
        return "tools" in self.supported_parameters


class ModelList(msgspec.Struct):
    """The server's list."""

    data: list[ServedModel]


class RenderedPrompt(msgspec.Struct):
    """llama.cpp: the prompt that a chat template makes of the messages."""

    prompt: str


class TokenList(msgspec.Struct):
    """llama.cpp: a text as tokens."""

    tokens: list[int]


class Embedding(msgspec.Struct):
    """One text's vector."""

    embedding: list[float]
    index: int = 0


class EmbeddingList(msgspec.Struct):
    """The vectors, in any order."""

    data: list[Embedding]
