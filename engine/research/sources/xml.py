"""XML from elsewhere: parsed without entities or references, and RSS and Atom read from it.

https://www.rfc-editor.org/rfc/rfc4287 (Atom), https://www.rssboard.org/rss-specification (RSS 2.0)
and https://web.resource.org/rss/1.0/spec (RSS 1.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.research.errors import FetchError
from engine.research.words import clean, clean_title, moment, plain

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a feed; what it does not tell is empty."""

    url: str
    title: str
    text: str
    author: str
    published_at: float | None


def parse(body: bytes) -> Element:
    """The root of a document.

    Raises:
        FetchError: It is not well-formed, or it declares entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    try:
        root: Element = ElementTree.fromstring(body)
    except DefusedXmlException:
        raise FetchError("unreadable", "sent XML that declares entities") from None
    except (ParseError, ValueError, LookupError):
        raise FetchError("unreadable", "sent XML that can't be read") from None
    return root


def feed_entries(body: bytes) -> list[FeedEntry]:
    """The entries of an RSS or Atom feed, in its order.

    Raises:
        FetchError: It is no such feed.
    """
    root = parse(body)
    if _name(root) not in ("rss", "RDF", "feed"):
        raise FetchError("unreadable", "is no feed")
    return [_entry(one) for one in root.iter() if _name(one) in ("item", "entry")]


def _entry(element: Element) -> FeedEntry:
    parts: dict[str, str] = {}
    url = ""
    for child in element:
        name = _name(child)
        if name == "link":
            relation = child.get("rel", "alternate")
            if relation == "alternate":
                url = url or (child.get("href") or child.text or "").strip()
        elif name == "author":
            parts.setdefault(name, " ".join("".join(child.itertext()).split()))
        else:
            parts.setdefault(name, "".join(child.itertext()))
    markup = max(
        (parts.get(name, "") for name in ("encoded", "content", "description", "summary")), key=len
    )
    return FeedEntry(
        url=url or parts.get("id", "").strip(),
        title=clean_title(plain(parts.get("title", ""))),
        text=plain(markup) if "<" in markup or "&" in markup else clean(markup),
        author=clean_title(parts.get("author") or parts.get("creator", "")),
        published_at=next(
            (
                at
                for name in ("published", "pubDate", "date", "updated")
                if (at := moment(parts.get(name))) is not None
            ),
            None,
        ),
    )


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
