"""`anthropic.Anthropic` and `anthropic.AsyncAnthropic`: messages, streamed either way or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.memory.clients.base import read
from storage.records import Usage

if TYPE_CHECKING:
    from engine.memory.clients.base import Asked, Heard

NAME = "anthropic"


def methods(client: Any) -> list[tuple[Any, str]]:
    """The calls that chat."""
    return [(client.messages, name) for name in ("create", "parse", "stream")]


def asked(arguments: dict[str, Any]) -> Asked | None:
    """What a call asks."""
    arguments["messages"] = list(arguments["messages"])
    return read(arguments["messages"])


def tell(arguments: dict[str, Any], notes: str) -> None:
    """Put notes behind the system prompt, which is a text, blocks, or not there."""
    system = arguments.get("system")
    if isinstance(system, str):
        arguments["system"] = f"{system}\n\n{notes}"
    elif isinstance(system, list | tuple):
        arguments["system"] = [*system, {"type": "text", "text": notes}]
    else:
        arguments["system"] = notes


def hear(heard: Heard, piece: Any) -> None:
    """Add what a message says, or one event of a stream. Other events repeat what these say."""
    match piece.type:
        case "message":
            _begin(heard, piece)
            for block in piece.content:
                _add(heard, block)
        case "message_start":
            _begin(heard, piece.message)
        case "content_block_delta":
            _add(heard, piece.delta)
        case "message_delta":
            _count(heard, None, piece.usage.output_tokens)


def _begin(heard: Heard, message: Any) -> None:
    heard.model = message.model
    _count(heard, message.usage.input_tokens, message.usage.output_tokens)


def _add(heard: Heard, part: Any) -> None:
    if part.type in ("text", "text_delta"):
        heard.text.append(part.text)
    elif part.type in ("thinking", "thinking_delta"):
        heard.thinking.append(part.thinking)


def _count(heard: Heard, prompt_tokens: int | None, eval_tokens: int) -> None:
    if prompt_tokens is None and heard.usage is not None:
        heard.usage = msgspec.structs.replace(heard.usage, eval_tokens=eval_tokens)
    else:
        heard.usage = Usage(prompt_tokens=prompt_tokens, eval_tokens=eval_tokens)
