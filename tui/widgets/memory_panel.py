"""The Memory tab: what was recalled for this turn and why, what is kept, what memory it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content

from engine import vitals
from engine.events import AnswerEnded, MessageAdded, SessionChanged, SessionDeleted
from storage.errors import StorageError
from storage.records import Role
from tui.figures import size
from tui.widgets.days import Days
from tui.widgets.figures import heading, note, pair, wrapped
from tui.widgets.panel import Panel
from tui.widgets.rows import MUTED, Row, one_line, text_row
from tui.widgets.session_row import UNTITLED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.timer import Timer

    from engine.context.budget import Packed, Segment
    from engine.engine import Engine
    from engine.events import Event
    from engine.memory.recall import Recollection
    from engine.vitals import Vitals
    from storage.records import StoreFigures

MEASURE_SECONDS = 3.0
"""How often the processes' memory is looked at while the tab is seen."""

LINES_AT_MOST = 4
"""Of a recollection."""


class MemoryPanel(Panel):
    """What the assistant remembers. Choosing a recollection leads to where it was said."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, id="memory")
        self._figures: StoreFigures | None = None
        self._vitals: Vitals | None = None
        self._measuring: Timer | None = None

    def build(self, width: int) -> Iterator[Row]:
        """Recollections, the store, the processes."""
        yield from self._recalled(width)
        yield from self._kept(width)
        yield from self._used(width)

    def recollection(self, key: str) -> Recollection | None:
        """The recollection in the row of that key."""
        shown = self.packed.recollections if self.packed is not None else ()
        return next((one for one in shown if one.message_id == key), None)

    def take(self, event: Event) -> None:
        """Count again when something was kept."""
        if isinstance(event, (MessageAdded, AnswerEnded, SessionChanged, SessionDeleted)):
            self._count_soon()

    def appeared(self) -> None:
        """Begin to look at the processes."""
        self._count_soon()
        self._measure()
        self._measuring = self.set_interval(MEASURE_SECONDS, self._measure)

    def vanished(self) -> None:
        """Stop looking at the processes."""
        if self._measuring is not None:
            self._measuring.stop()
            self._measuring = None

    def _measure(self) -> None:
        self.run_worker(self._read_vitals(), group="vitals", exclusive=True)

    async def _read_vitals(self) -> None:
        self._vitals = await vitals.measure()
        self.touch()

    def _count_soon(self) -> None:
        if self.seen:
            self.call_later(self._count)

    def _count(self) -> None:
        self.run_worker(self._read_figures(), group="figures", exclusive=True)

    async def _read_figures(self) -> None:
        try:
            self._figures = await self.engine.library.figures()
        except StorageError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.touch()

    def _recalled(self, width: int) -> Iterator[Row]:
        packed = self.packed
        if not self.engine.settings.memory.recall:
            yield heading("Recalled", first=True)
            yield note("Recall is off. It is `recall` in the section [memory].", width)
        elif packed is None:
            yield heading("Recalled", first=True)
            yield note(
                "With your next question, what fits from earlier conversations is seen here.",
                width,
            )
        elif not packed.recollections:
            yield heading("Recalled", first=True)
            yield note(_nothing(packed), width)
        else:
            yield heading("Recalled", "for this turn", first=True)
            days = Days()
            for place, recollection in enumerate(packed.recollections):
                if place:
                    yield text_row("")
                yield recollection_row(recollection, days, width)
            if left_out := _left_out(packed):
                yield note(f"{left_out} more fit, and had no room.", width)

    def _kept(self, width: int) -> Iterator[Row]:
        figures = self._figures
        yield heading("Kept")
        if figures is None:
            return
        yield pair("conversations", f"{figures.sessions:,}", width)
        yield pair("messages", f"{figures.messages:,}", width)
        yield pair("database", size(figures.database_bytes), width)
        yield pair("write-ahead log", size(figures.wal_bytes), width)
        path = one_line(_from_home(figures.path))
        yield text_row(*(Content.styled(f" {line}", MUTED) for line in wrapped(path, width - 2)))

    def _used(self, width: int) -> Iterator[Row]:
        used = self._vitals
        yield heading("Memory in use")
        if used is None:
            return
        yield pair("Scrubjay", size(used.own_bytes), width)
        if used.children_bytes:
            yield pair("its model process", size(used.children_bytes), width)


def recollection_row(recollection: Recollection, days: Days, width: int) -> Row:
    """What was said, when and where, and the words that brought it back."""
    lines = wrapped(one_line(recollection.text), width - 3)
    if len(lines) > LINES_AT_MOST:
        lines = [*lines[: LINES_AT_MOST - 1], f"{lines[LINES_AT_MOST - 1].rstrip(' .,')}…"]
    speaker = "you" if recollection.role is Role.USER else "the model"
    title = one_line(recollection.session_title) or UNTITLED
    said = f"{days.short(recollection.created_at)} · {speaker} · {title}"
    words = ", ".join(map(one_line, recollection.shared))
    shared = f"{recollection.score:.0%} · {words}" if words else f"{recollection.score:.0%}"
    return text_row(
        *(Content.assemble(("▎", "$accent"), f" {line}") for line in lines),
        *(
            Content.assemble(("▎", "$accent"), (f" {line}", style))
            for text, style in ((said, MUTED), (shared, "$text-accent"))
            for line in wrapped(text, width - 3)
        ),
        key=recollection.message_id,
    )


def _nothing(packed: Packed) -> str:
    if left_out := _left_out(packed):
        return f"{left_out} fit this question, and had no room in the window."
    if trouble := _memories(packed).why:
        return trouble
    return "Nothing in earlier conversations fits this question."


def _left_out(packed: Packed) -> int:
    return _memories(packed).left_out


def _memories(packed: Packed) -> Segment:
    return next(segment for segment in packed.segments if segment.name == "memories")


def _from_home(path: str) -> str:
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(home + "/") else path
