"""A dialog that lists the links of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList

from tui.harmless import visible
from tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class LinksScreen(Dialog[str]):
    """Gives the address that was chosen."""

    def __init__(self, links: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._links = links

    def compose(self) -> ComposeResult:
        """A link a row, its text over its address."""
        with Vertical() as box:
            box.border_title = "Open a link"
            box.border_subtitle = "enter opens it · escape closes"
            yield OptionList(
                *(
                    Content.assemble(visible(text), "\n", (visible(address), "$text-muted"))
                    for text, address in self._links
                )
            )

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Open it."""
        self.dismiss(self._links[message.option_index][1])
