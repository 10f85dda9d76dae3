"""The line over the Memory tab that says which memories to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

if TYPE_CHECKING:
    from tui.widgets.memory_panel import MemoryPanel


class MemoryFilter(Input):
    """Filters as one types; Enter and Down go to what was found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "leave", "To the memories"),
        Binding("down", "leave", "To the memories", show=False),
        Binding("escape", "close", "Show all"),
    ]

    DEFAULT_CSS = """
    MemoryFilter, MemoryFilter:focus {
        height: 1;
        margin: 0 1 1 1;
        padding: 0 1;
        border: none;
        background: $panel;
    }
    """

    def __init__(self, panel: MemoryPanel) -> None:
        super().__init__(placeholder="Words of a memory", compact=True)
        self._panel = panel

    def on_mount(self) -> None:
        """Be ready to type."""
        self.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Show what holds these words."""
        message.stop()
        self._panel.filter(message.value)

    def action_leave(self) -> None:
        """Go to what was found."""
        self._panel.focus()

    def action_close(self) -> None:
        """Show all memories again."""
        self._panel.action_unfilter()
