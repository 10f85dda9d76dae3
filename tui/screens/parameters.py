"""A dialog for what one conversation has set: a row for each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static

from engine.parameters import PARAMETER_WORDS, ParameterError, Parameters, changed
from tui.harmless import visible
from tui.screens.dialog import Dialog
from tui.widgets.fields import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class ParametersScreen(Dialog[Parameters]):
    """Gives what shall be set, or None when nothing shall change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]

    DEFAULT_CSS = """
    ParametersScreen VerticalScroll { height: auto; max-height: 100%; margin: 1 0; }
    ParametersScreen Horizontal { height: 1; }
    ParametersScreen Label { width: 16; }
    ParametersScreen Horizontal Input, ParametersScreen Horizontal Input:focus {
        width: 12;
        margin: 0;
    }
    ParametersScreen Horizontal Input:focus { background: $primary-muted; }
    ParametersScreen.-low Horizontal Input, ParametersScreen.-low Horizontal Input:focus {
        width: 10;
    }
    ParametersScreen .words { width: 1fr; padding: 0 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    ParametersScreen #trouble { height: auto; color: $text-error; padding: 0 1; }
    """

    def __init__(self, parameters: Parameters, personas: Sequence[str]) -> None:
        super().__init__()
        self._parameters = parameters
        self._personas = personas

    def compose(self) -> ComposeResult:
        """The name, the value and the meaning of each."""
        with Vertical() as box:
            box.border_title = "This conversation's parameters"
            box.border_subtitle = "empty: as in the settings · enter keeps them · escape closes"
            with VerticalScroll(can_focus=False):
                for name, words in PARAMETER_WORDS.items():
                    with Horizontal():
                        yield Label(name)
                        yield Field(_written(getattr(self._parameters, name)), id=name)
                        yield Static(Content(self._words(name, words)), classes="words")
            yield Static("", id="trouble", markup=False)

    def _words(self, name: str, words: str) -> str:
        if name != "persona":
            return words
        return visible(", ".join(self._personas)) or "none is written yet; /persona says how"

    def on_input_submitted(self) -> None:
        """Keep all, if all fit; else say which does not, and go there."""
        parameters = Parameters()
        for name in PARAMETER_WORDS:
            field = self.query_one(f"#{name}", Input)
            try:
                parameters = changed(parameters, name, field.value)
            except ParameterError as error:
                self.query_one("#trouble", Static).update(Content(visible(str(error))))
                field.focus()
                return
        self.dismiss(parameters)


def _written(value: object) -> str:
    match value:
        case None:
            return ""
        case tuple():
            return " ".join(value)
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return str(value)
