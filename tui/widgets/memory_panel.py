"""The Memory tab: what was recalled for this turn and why, what is remembered, what is kept."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message as Told
from textual.widget import Widget

from engine import vitals
from engine.events import (
    AnswerEnded,
    MemoriesChanged,
    MessageAdded,
    SessionChanged,
    SessionDeleted,
)
from storage.errors import StorageError
from tui.bindings import named
from tui.figures import size
from tui.latest import run_latest
from tui.remembering import Remembering
from tui.telling import tell_error
from tui.widgets.days import Days
from tui.widgets.figures import heading, note, pair, wrapped
from tui.widgets.memory_filter import MemoryFilter
from tui.widgets.memory_rows import history_rows, key_of, memory_row, recollection_row
from tui.widgets.panel import Panel
from tui.widgets.rows import MUTED, Row, RowView, one_line, text_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.timer import Timer

    from engine.context.budget import Packed, Segment
    from engine.engine import Engine
    from engine.events import Event
    from engine.memory.memories import Kept, Kind
    from engine.memory.recall import Recollection
    from engine.vitals import Vitals
    from storage.records import Message, StoreFigures

MEASURE_SECONDS = 3.0
"""How often the processes' memory is looked at while the tab is seen."""

PAUSE_SECONDS = 0.08
"""A filter is applied when nobody has typed for so long."""

PAGE = 12
"""Memories of a kind that are read at first."""

MORE = 100
"""Those that are read when more are wanted."""

KINDS: dict[Kind, tuple[str, str]] = {
    "fact": ("Facts", "None yet. /remember with a sentence keeps one."),
    "episode": ("Episodes", "None yet."),
    "skill": ("Skills", "None yet. /skill NAME: HOW keeps one."),
}
"""The sections: their headings, and what stands under an empty one."""


class MemoryPanel(Panel):
    """What the assistant remembers. Of each kind only as much is read as is asked for.

    Attributes:
        recalls: Whether anything is brought back in the session that is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        "memory",
        [
            Binding("enter", "choose", "Source", tooltip="Go to where it was said"),
            Binding("enter", "more", "Show more", tooltip="Show more of this kind"),
            Binding("space", "unfold('why')", "Why", tooltip="Show why it was recalled"),
            Binding("space", "unfold('details')", "Details", tooltip="Show all, and since when"),
            Binding("e", "edit", "Edit", tooltip="Say it in other words"),
            Binding("p", "pin", "Pin", tooltip="Let it be thought of at every question"),
            Binding("p", "unpin", "Unpin", tooltip="Let it be thought of when it fits"),
            Binding("d", "forget", "Forget", tooltip="Remove it for good; it is asked before"),
            Binding("delete", "forget", "Forget", show=False),
            Binding("h", "history", "History", tooltip="Show what a fact said before"),
            Binding("slash", "filter", "Search", tooltip="Find words in what is remembered"),
            Binding("n", "screen.remember", "Remember", tooltip="Keep something by hand"),
            Binding("r", "recall_off", "Recall off", tooltip="Bring nothing back here"),
            Binding("r", "recall_on", "Recall on", tooltip="Bring back what fits here, again"),
            Binding("escape", "unfilter", "Show all", tooltip="Leave the search"),
        ],
    )

    class Led(Told):
        """The reader wants to see where a memory comes from; without a position, how it ends."""

        def __init__(self, session_id: str, position: int | None) -> None:
            super().__init__()
            self.session_id = session_id
            self.position = position

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, id="memory")
        self.recalls = engine.settings.memory.recall
        self._remembering = Remembering(self, engine)
        self._figures: StoreFigures | None = None
        self._vitals: Vitals | None = None
        self._measuring: Timer | None = None
        self._counts: dict[Kind, int] = {}
        self._kept: dict[Kind, list[Kept]] = {}
        self._recalled_kept: dict[str, Kept] = {}
        """The memories among the recollections, by the keys of their rows."""

        self._wanted: dict[Kind, int] = dict.fromkeys(KINDS, PAGE)
        self._words = ""
        self._unfolded: set[str] = set()
        self._histories: dict[str, list[Kept]] = {}

    def build(self, width: int) -> Iterator[Row]:
        """Recollections, memories by kind, the store, the processes."""
        if not self._words:
            yield from self._recalled(width)
        for place, kind in enumerate(KINDS):
            yield from self._remembered(kind, width, first=not place and bool(self._words))
        if not self._words:
            yield from self._stored(width)
            yield from self._used(width)

    # News

    def show_session(self, session_id: str | None, packed: Packed | None) -> None:
        """Show another session, or another turn of it."""
        super().show_session(session_id, packed)
        self._read_soon()

    def take(self, event: Event) -> None:
        """Count again when something was kept; read again when memories have changed."""
        if isinstance(event, MemoriesChanged):
            self._read_soon()
        elif isinstance(event, (MessageAdded, AnswerEnded, SessionChanged, SessionDeleted)):
            self._count_soon()

    def appeared(self) -> None:
        """Read what is remembered, and begin to look at the processes."""
        self._read_soon()
        self._count_soon()
        self._measure()
        self._measuring = self.set_interval(MEASURE_SECONDS, self._measure)

    def vanished(self) -> None:
        """Stop looking at the processes, and leave the search."""
        if self._measuring is not None:
            self._measuring.stop()
            self._measuring = None
        self._end_filtering()

    def _measure(self) -> None:
        run_latest(self, self._read_vitals, "vitals")

    async def _read_vitals(self) -> None:
        self._vitals = await vitals.measure()
        self.touch()

    def _count_soon(self) -> None:
        if self.seen:
            self.call_later(self._count)

    def _count(self) -> None:
        run_latest(self, self._read_figures, "figures")

    async def _read_figures(self) -> None:
        try:
            self._figures = await self.engine.library.figures()
        except StorageError as error:
            tell_error(self, error)
            return
        self.touch()

    def _read_soon(self) -> None:
        if self.seen:
            self.call_later(self._read)

    def _read(self, pause: float = 0.0) -> None:
        run_latest(self, partial(self._read_memories, pause), "memories")

    async def _read_memories(self, pause: float) -> None:
        """Read what is shown of each kind, and one more, which tells whether there is more."""
        if pause:
            await asyncio.sleep(pause)
        memory = self.engine.memory
        try:
            self._counts = await memory.figures()
            self._kept = {
                kind: await memory.search(self._words, kinds=[kind], limit=self._wanted[kind] + 1)
                for kind in KINDS
            }
            self._recalled_kept = {
                key_of(one): kept
                for one in (self.packed.recollections if self.packed is not None else ())
                if one.memory_id and (kept := await memory.get(one.memory_id)) is not None
            }
            self._histories = {
                memory_id: await memory.history(memory_id) for memory_id in self._histories
            }
        except StorageError as error:
            tell_error(self, error)
            return
        self.touch()

    # Rows

    def _recalled(self, width: int) -> Iterator[Row]:
        packed = self.packed
        if not self.recalls:
            yield heading("Recalled", "off", first=True)
            if self.engine.settings.memory.recall:
                yield note("Recall is off in this conversation. r or /recall on ends that.", width)
            else:
                yield note(
                    "Recall is off, as `recall` in the section [memory] has it. r or /recall on"
                    " lets this conversation remember.",
                    width,
                )
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
                unfolded = key_of(recollection) in self._unfolded
                yield recollection_row(recollection, days, width, unfolded=unfolded)
            if left_out := _left_out(packed):
                yield note(f"{left_out} more fit, and had no room.", width)

    def _remembered(self, kind: Kind, width: int, *, first: bool) -> Iterator[Row]:
        name, nothing = KINDS[kind]
        kept = self._kept.get(kind)
        if kept is None:
            return
        most = self._wanted[kind]
        shown, is_more = kept[:most], len(kept) > most
        if self._words:
            found = f"{len(shown)} or more found" if is_more else f"{len(shown)} found"
            yield heading(name, found if kept else "nothing fits", first=first)
        else:
            yield heading(name, f"{self._counts[kind]:,}", first=first)
            if not kept:
                yield note(nothing, width)
        days = Days()
        for one in shown:
            yield memory_row(one, days, width, unfolded=one.id in self._unfolded)
            if (before := self._histories.get(one.id)) is not None:
                yield from history_rows(before, width)
        if is_more:
            left = f"{self._counts[kind] - most:,} more" if not self._words else "more"
            yield text_row(Content.styled(f"  … {left}", "$text-accent"), key=f"more {kind}")

    def _stored(self, width: int) -> Iterator[Row]:
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

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done with the row under the cursor."""
        kept, recollection = self._under_cursor, self._recollection
        match action:
            case "choose":
                if recollection is not None:
                    return bool(recollection.session_id)
                return kept is not None and bool(kept.source_ids or kept.session_id)
            case "more":
                return self._kind_of_more is not None
            case "unfold" if recollection is not None:
                return parameters == ("why",)
            case "unfold":
                return kept is not None and parameters == ("details",)
            case "edit" | "forget":
                return kept is not None
            case "pin" | "unpin":
                return kept is not None and kept.pinned == (action == "unpin")
            case "recall_off" | "recall_on":
                return self.recalls == (action == "recall_off")
            case "history":
                return kept is not None and kept.kind == "fact" and recollection is None
            case "unfilter":
                return bool(self._words)
            case _:
                return super().check_action(action, parameters)

    def on_row_view_chosen(self, message: RowView.Chosen) -> None:
        """Lead to where the memory comes from; a click on the last row shows more."""
        message.stop()
        if self._kind_of_more is not None:
            self.action_more()
        elif (recollection := self._recollection) is not None:
            if recollection.session_id:
                self.post_message(self.Led(recollection.session_id, recollection.position))
        elif (kept := self._under_cursor) is not None:
            if kept.source_ids:
                self.run_worker(
                    self._remembering.lead_to_source(kept, self._lead), group="lead", exclusive=True
                )
            elif kept.session_id:
                self.post_message(self.Led(kept.session_id, None))

    def _lead(self, source: Message) -> None:
        self.post_message(self.Led(source.session_id, source.position))

    def action_more(self) -> None:
        """Show more of a kind."""
        if (kind := self._kind_of_more) is not None:
            # The cursor goes on to the first of those that come.
            self.cursor = self._kept[kind][self._wanted[kind]].id
            self._wanted[kind] += MORE
            self.rebuild()
            self._read()

    def action_unfold(self, _what: str) -> None:
        """Show all of a row, and why it was recalled; again hides it."""
        if self.cursor is not None:
            self._unfolded ^= {self.cursor}
            self.rebuild()
            self.move_to(self.cursor)

    def action_filter(self) -> None:
        """Write what to look for."""
        found = self._filter
        if found is not None:
            found.focus()
        elif isinstance(self.parent, Widget):
            self.parent.mount(MemoryFilter(self), before=self)

    def filter(self, words: str) -> None:
        """Show what holds some of these words; without words, all."""
        self._words = words.strip()
        self._wanted = dict.fromkeys(KINDS, PAGE)
        self._read(PAUSE_SECONDS)
        self.scroll_home(animate=False)

    def action_unfilter(self) -> None:
        """Show everything again."""
        self._end_filtering()
        self.focus()
        self._read()

    @property
    def _filter(self) -> MemoryFilter | None:
        beside = self.parent.children if self.parent is not None else ()
        return next((one for one in beside if isinstance(one, MemoryFilter)), None)

    def _end_filtering(self) -> None:
        if (found := self._filter) is not None:
            found.remove()
        self._words = ""
        self._wanted = dict.fromkeys(KINDS, PAGE)

    def action_edit(self) -> None:
        """Say the memory under the cursor in other words."""
        if (kept := self._under_cursor) is not None:
            self._remembering.edit(kept)

    def action_pin(self) -> None:
        """Pin the memory under the cursor."""
        if (kept := self._under_cursor) is not None:
            self._remembering.pin(kept, True)

    def action_unpin(self) -> None:
        """Let the memory under the cursor go."""
        if (kept := self._under_cursor) is not None:
            self._remembering.pin(kept, False)

    async def action_recall_off(self) -> None:
        """Let nothing be brought back in this conversation."""
        await self.run_action("screen.recall('off')")

    async def action_recall_on(self) -> None:
        """Let what fits be brought back again."""
        await self.run_action("screen.recall('on')")

    def action_forget(self) -> None:
        """Forget the memory under the cursor, if that is meant."""
        if (kept := self._under_cursor) is not None:
            self._remembering.forget(kept)

    def action_history(self) -> None:
        """Show what the fact under the cursor said before; again hides it."""
        if (kept := self._under_cursor) is None:
            return
        if kept.id in self._histories:
            del self._histories[kept.id]
            self.rebuild()
        else:
            self._histories[kept.id] = []
            self._read()

    def watch_cursor(self, before: str | None, now: str | None) -> None:
        """The footer offers what the row allows."""
        super().watch_cursor(before, now)
        self.refresh_bindings()

    def rebuild(self) -> None:
        """Build the rows anew now; what can be done with the one under the cursor may change."""
        super().rebuild()
        if self.has_focus:
            self.refresh_bindings()

    @property
    def _under_cursor(self) -> Kept | None:
        key = self.cursor
        listed = (one for kept in self._kept.values() for one in kept if one.id == key)
        return self._recalled_kept.get(key or "") or next(listed, None)

    @property
    def _recollection(self) -> Recollection | None:
        shown = self.packed.recollections if self.packed is not None else ()
        return next((one for one in shown if key_of(one) == self.cursor), None)

    @property
    def _kind_of_more(self) -> Kind | None:
        return next((kind for kind in KINDS if self.cursor == f"more {kind}"), None)


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
