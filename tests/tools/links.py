"""Checks the built site: every link within it leads to a page, a file or a place on a page.

python -m tests.tools.links build/site
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LEADING = {"a": "href", "link": "href", "img": "src", "script": "src", "object": "data"}


class Page(HTMLParser):
    """Where a page leads, and the places on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.places |= {told[key] or "" for key in ("id", "name") if key in told}
        if link := told.get(LEADING.get(tag, "")):
            self.links.append(link)


def broken(site: Path) -> Iterator[str]:
    """Every link that leads nowhere, and everything that a page would load from elsewhere."""
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}
    for file, page in pages.items():
        if file.name == "404.html":  # its links are those of a page at any depth
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{file.relative_to(site)}: {link} leads nowhere"
                continue
            place = unquote(parts.fragment)
            if place and target in pages and place not in pages[target].places:
                yield f"{file.relative_to(site)}: {link} leads to no place on its page"


def main() -> int:
    found = list(broken(Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "Every link within the site leads somewhere.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
