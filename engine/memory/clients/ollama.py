"""`ollama.Client` and `ollama.AsyncClient`: chat, streamed or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.memory.clients.base import read, told
from storage.records import Usage

if TYPE_CHECKING:
    from engine.memory.clients.base import Asked, Heard

NAME = "ollama"


def methods(client: Any) -> list[tuple[Any, str]]:
    """The calls that chat."""
    return [(client, "chat")]


def asked(arguments: dict[str, Any]) -> Asked | None:
    """What a call asks."""
    arguments["messages"] = list(arguments.get("messages") or ())
    return read(arguments["messages"])


def tell(arguments: dict[str, Any], notes: str) -> None:
    """Put notes into the system's words of a call."""
    arguments["messages"] = told(arguments["messages"], notes)


def hear(heard: Heard, piece: Any) -> None:
    """Add what a response says, or one piece of a stream."""
    heard.model = piece.model or heard.model
    heard.text.append(piece.message.content or "")
    heard.thinking.append(piece.message.thinking or "")
    if piece.done:
        heard.usage = Usage(
            prompt_tokens=piece.prompt_eval_count,
            eval_tokens=piece.eval_count,
            prompt_seconds=_seconds(piece.prompt_eval_duration),
            eval_seconds=_seconds(piece.eval_duration),
            load_seconds=_seconds(piece.load_duration),
            total_seconds=_seconds(piece.total_duration),
        )


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9
