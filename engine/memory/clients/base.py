"""What memory needs to know of a family of clients, and what most of them have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from storage.records import Usage

RAW_RESPONSE = "x-stainless-raw-response"
"""The header by which the clients' own `with_raw_response` marks its calls."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a call asks."""

    question: str
    """The last that the user said."""

    new: bool
    """Nothing was answered to it yet; otherwise an earlier call had it, and called tools."""

    said: tuple[str, ...]
    """All that the model is shown anyway."""


class Heard(msgspec.Struct):
    """An answer, as far as it has come."""

    text: list[str] = []
    thinking: list[str] = []
    model: str = ""
    usage: Usage | None = None


class Family(Protocol):
    """One family of clients; a module of this package."""

    NAME: str
    """What their models are called after, as in `openai:gpt-4o`."""

    def methods(self, client: Any) -> list[tuple[Any, str]]:
        """The calls that chat: objects, and the names of their methods."""

    def asked(self, arguments: dict[str, Any]) -> Asked | None:
        """What a call asks; None when it asks nothing. Iterators in `arguments` become lists."""

    def tell(self, arguments: dict[str, Any], notes: str) -> None:
        """Put notes into the system's words of a call."""

    def hear(self, heard: Heard, piece: Any) -> None:
        """Add what a response says, or one piece of a stream."""


def is_raw(arguments: Mapping[str, Any]) -> bool:
    """Whether a call wants the bare HTTP response."""
    headers = arguments.get("extra_headers")
    return isinstance(headers, Mapping) and RAW_RESPONSE in {str(name).lower() for name in headers}


def read(messages: Sequence[Any]) -> Asked | None:
    """What a conversation asks at its end; None without a word of the user."""
    new = True
    for message in reversed(messages):
        role = field(message, "role")
        text = text_of(field(message, "content"))
        if role == "user" and text:
            said = (text_of(field(message, "content")) for message in messages)
            return Asked(question=text, new=new, said=tuple(filter(None, said)))
        # A tool's result, which some servers want from the user. Words that are put into the
        # assistant's mouth begin the answer.
        new = new and role == "assistant"
    return None


def told(messages: Iterable[Any], notes: str) -> list[Any]:
    """The messages with notes in the system's words.

    They stay one message where they were one: many a template has room for no second.
    """
    first, *rest = messages
    content = field(first, "content")
    if field(first, "role") in ("system", "developer") and isinstance(content, str):
        return [_with_content(first, f"{content}\n\n{notes}"), *rest]
    if field(first, "role") in ("system", "developer") and isinstance(content, list):
        return [_with_content(first, [*content, {"type": "text", "text": notes}]), *rest]
    return [{"role": "system", "content": notes}, first, *rest]


def text_of(content: Any) -> str:
    """The words of a message's content, which may be in parts."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, list | tuple):
        return ""
    texts = (field(part, "text") for part in content)
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def field(record: Any, name: str) -> Any:
    """A field of a dictionary or of an object: the clients take both."""
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _with_content(message: Any, content: Any) -> Any:
    if isinstance(message, Mapping):
        return {**message, "content": content}
    return message.model_copy(update={"content": content})
