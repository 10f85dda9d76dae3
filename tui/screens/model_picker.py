"""The model picker: every model that can answer, what is known of it, and the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.llm.base import ModelError
from tui.harmless import visible
from tui.screens.dialog import Dialog
from tui.widgets.status_line import short

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from engine.llm.base import ModelInfo
    from engine.models import Models

NAME_CELLS = 28


class ModelPicker(Dialog[str]):
    """Lists what the backends offer; typing filters, Enter chooses.

    With `once`, nothing changes but that the dialog gives the chosen model's ref.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", show=False, priority=True),
        Binding("up", "move(-1)", "Previous", show=False, priority=True),
        Binding("enter", "choose", "Choose", priority=True),
    ]

    DEFAULT_CSS = """
    ModelPicker #about { height: auto; max-height: 6; padding: 0 1; color: $text-muted; }
    ModelPicker #about.-failed { color: $text-error; }
    ModelPicker OptionList { min-height: 3; }
    """

    def __init__(self, models: Models, *, once: bool = False) -> None:
        super().__init__()
        self._once = once
        self._models = models
        self._all: list[ModelInfo] = []
        self._shown: list[ModelInfo] = []

    def compose(self) -> ComposeResult:
        """A filter, the list, and what is known of the model under the cursor."""
        with Vertical() as box:
            box.border_title = "Answer again with" if self._once else "Choose the model"
            box.border_subtitle = "enter chooses · escape closes"
            yield Input(placeholder="Type to filter")
            yield OptionList()
            yield Static("Asking for models…", id="about", markup=False)

    def on_mount(self) -> None:
        """Ask the backends."""
        self.run_worker(self._list())

    async def _list(self) -> None:
        self._all = await self._models.listing()
        self._show("")

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter."""
        self._show(message.value)

    def _show(self, wanted: str) -> None:
        words = wanted.lower().split()
        self._shown = [
            info for info in self._all if all(word in info.ref.lower() for word in words)
        ]
        current = self._models.current
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(
            Option(_row(info, current is not None and info.ref == current.ref))
            for info in self._shown
        )
        if self._shown:
            refs = [info.ref for info in self._shown]
            known = current is not None and current.ref in refs
            options.highlighted = refs.index(current.ref) if current and known else 0
        elif self._all:
            self._tell("No model has that in its name.")
        else:
            self._tell(
                "There is no model yet. Start Ollama, or run `scrubjay models add smollm2-135m`."
            )

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Tell what is known of it."""
        if message.option_index < len(self._shown):
            self._tell(_about(self._shown[message.option_index]))

    def on_option_list_option_selected(self) -> None:
        """A click chooses as Enter does."""
        self.action_choose()

    def action_move(self, by: int) -> None:
        """Move the cursor while the filter keeps the focus."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    def action_choose(self) -> None:
        """Let the model under the cursor answer from now on."""
        place = self.query_one(OptionList).highlighted
        if place is None or place >= len(self._shown):
            return
        if self._once:
            self.dismiss(self._shown[place].ref)
        else:
            self.run_worker(self._choose(self._shown[place].ref), exclusive=True, group="choose")

    async def _choose(self, ref: str) -> None:
        try:
            await self._models.choose(ref)
        except ModelError as error:
            self._tell(f"{error.failure.message} {error.failure.next_step}", failed=True)
        else:
            self.dismiss(None)

    def _tell(self, text: str, *, failed: bool = False) -> None:
        about = self.query_one("#about", Static)
        about.set_class(failed, "-failed")
        about.update(Content(visible(text)))


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
