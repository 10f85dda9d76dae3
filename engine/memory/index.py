"""A lexical index over one person's messages, in memory: postings, neighbours, forms of texts.

Adding a message costs as much as its own words. Reading is the ranker's business (`ranking.py`),
which sees the arrays.
"""

from __future__ import annotations

import re
import time
from array import array
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.memory import words as language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|recently|lately|soon|earlier|later|since"
    r"|this (?:week|month|year|morning|afternoon|evening|weekend|summer|winter|spring|fall|autumn)"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|weekend|month|week|year|morning"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:19|20)\d\d|the other day|just (?:now|got|came|went|had|finished|started|did))\b"
)
_DURATION = re.compile(
    r"\b(?:years?|months?|weeks?|days?|hours?|minutes?|since|for (?:a|the|about|over|\w+) \w+"
    r"|anniversary|long)\b"
)
_PLACE = re.compile(r"\b(?:[Ii]n|[Aa]t|[Tt]o|[Ff]rom|[Nn]ear) (?:the )?[A-Z]\w+")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]+")
_REASON = re.compile(r"\b(?:because|since|so that|to help|cause|reason|inspired|wanted|why)\b")
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|my|me|we|our|mine)\b")
_PLAN = re.compile(
    r"\b(?:will|'ll|going to|gonna|plan\w*|want to|hope|hoping|looking forward|thinking of|next"
    r"|decided|considering)\b"
)
_QUOTED = re.compile(r'["“][^"“”]{2,200}["”]')

FORM = (
    "time",
    "duration",
    "place",
    "reason",
    "first",
    "plan",
    "asks",
    "names",
    "quoted",
    "long",
)
"""The columns that say what a text is like; each from 0 to 1, but `long`, its log length."""


SILENT = 100
"""Messages without a word that are counted too: in a short history all words are rare."""


class Entry(msgspec.Struct, frozen=True):
    """One message, as the index takes it."""

    key: int
    session: str
    position: int
    speaker: str
    text: str
    at: float
    """Seconds since the epoch."""


class Grown:
    """A numpy array that grows at its end."""

    def __init__(self, dtype: Any, width: int = 0) -> None:
        self._room = np.zeros((64, width) if width else 64, dtype)
        self._size = 0

    def append(self, value: Any) -> None:
        """Add a value, or a row."""
        if self._size == len(self._room):
            self._room = np.concatenate([self._room, np.zeros_like(self._room)])
        self._room[self._size] = value
        self._size += 1

    @property
    def view(self) -> NDArray[Any]:
        """What there is. Don't hold it while something is appended."""
        return self._room[: self._size]


class Standing(msgspec.Struct, frozen=True):
    """Lengths against their means, and idf, of an index of `size` messages."""

    size: int
    length: NDArray[np.float32]
    window_length: NDArray[np.float32]
    """Of each message with the two beside it."""

    session_length: NDArray[np.float32]
    idf: NDArray[np.float32]

    @classmethod
    def of(cls, index: LexicalIndex) -> Standing:
        """Of an index as it is now."""
        length = index.lengths.view
        padded = np.append(length, np.float32(0))  # -1, no neighbour, finds the 0 at the end
        window = length + padded[index.previous.view] + padded[index.following.view]
        session = np.bincount(index.session.view, length, minlength=len(index.sessions))
        spread = np.array([len(held) // 4 for held in index.held_by], np.float32)
        size = len(index)
        return cls(
            size=size,
            length=_against_mean(length),
            window_length=_against_mean(window),
            session_length=_against_mean(session),
            idf=np.log1p((size + SILENT - spread + 0.5) / (spread + 0.5)).astype(np.float32),
        )


def _against_mean(lengths: NDArray[Any]) -> NDArray[np.float32]:
    return (lengths / max(float(lengths.mean()), 1e-6)).astype(np.float32)


class LexicalIndex:
    """The messages of one person."""

    def __init__(self) -> None:
        self.forms: dict[str, int] = {}
        """Words as written, folded, to their stems' numbers; -1 is a stop word."""

        self.stems: dict[str, int] = {}
        self.families: dict[str, tuple[int, ...]] = {}
        """Stems by their first letters."""

        self.spellings: list[tuple[str, ...]] = []
        """The words that were seen of each stem."""

        self.held_by: list[bytearray] = []
        """For each stem the messages that hold it, in order: 4 bytes each, of which the last says
        how often. Like tuples of words, bytes are nothing that the garbage collector walks through
        while everything else stands still."""

        self.tokens = array("i")
        """The stems of all texts, one after the other, stop words as -1."""

        self.starts = array("q", [0])
        self.keys = Grown(np.int64)
        self.content = Grown(np.int64)
        """The same number for the same set of stems."""

        self.lengths = Grown(np.float32)
        self.session = Grown(np.int32)
        self.position = Grown(np.int32)
        self.speaker = Grown(np.int32)
        self.previous = Grown(np.int32)
        self.following = Grown(np.int32)
        self.at = Grown(np.float64)
        self.date = Grown(np.int16, 3)
        self.form = Grown(np.float32, len(FORM))
        self.sessions: dict[str, int] = {}
        self.speakers: dict[str, int] = {}
        self._tails: dict[int, int] = {}
        self._days: dict[int, tuple[int, int, int]] = {}
        self._standing: Standing | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def add(self, entry: Entry) -> int:
        """Index a message; its number."""
        doc = len(self)
        text = entry.text[: language.LONGEST_CHARACTERS]
        low = language.folded(text)
        forms = self.forms
        counted: dict[int, int] = {}
        size = 0
        for word in language.WORD.findall(low):
            number = forms.get(word)
            if number is None:
                number = self._learn(word)
            self.tokens.append(number)
            if number >= 0:
                size += 1
                counted[number] = counted.get(number, 0) + 1
        self.starts.append(len(self.tokens))
        for number, count in counted.items():
            self.held_by[number] += (doc << 8 | min(count, 255)).to_bytes(4, "little")
        self.keys.append(entry.key)
        self.content.append(hash(frozenset(counted)) if counted else ~doc)
        self.lengths.append(size)
        session = self.sessions.setdefault(entry.session, len(self.sessions))
        self.session.append(session)
        self.position.append(entry.position)
        self.speaker.append(self.speakers.setdefault(entry.speaker, len(self.speakers)))
        self.at.append(entry.at)
        self.date.append(self._date(entry.at))
        self.form.append(_form(text, low, size))
        self._link(doc, session, entry.position)
        return doc

    def _link(self, doc: int, session: int, position: int) -> None:
        """Put a message behind the last one that stands before it; a new branch cuts an old one."""
        before = self._tails.get(session, -1)
        positions, previous = self.position.view, self.previous.view
        while before >= 0 and positions[before] >= position:
            before = int(previous[before])
        self.previous.append(before)
        self.following.append(-1)
        if before >= 0:
            self.following.view[before] = doc
        self._tails[session] = doc

    def postings(self, stem: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The messages that hold a stem, in order, and how often."""
        held = np.frombuffer(bytes(self.held_by[stem]), "<u4")
        return (held >> 8).astype(np.intp), (held & 255).astype(np.float32)

    def stems_of(self, doc: int) -> NDArray[np.int32]:
        """The stems of a message in order; stop words are left out."""
        stems = np.array(self.tokens[self.starts[doc] : self.starts[doc + 1]], np.int32)
        return stems[stems >= 0]

    def words_of(self, start: int, stop: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """The stems of the messages [start, stop), in order, each with its message."""
        first, last = self.starts[start], self.starts[stop]
        stems = np.array(self.tokens[first:last], np.int32)
        sizes = np.diff(np.array(self.starts[start : stop + 1]))
        docs = np.repeat(np.arange(start, stop), sizes)
        return docs[stems >= 0], stems[stems >= 0]

    def idf(self) -> NDArray[np.float32]:
        """How telling each stem is."""
        return self.standing().idf

    def standing(self) -> Standing:
        """What depends on all messages, worked out once after each change."""
        if self._standing is None or self._standing.size != len(self):
            self._standing = Standing.of(self)
        return self._standing

    def _learn(self, word: str) -> int:
        plain = word.removesuffix("'s")
        if word in language.STOP_WORDS or plain in language.STOP_WORDS:
            number = -1
        else:
            stem = language.stem(plain)
            number = self.stems.setdefault(stem, len(self.stems))
            if number == len(self.held_by):
                self.spellings.append(())
                self.held_by.append(bytearray())
                self.families[stem[:5]] = (*self.families.get(stem[:5], ()), number)
            self.spellings[number] += (word,)
        self.forms[word] = number
        return number

    def _date(self, at: float) -> tuple[int, int, int]:
        hour = int(at // 3600)
        if hour not in self._days:
            moment = time.localtime(at)
            self._days[hour] = moment.tm_year, moment.tm_mon, moment.tm_mday
        return self._days[hour]


def _form(text: str, low: str, size: int) -> Sequence[float]:
    body = low.rstrip()
    if body.endswith((")", "]")):  # an aside, such as what a picture shows
        body = body[: max(body.rfind("("), body.rfind("["), 0)].rstrip()
    return (
        _TIME.search(low) is not None,
        _DURATION.search(low) is not None,
        _PLACE.search(text) is not None,
        _REASON.search(low) is not None,
        _FIRST_PERSON.search(low) is not None,
        _PLAN.search(low) is not None,
        body.endswith("?"),
        min(len(set(_NAME.findall(text))), 4) / 4,
        _QUOTED.search(text) is not None,
        np.log1p(size),
    )
