"""A dialog that asks for a title."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from tui.screens.dialog import Dialog
from tui.widgets.fields import Field

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widgets import Input

LONGEST = 200


class RenameScreen(Dialog[str]):
    """Gives the new title, or None when nothing shall change."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._before = title

    def compose(self) -> ComposeResult:
        """One line."""
        with Vertical() as box:
            box.border_title = "Rename the conversation"
            box.border_subtitle = "enter keeps it · escape leaves it as it was"
            yield Field(self._before, placeholder="A title", max_length=LONGEST)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Keep it."""
        self.dismiss(" ".join(message.value.split()) or None)
