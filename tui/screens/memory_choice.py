"""A dialog that lets one of several memories, or of their sources, be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from tui.screens.dialog import Choices, Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.content import Content
    from textual.widgets import OptionList


class ChoiceScreen(Dialog[int]):
    """Gives the place of what was chosen, from 0."""

    def __init__(self, title: str, keys: str, choices: Sequence[Content]) -> None:
        super().__init__()
        self._title = title
        self._keys = keys
        self._choices = choices

    def compose(self) -> ComposeResult:
        """A choice a row."""
        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = self._keys
            yield Choices(*self._choices)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Give it."""
        self.dismiss(message.option_index)
