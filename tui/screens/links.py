"""A dialog that lists the links of a message, and before them the articles that it cites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content

from tui.harmless import visible
from tui.screens.dialog import Choices, Dialog
from tui.widgets.rows import MUTED, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.widgets import OptionList

    from storage.articles import Article


class LinksScreen(Dialog[str | int]):
    """Gives the address that was chosen, or the number of a cited article.

    An article's own address is left out: it can be opened where the article is read.
    """

    def __init__(
        self, links: Sequence[tuple[str, str]], cited: Mapping[int, Article] | None = None
    ) -> None:
        super().__init__()
        self._cited = cited or {}
        known = {article.url for article in self._cited.values()}
        self._links = [(text, address) for text, address in links if address not in known]

    def compose(self) -> ComposeResult:
        """A link a row, its text over its address; an article with its number and source."""
        with Vertical() as box:
            box.border_title = "Open a link"
            box.border_subtitle = "enter opens it · escape closes"
            yield Choices(
                *(
                    Content.assemble(
                        (f"[{number}] ", "$text-accent"),
                        one_line(article.title) or one_line(article.url),
                        "\n",
                        (f"{article.source} · {one_line(article.url)}", MUTED),
                    )
                    for number, article in self._cited.items()
                ),
                *(
                    Content.assemble(visible(text), "\n", (visible(address), MUTED))
                    for text, address in self._links
                ),
            )

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Open it."""
        chosen: list[str | int] = [*self._cited, *(address for _, address in self._links)]
        self.dismiss(chosen[message.option_index])
