"""The search language: words, "phrases", `role:`, `model:`, `tag:`, `after:` and `before:`.

Whatever is typed is a query. What does not fit the language is taken as words, and what holds
neither letters nor digits is left out.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from storage.records import Role, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_CHARACTERS = 10_000
PHRASES_AT_MOST = 32
SNIPPET_WORDS = 16
SNIPPET_SOURCE_CHARACTERS = 20_000
"""A match further into a text than this is found, but shown without its place."""

Phrase: TypeAlias = tuple[str, ...]
"""Words that stand side by side; mostly one."""

# Letters and digits, as the index's tokenizer cuts texts too.
_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(
    r'(?P<filter>\w+):(?P<value>\S+)|"(?P<quoted>[^"]*)(?P<closed>"?)|(?P<plain>[^\s"]+)'
)
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a person looks for."""

    phrases: tuple[Phrase, ...] = ()
    """All of them have to be in a text."""

    unfinished: bool = False
    """Whether the last word is still being typed, and stands for all that begin with it."""

    roles: tuple[Role, ...] = ()
    """Any of them; empty for all."""

    model: str = ""
    """A part of the model's name."""

    tags: tuple[str, ...] = ()
    """All of them are on the session."""

    after: float | None = None
    """The earliest time, in seconds since the epoch; this second is in."""

    before: float | None = None
    """The end of the time; this second is out."""

    @property
    def filtered(self) -> bool:
        """Whether there is anything beside words."""
        return bool(self.roles or self.model or self.tags or self.after or self.before)


def parse(text: str) -> Query:
    """Read a query as it was typed. Dates are days, months or years of the local time zone."""
    phrases: list[Phrase] = []
    moments: dict[str, float] = {}
    roles: list[Role] = []
    model = ""
    tags: list[str] = []
    text = text[:LONGEST_CHARACTERS]
    finished = True
    for piece in _PIECE.finditer(text):
        value = piece["value"]
        match piece["filter"] and piece["filter"].lower():
            case "role" if value.lower() in set(Role):
                roles.append(Role(value.lower()))
                continue
            case "model":
                model = value.lower()
                continue
            case "tag":
                tags.append(value.lower())
                continue
            case "after" | "before" as name if (moment := _moment(value)) is not None:
                moments[name] = moment
                continue
        if phrase := words(piece[0]):
            phrases.append(phrase)
            finished = bool(piece["closed"]) or piece.end() < len(text)
    phrases = phrases[:PHRASES_AT_MOST]
    return Query(
        phrases=tuple(phrases),
        unfinished=bool(phrases) and not finished,
        roles=tuple(roles),
        model=model,
        tags=tuple(tags),
        after=moments.get("after"),
        before=moments.get("before"),
    )


def words(text: str) -> Phrase:
    """The words of a text, as the index knows words."""
    return tuple(_WORD.findall(text))


def snippet(text: str, query: Query) -> tuple[Span, ...]:
    """The piece of `text` that shows most of what `query` looks for, on one line."""
    found = list(_WORD.finditer(text, 0, SNIPPET_SOURCE_CHARACTERS))
    hits = dict(_hits([_folded(word[0]) for word in found], query))
    first = _fullest_window(hits)
    shown = found[first : first + SNIPPET_WORDS]
    if not shown:
        return (Span(_one_line(text[:200]).strip()),)
    last = first + len(shown) - 1
    edges = [0 if first == 0 else shown[0].start()]
    for index, word in enumerate(shown, first):
        if index in hits:
            edges += word.span()
    edges.append(len(text) if last == len(found) - 1 else shown[-1].end())
    spans = [
        Span(_one_line(text[start:stop]), hit=bool(number % 2))
        for number, (start, stop) in enumerate(pairwise(edges))
        if start < stop
    ]
    if first:
        spans.insert(0, Span("… "))
    if last < len(found) - 1:
        spans.append(Span(" …"))
    return tuple(spans)


def _hits(texts: list[str], query: Query) -> Iterator[tuple[int, int]]:
    """The indexes of the words that match, each with the number of its phrase."""
    places: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        places.setdefault(text, []).append(index)
    for number, phrase in enumerate(query.phrases):
        *body, end = (_folded(word) for word in phrase)
        ends = places.get(end, [])
        if query.unfinished and number == len(query.phrases) - 1:
            ends = [index for text in places if text.startswith(end) for index in places[text]]
        for last in ends:
            first = last - len(body)
            if first >= 0 and texts[first:last] == body:
                for index in range(first, last + 1):
                    yield index, number


def _fullest_window(hits: dict[int, int]) -> int:
    """Where to begin so that the most phrases are seen, a little before the first."""
    best, best_start = 0, 0
    for start in sorted(hits):
        seen = {hits[index] for index in hits if start <= index < start + SNIPPET_WORDS - 4}
        if len(seen) > best:
            best, best_start = len(seen), max(0, start - 4)
        if len(hits) > 200:  # A text full of hits shows them anywhere.
            break
    return best_start


def _folded(word: str) -> str:
    """A word without case and diacritics, as the index compares it."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _moment(text: str) -> float | None:
    """The beginning of a day, month or year, such as 2026-11-21, 2026-11 or 2026."""
    date = _DATE.fullmatch(text)
    if date is None:
        return None
    year, month, day = (int(part) if part else 1 for part in date.groups())
    try:
        return datetime(year, month, day).astimezone().timestamp()
    except (ValueError, OverflowError):
        return None
