"""`openai.OpenAI` and `openai.AsyncOpenAI`: chat completions, streamed or not, parsed or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.memory.clients.base import read, told
from storage.records import Usage

if TYPE_CHECKING:
    from engine.memory.clients.base import Asked, Heard

NAME = "openai"


def methods(client: Any) -> list[tuple[Any, str]]:
    """The calls that chat. `chat.completions.stream` goes through `create`."""
    return [(client.chat.completions, "create"), (client.chat.completions, "parse")]


def asked(arguments: dict[str, Any]) -> Asked | None:
    """What a call asks."""
    arguments["messages"] = list(arguments["messages"])
    return read(arguments["messages"])


def tell(arguments: dict[str, Any], notes: str) -> None:
    """Put notes into the system's words of a call."""
    arguments["messages"] = told(arguments["messages"], notes)


def hear(heard: Heard, piece: Any) -> None:
    """Add what a completion says, or one chunk of it. Of several choices it is the first."""
    heard.model = piece.model or heard.model
    if piece.usage is not None:
        heard.usage = Usage(
            prompt_tokens=piece.usage.prompt_tokens, eval_tokens=piece.usage.completion_tokens
        )
    for choice in piece.choices:
        if choice.index == 0:
            said = choice.delta if hasattr(choice, "delta") else choice.message
            heard.text.append(said.content or "")
            # Not OpenAI's own, but what servers of open models send.
            heard.thinking.append(getattr(said, "reasoning_content", None) or "")
