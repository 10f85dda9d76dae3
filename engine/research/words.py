"""Text from elsewhere as plain text, and the words that matter in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

from engine.research.analysis_script import STOP_WORDS

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]"
)
_SPACE = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\n\s*\n\s*")
_WORD = re.compile(r"[^\W_](?:[\w'’+#.-]*[\w+#])?")
_URL = re.compile(r"https?://[^\s<>\"']+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'“(\[]?[A-ZÀ-Þ0-9])|\n\n+")
_HEADING = re.compile(r"^#{1,6} +(.*?)([.!?…]?)[ #]*$", re.MULTILINE)
_CLOSING = re.compile(r"[.,;:!?)\]}»]+$")

LONGEST_TITLE = 200


def clean(text: str) -> str:
    """Text without what a terminal or a reader's eye would be fooled by; paragraphs stay."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").encode("utf-8", "replace").decode())
    return _LINES.sub("\n\n", _SPACE.sub(" ", text)).strip()


def clean_title(text: str) -> str:
    """A title on one line, of at most `LONGEST_TITLE` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


def sentences(text: str) -> list[str]:
    """The sentences of a text, as far as punctuation tells; a heading in Markdown is one, too."""
    text = _HEADING.sub(lambda found: f"\n\n{found[1]}{found[2] or '.'}\n\n", text)
    return [sentence for part in _SENTENCE.split(text) if (sentence := " ".join(part.split()))]


def content_words(text: str) -> list[str]:
    """The words that carry a meaning of their own, in lower case, each once, in order."""
    found = (word.lower() for word in _WORD.findall(_URL.sub(" ", text)))
    return list(dict.fromkeys(word for word in found if word not in STOP_WORDS))


def urls(text: str) -> tuple[str, ...]:
    """The web addresses in what a person wrote, without the punctuation behind them."""
    return tuple(dict.fromkeys(_CLOSING.sub("", url) for url in _URL.findall(text)))


def plain(html: str) -> str:
    """A fragment of HTML as text, a paragraph a block."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return clean("".join(reader.pieces))


def moment(text: str | None) -> float | None:
    """Seconds since the epoch, of a date as RFC 3339 or RFC 5322 has it; None for what is none."""
    if not text:
        return None
    text = text.strip()
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
    try:
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None


class _Reader(HTMLParser):
    BLOCKS = frozenset(
        ["p", "div", "br", "li", "ul", "ol", "pre", "tr", "table", "blockquote", "h1", "h2", "h3"]
    )
    UNSEEN = frozenset(["script", "style"])

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.BLOCKS:
            self.pieces.append("\n\n" if tag != "br" else "\n")
        self._unseen += tag in self.UNSEEN

    def handle_endtag(self, tag: str) -> None:
        if tag in self.BLOCKS:
            self.pieces.append("\n\n")
        self._unseen = max(0, self._unseen - (tag in self.UNSEEN))

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)
