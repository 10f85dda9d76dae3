"""The model picker: every model that can answer, what is known of it, and the choice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static

from engine.llm.base import ModelError
from engine.pool import JobState
from tui.harmless import visible
from tui.screens.dialog import Dialog
from tui.widgets.fields import Field
from tui.widgets.status_line import short

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from engine.llm.base import ModelInfo
    from engine.llm.catalog import KnownModel
    from engine.models import Models
    from engine.pool import Job

NAME_CELLS = 28

PROGRESS_SECONDS = 0.25


class ModelPicker(Dialog[str]):
    """Lists what the backends offer; typing filters, Enter chooses and gives the model's ref.

    What is not there can be fetched: known embedded models, and anything that is typed from Ollama.
    With `once`, which is its title, the choice changes nothing but what the dialog gives.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", show=False, priority=True),
        Binding("up", "move(-1)", "Previous", show=False, priority=True),
        Binding("enter", "choose", "Choose", priority=True),
        Binding("f8", "remove", "Delete from the disk", priority=True),
    ]

    DEFAULT_CSS = """
    ModelPicker #about { height: auto; max-height: 6; padding: 0 1; color: $text-muted; }
    ModelPicker #about.-failed { color: $text-error; }
    ModelPicker OptionList { min-height: 3; text-wrap: nowrap; text-overflow: ellipsis; }
    ModelPicker.-low > Vertical { height: 100%; }
    ModelPicker.-low OptionList { height: 1fr; }
    """

    def __init__(self, models: Models, *, once: str = "") -> None:
        super().__init__()
        self._once = once
        self._models = models
        self._all: list[ModelInfo] = []
        self._to_be_had: list[KnownModel] = []
        self._shown: list[ModelInfo | str] = []
        """Models that are there, and the refs of those that could be fetched."""

        self._fetching: Job[ModelInfo] | None = None
        self._removing = ""
        """The model that the next press deletes."""

    def compose(self) -> ComposeResult:
        """A filter, the list, and what is known of the model under the cursor."""
        with Vertical() as box:
            box.border_title = self._once or "Choose the model"
            box.border_subtitle = "enter chooses · f8 deletes · escape closes"
            yield Field(placeholder="Type to filter, or a name to fetch from Ollama")
            yield OptionList()
            yield Static("Asking for models…", id="about", markup=False)

    def on_mount(self) -> None:
        """Ask the backends."""
        self.run_worker(self._list())

    async def _list(self) -> None:
        self._all = await self._models.listing()
        self._to_be_had = await self._models.to_be_had()
        for field in self.query(Input):  # none, when the dialog was closed meanwhile
            self._show(field.value)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter."""
        self._show(message.value)

    def _show(self, wanted: str) -> None:
        if not (lists := self.query(OptionList)):
            return  # the dialog is being closed
        words = wanted.lower().split()
        there = [info for info in self._all if all(word in info.ref.lower() for word in words)]
        known = {f"embedded:{known.name}": known for known in self._to_be_had}
        fetchable = [ref for ref in known if all(word in ref.lower() for word in words)]
        name = wanted.strip().removeprefix("ollama:")
        if name and " " not in name and not any(name == info.name for info in there):
            fetchable.append(f"ollama:{name}")
        self._shown = [*there, *fetchable]
        current = self._models.current
        options = lists.first()
        options.clear_options()
        for info in there:
            options.add_option(_row(info, current is not None and info.ref == current.ref))
        for ref in fetchable:
            options.add_option(_fetchable_row(ref, known.get(ref)))
        refs = [info.ref for info in there]
        if self._shown:
            options.highlighted = refs.index(current.ref) if current and current.ref in refs else 0

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Tell what is known of it."""
        self._removing = ""
        if message.option_index >= len(self._shown) or self._fetching is not None:
            return
        match self._shown[message.option_index]:
            case str() as ref:
                self._tell(self._about_fetching(ref))
            case info:
                self._tell(_about(info))

    def _about_fetching(self, ref: str) -> str:
        for known in self._to_be_had:
            if ref == f"embedded:{known.name}":
                return f"Enter fetches it once. Licence: {known.licence}. {known.note}"
        return "Enter lets the Ollama server fetch it, if there is a model of that name."

    def on_option_list_option_selected(self) -> None:
        """A click chooses as Enter does."""
        self.action_choose()

    def action_move(self, by: int) -> None:
        """Move the cursor while the filter keeps the focus."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    @property
    def _highlighted(self) -> ModelInfo | str | None:
        place = self.query_one(OptionList).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    def action_choose(self) -> None:
        """Let the model under the cursor answer from now on; fetch it first if it is not there."""
        match self._highlighted:
            case None:
                pass
            case str() as ref if self._fetching is None:
                self.run_worker(self._fetch(ref), exclusive=True, group="choose")
            case str():
                self._tell("One model is being fetched already.", failed=True)
            case info if self._once:
                self.dismiss(info.ref)
            case info:
                self.run_worker(self._choose(info.ref), exclusive=True, group="choose")

    async def _choose(self, ref: str) -> None:
        try:
            await self._models.choose(ref)
        except ModelError as error:
            self._tell(f"{error.failure.message} {error.failure.next_step}", failed=True)
        else:
            self.dismiss(ref)

    async def _fetch(self, ref: str) -> None:
        """Fetch a model, then list it. Escape leaves it to go on; the Workers tab can end it."""
        self._fetching = job = self._models.fetch(ref)
        timer = self.set_interval(PROGRESS_SECONDS, lambda: self._tell(_progress(ref, job)))
        self._tell(_progress(ref, job))
        try:
            await job.result()
        except ModelError as error:
            text = f"{error.failure.message} {error.failure.next_step}"
            self.call_later(self._tell, text, failed=True)
        except asyncio.CancelledError:
            if job.state is not JobState.CANCELLED:
                raise  # it is the dialog that went
            self.call_later(self._tell, f"Fetching {ref} was cancelled.", failed=True)
        else:
            self.query_one(Input).value = ref.partition(":")[2]
            await self._list()
        finally:
            timer.stop()
            self._fetching = None

    def action_remove(self) -> None:
        """Delete the model under the cursor from the disk; the key is asked for twice."""
        match self._highlighted:
            case None | str():
                self._tell("There is nothing to delete: it was not fetched yet.", failed=True)
            case info if self._removing == info.ref:
                self.run_worker(self._remove(info.ref), exclusive=True, group="choose")
            case info:
                self._removing = info.ref
                size = f" and frees {_size(info.size_bytes)}" if info.size_bytes else ""
                self._tell(f"F8 once more deletes {info.ref}{size}.", failed=True)

    async def _remove(self, ref: str) -> None:
        self._removing = ""
        try:
            await self._models.remove(ref)
        except ModelError as error:
            self._tell(f"{error.failure.message} {error.failure.next_step}", failed=True)
        else:
            await self._list()

    def _tell(self, text: str, *, failed: bool = False) -> None:
        for about in self.query("#about").results(Static):  # none, when the dialog is being closed
            about.set_class(failed, "-failed")
            about.update(Content(visible(text)))


def _progress(ref: str, job: Job[ModelInfo]) -> str:
    share = f" {job.progress:.0%}" if job.progress is not None else ""
    return f"Fetching {ref}{share}  {job.detail}".rstrip()


def _fetchable_row(ref: str, known: KnownModel | None) -> Content:
    name = Content(visible(ref)).truncate(NAME_CELLS, ellipsis=True)
    figures = f"{known.parameters:>7} {'':7} {_size(known.size_bytes):>7}" if known else ""
    return Content.assemble(
        ("↓ ", "$text-accent"),
        name.pad_right(NAME_CELLS - name.cell_length).stylize("$text-muted"),
        (f"{figures}  to fetch", "$text-muted"),
    )


def _row(info: ModelInfo, current: bool) -> Content:
    name = Content(visible(info.ref)).truncate(NAME_CELLS, ellipsis=True)
    figures = [
        (info.parameters or "").rjust(7),
        (info.quantization or "").ljust(7),
        _size(info.size_bytes).rjust(7),
        f"{short(info.context_length)} context".rjust(13) if info.context_length else "",
    ]
    return Content.assemble(
        ("● " if current else "  ", "$success"),
        name.pad_right(NAME_CELLS - name.cell_length),
        (visible(" ".join(figures).rstrip()), "$text-muted"),
    )


def _about(info: ModelInfo) -> str:
    facts = [
        f"family {info.family}" if info.family else "",
        ", ".join(sorted(info.capabilities)),
        "in memory" if info.loaded else "",
    ]
    return "\n".join(
        line for line in (" · ".join(fact for fact in facts if fact), info.note) if line
    )


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return ""
    megabytes = size_bytes / 1e6
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
