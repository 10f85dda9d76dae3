"""What dialogs share: a framed box over the dimmed screen, closed by Escape."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import OptionList

Result = TypeVar("Result")


class Choices(OptionList):
    """A list to choose from where nothing is typed, so that letters can move the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]


class Dialog(ModalScreen[Result | None]):
    """A box over the screen. Its first child is the box."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-tall")]  # noqa: RUF012 - typed by Textual

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Close")]

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > Vertical {
        width: 90%;
        max-width: 88;
        height: auto;
        max-height: 90%;
        padding: 0 1;
        border: round $primary;
        border-title-color: $primary;
        border-subtitle-color: $text-muted;
        background: $background;
    }
    Dialog.-low > Vertical { width: 100%; max-height: 100%; }
    Dialog.-low Input, Dialog.-low Input:focus { margin: 0; }
    Dialog Input, Dialog Input:focus {
        height: 1;
        border: none;
        padding: 0 1;
        margin: 1 0;
        background: $surface;
    }
    Dialog OptionList, Dialog OptionList:focus {
        height: auto;
        max-height: 100%;
        border: none;
        padding: 0;
        background: $background;
        scrollbar-size-vertical: 1;
    }
    """

    def action_cancel(self) -> None:
        """Close, and change nothing."""
        self.dismiss(None)
