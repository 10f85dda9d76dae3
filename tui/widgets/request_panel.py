"""The Request tab: exactly what a model was last sent in a session, or would be sent now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.content import Content

from engine.events import SessionChanged
from engine.images import PATCH
from engine.llm.base import ModelError
from storage.errors import StorageError
from tui.figures import count, in_json
from tui.harmless import visible
from tui.latest import run_latest
from tui.telling import tell
from tui.widgets.context_meter import STYLES
from tui.widgets.figures import heading, note, pair, wrapped
from tui.widgets.panel import Panel
from tui.widgets.rows import MUTED, Row, text_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.context.budget import Packed
    from engine.engine import Engine
    from engine.events import Event
    from engine.llm.base import ChatMessage, ChatRequest, ToolSpec


class RequestPanel(Panel):
    """Messages, tools and options as the model gets them.

    Before the first call of a run nothing was sent: then it shows what would be.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy request", tooltip="Copy what the model is sent, as JSON"),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, id="request")
        self._preview: Packed | None = None
        self._trouble = ""
        self._built: tuple[Packed, int, list[Row]] | None = None

    @property
    def request(self) -> ChatRequest | None:
        """What is shown."""
        packed = self.packed or self._preview
        return packed.request if packed else None

    def show_session(self, session_id: str | None, packed: Packed | None) -> None:
        """Show another session, or another call."""
        if session_id != self.session_id or packed is not None:
            self._preview, self._trouble = None, ""
        super().show_session(session_id, packed)
        self._look_ahead()

    def take(self, event: Event) -> None:
        """What would be sent changes with the session."""
        match event:
            case SessionChanged(session=session) if session.id == self.session_id:
                self._look_ahead()
            case _:
                pass

    def appeared(self) -> None:
        """Catch up."""
        self._look_ahead()

    def _look_ahead(self) -> None:
        if self.seen and self.packed is None and self.session_id is not None:
            self.call_later(self._pack_soon, self.session_id)

    def _pack_soon(self, session_id: str) -> None:
        run_latest(self, partial(self._pack, session_id), "preview")

    async def _pack(self, session_id: str) -> None:
        packed, trouble = None, ""
        try:
            packed = await self.engine.preview(session_id)
        except ModelError as error:
            trouble = f"{error.failure.message} {error.failure.next_step}".strip()
        except StorageError as error:
            trouble = str(error)
        if session_id == self.session_id:
            self._preview, self._trouble = packed, trouble
            self.touch()

    def action_copy(self) -> None:
        """Copy the request as JSON."""
        if (request := self.request) is None:
            tell(self, "There is no request to copy yet.", "warning")
            return
        self.app.copy_to_clipboard(in_json(request))
        tell(self, "Copied the request as JSON.")

    def build(self, width: int) -> Iterator[Row]:
        """What it is, then the whole of it."""
        packed = self.packed or self._preview
        if packed is None:
            yield heading("Request", first=True)
            yield note(visible(self._trouble) or "With the first question, it is seen here.", width)
            return
        yield heading("Sent" if self.packed else "Not sent yet", visible(packed.model), first=True)
        if self.packed is None:
            yield note("What would be sent if the session were answered now.", width)
        if self._built is None or self._built[0] is not packed or self._built[1] != width:
            self._built = (packed, width, list(_whole(packed, width)))
        yield from self._built[2]


def _whole(packed: Packed, width: int) -> Iterator[Row]:
    request = packed.request
    about = "" if packed.exact else "~"
    yield pair("in all", f"{about}{packed.tokens:,} tokens", width)
    yield pair("window", f"{packed.window:,} tokens", width)
    for segment in packed.segments:
        if segment.tokens:
            figure = f"{about}{count(segment.tokens)}"
            yield pair(f"  {segment.name}", figure, width, STYLES[segment.name])
    yield from _options(request, width)
    for number, message in enumerate(request.messages, start=1):
        yield from _message(number, message, width)
    for tool in request.tools:
        yield from _tool(tool, width)


def _options(request: ChatRequest, width: int) -> Iterator[Row]:
    yield heading("Options")
    given: dict[str, Any] = msgspec.to_builtins(request.options)
    for name in ("think", "keep_alive"):
        given[name] = getattr(request, name)
    for name, value in given.items():
        if value is not None:
            yield pair(name.replace("_", " "), visible(str(value)), width)
    if request.schema is not None:
        yield from _text(in_json(request.schema), width)


def _message(number: int, message: ChatMessage, width: int) -> Iterator[Row]:
    told = "" if message.tokens is None else f"~{count(message.tokens)} tokens"
    pinned = "pinned" if message.pinned else ""
    yield heading(f"{number} {message.role}", " · ".join(filter(None, [told, pinned])))
    if message.tool_call_id is not None:
        yield _quiet(f"answers {message.tool_name or 'the call'} {message.tool_call_id}", width)
    yield from _text(message.content, width)
    for image in message.images:
        told = f"shows an image, ~{count(image.tokens)} tokens by its size: one for "
        yield _quiet(f"{told}{PATCH}×{PATCH} pixels", width)
    for call in message.tool_calls:
        yield _quiet(f"calls {call.name} ({call.id})", width)
        yield from _text(in_json(call.arguments), width)


def _tool(tool: ToolSpec, width: int) -> Iterator[Row]:
    yield heading(f"Tool {visible(tool.name)}")
    yield from _text(tool.description, width)
    yield from _text(in_json(tool.parameters), width)


def _text(text: str, width: int) -> Iterator[Row]:
    """Somebody's text as it is: nothing in it is drawn as what it stands for."""
    for line in visible(text).expandtabs(4).split("\n") if text else []:
        yield text_row(*(Content(f" {piece}") for piece in wrapped(line, width - 2) or [""]))


def _quiet(text: str, width: int) -> Row:
    return text_row(
        *(Content.styled(f" {piece}", MUTED) for piece in wrapped(visible(text), width))
    )
