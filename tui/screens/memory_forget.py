"""A dialog that asks before something is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.harmless import visible
from tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from engine.memory.memories import Kept


class ForgetScreen(Dialog[Literal["here", "everywhere"]]):
    """Gives how far to forget, or None to keep it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "forget('here')", "Forget it"),
        Binding("a", "forget('everywhere')", "Forget it everywhere"),
        Binding("n", "cancel", "Keep it"),
    ]

    DEFAULT_CSS = """
    ForgetScreen > Vertical { border: round $warning; border-title-color: $warning; }
    ForgetScreen VerticalScroll { height: auto; max-height: 12; margin: 1 0; padding: 0 1; }
    ForgetScreen #keys { color: $text-muted; padding: 0 1; margin: 0 0 1 0; }
    """

    AUTO_FOCUS = "VerticalScroll"

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = kept

    def compose(self) -> ComposeResult:
        """What would be forgotten, and what can be said to that."""
        with Vertical() as box:
            box.border_title = f"Forget this {self._kept.kind}?"
            box.border_subtitle = "it can't be brought back"
            with VerticalScroll():
                yield Static(Content(visible(self._kept.text)))
            keys = {
                "y": "forget it",
                "a": "everywhere: strike it out of every message, too",
                "n": "keep it",
            }
            told = [Content.assemble((key, "bold"), f"  {words}") for key, words in keys.items()]
            yield Static(Content("\n").join(told), id="keys")

    def action_forget(self, how: Literal["here", "everywhere"]) -> None:
        """Forget it."""
        self.dismiss(how)
