"""The one interface that every model backend implements, and the records that cross it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from storage.records import Failure, Role, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    Progress = Callable[[int, int | None], None]


UNREADABLE_IMAGE = "unreadable_image"
"""The kind of failure where a model's server can't read an image that it was shown."""


class ModelError(Exception):
    """A model could not do what it was asked.

    Attributes:
        failure: What happened and what to do about it, in words for the person at the screen.
    """

    def __init__(self, kind: str, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(kind=kind, message=message, next_step=next_step)

    @property
    def kind(self) -> str:
        """The failure's short stable name."""
        return self.failure.kind


class ChatImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a message shows."""

    sha256: str
    tokens: int
    """About how many a model makes of it."""

    kind: str = ""
    """Its media type; empty, as the bytes are, until the request is on its way."""

    data: bytes = b""


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the model is shown it."""

    role: Role
    content: str
    images: tuple[ChatImage, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    pinned: bool = False
    """The user wants it shown, however long ago it was. The model is not told."""

    tokens: int | None = None
    """Of the content, where that has been counted before; by `o200k_base`, whatever the model."""


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sampling and runtime options. None leaves the choice to the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    """The longest answer, in tokens (Ollama's `num_predict`)."""

    context_length: int | None = None
    """The window to ask for, in tokens (Ollama's `num_ctx`)."""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as the model is told of it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """A JSON Schema of type object."""


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one call of a model needs."""

    model: str
    """The backend's own name of the model, without the provider."""

    messages: tuple[ChatMessage, ...]
    options: Options = Options()
    tools: tuple[ToolSpec, ...] = ()
    think: bool | Literal["low", "medium", "high"] | None = None
    """None leaves it to the model."""

    schema: dict[str, Any] | None = None
    """A JSON Schema that the answer must fit."""

    keep_alive: str | None = None
    background: bool = False
    """Nobody waits for the answer: where there are several servers, it keeps away from the one that
    people talk with."""

    @property
    def image_tokens(self) -> int:
        """About how many tokens its images are."""
        return sum(image.tokens for message in self.messages for image in message.images)


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer. The last chunk has `done` set and, where known, the usage."""

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    read: float | None = None
    """While the prompt is being read: the share that has been, from 0 to 1."""

    done: bool = False
    done_reason: str = ""
    """`stop`, `length`, `tool_calls`, or what the server said."""

    usage: Usage | None = None


class TokenCount(msgspec.Struct, frozen=True):
    """A number of tokens, and whether the model's own tokenizer counted them."""

    tokens: int
    exact: bool


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model. None where the backend does not say."""

    provider: str
    name: str
    family: str | None = None
    parameters: str | None = None
    """As people write it: `135M`, `7.6B`."""

    quantization: str | None = None
    context_length: int | None = None
    """The longest window that it was made for, in tokens."""

    window: int | None = None
    """The window that it runs with now, in tokens."""

    size_bytes: int | None = None
    capabilities: frozenset[str] = frozenset()
    """Of `chat`, `tools`, `thinking`, `vision`, `embedding`."""

    loaded: bool | None = None
    note: str = ""
    """A sentence that the user should know, such as that this is a tiny demonstration model."""

    @property
    def ref(self) -> str:
        """How settings and messages name the model: `provider:name`."""
        return f"{self.provider}:{self.name}"


class Backend(ABC):
    """A place where models run.

    Every method may raise `ModelError`; nothing else escapes but cancellation. A backend is made
    without touching the network and opens its connections when they are first needed.
    """

    provider: str
    """The name before the colon in a model's ref: `ollama`, `embedded` or `openai`."""

    @abstractmethod
    async def answers(self, timeout: float) -> bool:
        """Whether the backend can be used now, decided within `timeout` seconds. Never raises."""

    @abstractmethod
    async def models(self) -> list[ModelInfo]:
        """The models that can be used now, best known first."""

    @abstractmethod
    async def describe(self, model: str) -> ModelInfo:
        """What is known of one model, its window included."""

    @abstractmethod
    def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream an answer.

        Closing the generator, or cancelling the task that reads it, stops the model at once.
        """

    @abstractmethod
    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """How many tokens the request's prompt has, the template included."""

    @abstractmethod
    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order. Length and norm are the model's own."""

    async def fetch(self, model: str, progress: Progress) -> None:
        """Get a model that is not there yet. Cancelled, it goes on next time where it ended.

        Args:
            model: Its name, as the backend knows it.
            progress: Told the bytes that have come and, when known, their number.
        """
        raise ModelError(
            "unsupported",
            f"{self.provider} can't be asked for more models.",
            "Add them on its server.",
        )

    async def remove(self, model: str) -> None:
        """Delete a model and free its place on the disk."""
        raise ModelError(
            "unsupported",
            f"{self.provider} can't be asked to delete models.",
            "Delete it on its server.",
        )

    async def warm(self, model: str) -> None:  # noqa: B027 (a backend need not)
        """Do what is slow before the first question comes. Most backends have nothing to do."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and child processes. May be called more than once."""
