"""The status line: which model speaks, what it does, and how full its window is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from engine.events import (
    AnswerDelta,
    AnswerEnded,
    AnswerRead,
    ConnectionChanged,
    ContextPacked,
    Event,
    MessageAdded,
    ModelChanged,
)
from storage.records import Finish
from tui.bindings import key_of
from tui.harmless import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.notifications import SeverityLevel
    from textual.timer import Timer

    from engine.engine import Engine
    from engine.turn import Turn
    from storage.records import Message, Usage

REDRAW_SECONDS = 0.25
"""Between two drawings of the speed."""

BAR_CELLS = 12

SIGNS: dict[SeverityLevel, tuple[str, str]] = {
    "information": ("› ", "$text-primary"),
    "warning": ("! ", "$text-warning"),
    "error": ("✖ ", "$text-error"),
}
"""Before what is told for a while."""


class Used(NamedTuple):
    """How much of a window is taken, in tokens."""

    tokens: int
    window: int
    exact: bool


class StatusLine(Widget):
    """The model · its state on the left, the use of the context on the right."""

    DEFAULT_CSS = """
    StatusLine { height: 1; padding: 0 1; background: $surface; color: $text-muted; }
    """

    ALLOW_SELECT = False

    session_id: reactive[str | None] = reactive(None)

    forgetful: reactive[bool] = reactive(False)
    """Whether the session wants nothing brought back from memory."""
    model: reactive[str | None] = reactive(None)
    """The model chosen for the session, as `provider:name`; None where the default answers."""

    undecided: reactive[int] = reactive(0)
    """How many tool calls of the session wait for consent."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._unsubscribe: Callable[[], None] | None = None
        self._used: dict[str, Used] = {}
        self._reading: float | None = None
        self._chunks = 0
        self._first_at = 0.0
        self._drawn_at = 0.0
        self._last: Message | None = None
        self._told: Content | None = None
        self._forget_told: Timer | None = None

    def on_mount(self) -> None:
        """Listen to the engine."""
        self._unsubscribe = self._engine.events.subscribe(self._hear)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def watch_session_id(self) -> None:
        """Another session is on the screen."""
        self.undecided = 0
        self._reading = None
        self._chunks = 0
        self._last = None

    def has_room_for(self, text: str) -> bool:
        """Whether a text can be told here, whole."""
        return "\n" not in text and cell_len(text) + 2 <= self.content_size.width

    def tell(self, text: str, severity: SeverityLevel, seconds: float) -> None:
        """Tell something for a while, in place of what is told before and of what is always here.

        Args:
            text: A line that may be shown on a terminal as it is.
            severity: How bad it is.
            seconds: How long it is to be read.
        """
        sign, style = SIGNS[severity]
        self._told = Content.assemble((sign, style), (text, "$foreground"))
        if self._forget_told is not None:
            self._forget_told.stop()
        self._forget_told = self.set_timer(seconds, self._tell_no_more)
        self.refresh()

    def _tell_no_more(self) -> None:
        self._told = None
        self.refresh()

    def show_last(self, message: Message) -> None:
        """Take the figures of a session that is being opened from its last answer."""
        self._last = message
        info = self._engine.models.current
        if info is not None and message.usage is not None and message.model == info.ref:
            window = info.window or info.context_length
            if window and message.session_id not in self._used:
                self._count(message.session_id, message.usage, window)
        self.refresh()

    def _hear(self, event: Event) -> None:
        match event:
            case ModelChanged() | ConnectionChanged():
                self.refresh()
            case ContextPacked(session_id=session_id, packed=packed):
                self._used[session_id] = Used(packed.tokens, packed.window, packed.exact)
                self.refresh()
            case MessageAdded(message=message) if message.session_id == self.session_id:
                self.refresh()
            case AnswerRead(session_id=session_id, share=share) if session_id == self.session_id:
                self._reading = share
                self._draw_soon()
            case AnswerDelta(session_id=session_id) if session_id == self.session_id:
                self._reading = None
                if not self._chunks:
                    self._first_at = time.monotonic()
                self._chunks += 1
                self._draw_soon()
            case AnswerEnded(message=message):
                self._ended(message)
            case _:
                pass

    def _ended(self, message: Message) -> None:
        used = self._used.get(message.session_id)
        if message.usage is not None and used is not None:
            self._count(message.session_id, message.usage, used.window)
        if message.session_id == self.session_id:
            self._reading = None
            self._chunks = 0
            self._last = message
            # The turn is still in the engine's list while it tells that it has ended.
            self.call_later(self.refresh)

    def _count(self, session_id: str, usage: Usage, window: int) -> None:
        if usage.prompt_tokens is not None and usage.eval_tokens is not None:
            self._used[session_id] = Used(usage.prompt_tokens + usage.eval_tokens, window, True)

    def _draw_soon(self) -> None:
        now = time.monotonic()
        if now - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = now
            self.refresh()

    def render(self) -> Content:
        """The line, its left cut if there is no room for both sides."""
        left, right = self._left(), self._context_use()
        if self._told is not None and left.cell_length + right.cell_length >= self.size.width:
            right = Content("")
        room = self.size.width - right.cell_length - 1
        left = left.truncate(max(0, room), ellipsis=True)
        return left.pad_right(max(0, room - left.cell_length) + 1) + right

    def _server(self) -> Content | None:
        """Said while the server that keeps everything is out of reach."""
        connection = self._engine.elsewhere.connection
        if connection is None:
            return None
        waiting = f" · {connection.waiting:,} to send" if connection.waiting else ""
        return Content.styled(f"✖ server out of reach{waiting}", "$text-error")

    def _left(self) -> Content:
        off = Content.styled("recall off", "$text-warning") if self.forgetful else None
        usual = (self._model(), self._state(), off)
        parts = (self._server(), *((self._told,) if self._told is not None else usual))
        return Content("  ").join(part for part in parts if part is not None)

    @property
    def _turn(self) -> Turn | None:
        turn = self._engine.turn(self.session_id) if self.session_id else None
        return None if turn is None or turn.over else turn

    def _model(self) -> Content:
        models = self._engine.models
        if models.current is not None:
            answering = turn.info.ref if (turn := self._turn) and turn.info else None
            ref = answering or self.model or models.current.ref
            ready = "$success" if ref in (answering, models.current.ref) else "$primary"
            return Content.assemble(("● ", ready), (visible(ref), "$foreground"))
        match models.state.state:
            case "looking":
                return Content.styled("○ looking for a model…", "$text-muted")
            case "fetching" | "loading":
                return Content.assemble(("◐ ", "$warning"), visible(models.state.detail))
            case _:
                return Content.styled("✖ no model", "$text-error")

    def _state(self) -> Content | None:
        models = self._engine.models
        if models.current is None and models.state.share is not None:
            return progress(models.state.share, BAR_CELLS)
        if self._turn is None:
            return self._idle()
        if self._reading is not None:
            return Content(f"reading {self._reading:.0%}")
        if not self._chunks:
            return Content("waiting for the model")
        seconds = time.monotonic() - self._first_at
        speed = f" ~{self._chunks / seconds:.0f} tok/s" if seconds > 1 else ""
        return Content(f"answering{speed}")

    def _idle(self) -> Content | None:
        if self.undecided:
            calls = "call waits" if self.undecided == 1 else "calls wait"
            return Content.styled(f"{self.undecided} tool {calls} · /allow", "$text-warning")
        if self._last is None:
            return None
        if self._last.finish in (Finish.FAILED, Finish.STOPPED, Finish.INTERRUPTED):
            return Content(f"{self._last.finish} · {key_of('chat.retry')} answers again")
        speed = self._last.usage.tokens_per_second if self._last.usage else None
        return Content(f"{speed:.0f} tok/s") if speed else None

    def _context_use(self) -> Content:
        used = self._used.get(self.session_id) if self.session_id else None
        if used is None:
            return Content("")
        share = used.tokens / used.window
        style = "$text-error" if share > 0.9 else "$text-warning" if share > 0.7 else ""
        about = "" if used.exact else "~"
        text = f"{about}{short(used.tokens)}/{short(used.window)} {share:.0%}"
        return Content.assemble("context ", (text, style))


def progress(share: float, cells: int) -> Content:
    """A bar of `cells` cells and the share in per cent."""
    done = round(min(max(share, 0.0), 1.0) * cells)
    return Content.assemble(
        ("━" * done, "$primary"), ("━" * (cells - done), "$panel"), f" {share:.0%}"
    )


def short(tokens: int) -> str:
    """A number of tokens in few cells: `940`, `1.2k`, `33k`; windows are told in powers of two."""
    if tokens < 1000:
        return str(tokens)
    if tokens % 1024 == 0:
        return f"{tokens // 1024}k"
    thousands = tokens / 1000
    return f"{thousands:.1f}k" if thousands < 10 and tokens % 1000 else f"{thousands:.0f}k"
