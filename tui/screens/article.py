"""A dialog that shows an article as it was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.harmless import visible
from tui.screens.dialog import Dialog
from tui.widgets.rows import MUTED

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from storage.articles import Draft


class ArticleScreen(Dialog[None]):
    """Reads as plain text: nothing in it is markup, and no link but its own can be opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "browse", "Open in browser")]

    DEFAULT_CSS = """
    ArticleScreen > Vertical { height: 90%; }
    ArticleScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    ArticleScreen Static { height: auto; padding: 0 1; }
    """

    def __init__(self, article: Draft) -> None:
        super().__init__()
        self._article = article

    def compose(self) -> ComposeResult:
        """The title, where it is from, and the text."""
        article = self._article
        about = " · ".join(filter(None, [article.source, article.author, article.url]))
        with Vertical() as box:
            box.border_title = "Article"
            opens = "o opens it in the browser · " if self._is_on_the_web else ""
            box.border_subtitle = f"{opens}escape closes"
            with VerticalScroll():
                yield Static(
                    Content.assemble(
                        (visible(article.title), "bold $primary"),
                        "\n",
                        (visible(about), MUTED),
                        "\n\n",
                        visible(article.text) or "Only the title is known.",
                    )
                )

    @property
    def _is_on_the_web(self) -> bool:
        return self._article.url.startswith(("http://", "https://"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only web pages open in the browser."""
        return self._is_on_the_web if action == "browse" else True

    def action_browse(self) -> None:
        """Open its address."""
        self.app.open_url(self._article.url)
