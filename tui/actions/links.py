"""What opens from a message: links, images, and the articles that it cites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import StorageError
from tui.actions.base import ChatBase
from tui.telling import tell, tell_error
from tui.viewer import Viewer, ViewerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.engine import Engine
    from storage.articles import Article
    from storage.records import Message
    from tui.transcript.events import CitationOpened, LinkOpened, LinksListed


IMAGE = "image:"
"""How the address of an image begins that a message shows; its SHA-256 follows."""


class LinkActions(ChatBase):
    """Addresses go to the browser, images to the system's viewer; articles open here."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._viewer = Viewer()

    def on_unmount(self) -> None:
        """Leave no image behind."""
        self._viewer.close()

    def on_transcript_link_opened(self, message: LinkOpened) -> None:
        """Open an address of the web in the browser; show any other."""
        self._open_link(message.address)

    def _open_link(self, address: str) -> None:
        if address.startswith(IMAGE):
            self.run_worker(self._show_image(address.removeprefix(IMAGE)), group="links")
        elif address.startswith(("https://", "http://", "mailto:")):
            self.app.open_url(address)
            tell(self, f"Opening {address}")
        else:
            tell(self, f"Not opened, because it is no address of the web: {address}")

    async def _show_image(self, sha256: str) -> None:
        try:
            data = await self._engine.library.image(sha256)
            if data is None:
                tell(self, "The image is not kept any more.", "warning")
            else:
                await self._viewer.show(sha256, data)
                tell(self, "Opening the image")
        except (StorageError, ViewerError) as error:
            tell(self, str(error), "error")

    def on_transcript_links_listed(self, message: LinksListed) -> None:
        """Let the reader choose one."""
        self.run_worker(self._list_links(message), group="links", exclusive=True)

    async def _list_links(self, message: LinksListed) -> None:
        from tui.screens.links import LinksScreen

        cited = await self._citations(message.message)

        def opened(chosen: str | int | None) -> None:
            if isinstance(chosen, int):
                self._read(cited[chosen])
            elif chosen:
                self._open_link(chosen)

        self.app.push_screen(LinksScreen(message.links, cited), opened)

    def on_transcript_citation_opened(self, message: CitationOpened) -> None:
        """Show the article that the number stands for."""
        self.run_worker(self._open_citation(message), group="links", exclusive=True)

    async def _open_citation(self, message: CitationOpened) -> None:
        cited = await self._citations(message.message)
        if message.number in cited:
            self._read(cited[message.number])
        else:
            tell(self, f"No article has the number {message.number}.", "warning")

    async def _citations(self, message: Message) -> Mapping[int, Article]:
        try:
            return await self._engine.library.citations(message.id)
        except StorageError as error:
            tell_error(self, error)
            return {}

    def _read(self, article: Article) -> None:
        from tui.screens.article import ArticleScreen

        self.app.push_screen(ArticleScreen(article))
