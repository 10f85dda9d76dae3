"""Web pages: those whose addresses the user wrote, and the main text of any other."""

from __future__ import annotations

import re
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, ClassVar

import msgspec

from engine.research.errors import FetchError
from engine.research.sources.base import Query, Reach, Source, as_found, at
from engine.research.words import clean, clean_title, moment, urls
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_CONTROL_REFERENCE = re.compile(
    r"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]))(?:;|(?!\w))", re.IGNORECASE
)
"""A reference to a control character, over which the reader of pages would give up."""

LONGEST_TEXT = 50_000
"""Characters of a page that are kept."""


class MainText(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says, without its menus and advertisements."""

    title: str
    text: str
    author: str
    published_at: float | None


class Pages(Source):
    """Reads the pages that the question names."""

    name: ClassVar[str] = "pages"

    def __init__(self, *, named: bool) -> None:
        """`named`: the user asks, so that a page may be on this machine."""
        self._named = named

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Read them all at once."""
        pages = (at(url, read_page(url, reach, named=self._named)) for url in urls(query.question))
        async for url, page in as_found(pages, reach.notes):
            yield Draft(
                url=url,
                source=self.name,
                title=page.title or url,
                text=page.text,
                author=page.author,
                published_at=page.published_at,
            )


async def read_page(
    url: str, reach: Reach, *, named: bool = False, stays: bool = False
) -> tuple[str, MainText]:
    """The main text of a page, HTML, PDF or plain, and its address after redirects.

    Args:
        url: Its address.
        reach: What it is fetched with.
        named: Whether the user named it: it may then be on this machine.
        stays: Whether a redirect to another site is refused.

    Raises:
        FetchError: It can't be had, or there is no text in it.
    """
    page = await reach.fetcher.get(url, named=named, stays=stays)
    kind = page.content_type.partition(";")[0].strip().lower()
    if kind == "application/pdf" or page.body.startswith(b"%PDF-"):
        return page.url, await read_pdf(page.body, reach)
    if kind.startswith("text/") and kind != "text/html":
        text = clean(page.text)[:LONGEST_TEXT]
        return page.url, MainText(title="", text=text, author="", published_at=None)
    if kind and not ("html" in kind or "xml" in kind):
        raise FetchError("unreadable", f"is no page but {kind[:40]!r}")
    return page.url, await _worked(reach, "page", "html", page.text)


async def read_pdf(content: bytes, reach: Reach) -> MainText:
    """The text of a PDF file.

    Raises:
        FetchError: There is none in it.
    """
    return await _worked(reach, "PDF", "pdf", content)


async def _worked(reach: Reach, what: str, kind: str, content: str | bytes) -> MainText:
    try:
        found = await reach.workers.run(_READERS[kind], content)
    except (BrokenExecutor, TimeoutError):
        raise FetchError("unreadable", f"is a {what} that takes too much to read") from None
    if found is None or not found.text:
        raise FetchError("unreadable", f"is a {what} without readable text")
    return found


def read_html(html: str | bytes) -> MainText | None:
    """Find the main text of a page; slow, so called in a worker. None when there is none."""
    import trafilatura

    found = trafilatura.bare_extraction(
        _CONTROL_REFERENCE.sub("", html) if isinstance(html, str) else html,
        with_metadata=True,
        favor_precision=True,
        include_comments=False,
        include_tables=False,
    )
    if found is None:
        return None
    told = found if isinstance(found, dict) else found.as_dict()
    return MainText(
        title=clean_title(told.get("title") or ""),
        text=clean(told.get("text") or "")[:LONGEST_TEXT],
        author=clean_title(told.get("author") or ""),
        published_at=moment(told.get("date")),
    )


def read_pdf_text(content: str | bytes) -> MainText | None:
    """Find the text of a PDF file; slow, so called in a worker. None when it is no such file."""
    import io

    import pypdf

    try:
        reader = pypdf.PdfReader(io.BytesIO(content if isinstance(content, bytes) else b""))
        pieces: list[str] = []
        for page in reader.pages:
            pieces.append(page.extract_text())
            if sum(map(len, pieces)) > LONGEST_TEXT:
                break
        about = reader.metadata
        return MainText(
            title=clean_title((about.title if about else "") or ""),
            text=clean("\n\n".join(pieces))[:LONGEST_TEXT],
            author=clean_title((about.author if about else "") or ""),
            published_at=None,
        )
    except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, RecursionError):
        return None


_READERS = {"html": read_html, "pdf": read_pdf_text}
