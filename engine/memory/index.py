"""A lexical index over one person's messages: postings, neighbours, forms of texts.

Adding a message costs as much as its own words. What there is much of is kept on the disk, and read
there. Reading is the ranker's business (`ranking.py`), which sees the arrays.
"""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.memory import array_file
from engine.memory import words as language
from engine.memory.array_file import ArrayFile
from engine.memory.forms import form
from engine.memory.grown import Grown
from engine.memory.numbers import Numbers
from engine.memory.segments import Segment, Tail, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SILENT = 100
"""Messages without a word that are counted too: in a short history all words are rare."""

PREFIX = 5
"""Stems that begin with the same letters are one family."""

REMEMBERED = 30_000
"""So many words as written are known by their stems' numbers; others are stemmed anew."""

LARGER = 4
"""A segment that is not so many times larger than what follows it is joined with that."""

BLOCK = 50_000
"""So many messages are read from the disk at a time."""

ROOM = 60_000
"""So many messages, stems and sessions have room behind those on the disk."""

COLUMNS = {
    "keys": np.int64,
    "lengths": np.uint16,
    "session": np.int32,
    "position": np.int32,
    "speaker": np.int32,
    "previous": np.int32,
    "day": np.int32,
    "form": np.uint16,
}
"""What is kept of each message beside its words."""

_TABLE = {**COLUMNS, "stems": np.int64, "families": np.uint32, "sessions": np.int64}
"""And of each stem and session: hashes, and no words."""


class Entry(msgspec.Struct, frozen=True):
    """One message, as the index takes it."""

    key: int
    session: str
    position: int
    speaker: str
    text: str
    at: float
    """Seconds since the epoch."""


class LexicalIndex:
    """The messages of one person.

    Args:
        segments: What is kept of their words on the disk.
        table: What `keep` wrote beside these.
        speakers: The names of those who speak in them, by their numbers.
    """

    def __init__(
        self,
        segments: Sequence[Segment] = (),
        table: ArrayFile | None = None,
        speakers: Sequence[str] = (),
    ) -> None:
        self.segments = list(segments)
        self._tail = Tail()
        self._columns = {name: Grown(dtype) for name, dtype in _TABLE.items()}
        self.keys = self._columns["keys"]
        self.lengths = self._columns["lengths"]
        """How many stems there are in each message."""

        self.session = self._columns["session"]
        self.position = self._columns["position"]
        self.speaker = self._columns["speaker"]
        self.previous = self._columns["previous"]
        self.day = self._columns["day"]
        """The local date, as year × 10,000 + month × 100 + day."""

        self.form = self._columns["form"]
        self._families = self._columns["families"]
        self._table: ArrayFile | None = None
        if table is not None:
            self._lay_on(table)
        self._stems = Numbers(self._columns["stems"])
        self._sessions = Numbers(self._columns["sessions"])
        self.spread = Grown(np.int32, [self._kept_spread()])
        """In how many messages each stem is."""

        self.speakers = {name: number for number, name in enumerate(speakers)}
        self._forms: dict[str, int] = {}
        self._days: dict[int, int] = {}
        self._link_all()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def stems(self) -> int:
        """How many stems are known."""
        return len(self._stems)

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    @property
    def waiting(self) -> int:
        """How many messages are not on the disk."""
        return len(self._tail)

    def add(self, entry: Entry) -> int:
        """Index a message; its number."""
        doc = len(self)
        text = entry.text[: language.LONGEST_CHARACTERS]
        low = language.folded(text)
        forms = self._forms
        words: list[int] = []
        for word in language.WORD.findall(low):
            number = forms.get(word)
            if number is None:
                number = self._learn(word)
            if number >= 0:
                words.append(number)
        self._tail.add(words)
        self.spread.view[list(set(words))] += 1
        self.keys.append(entry.key)
        self.lengths.append(len(words))
        session = self._sessions.add(entry.session)
        self.session.append(session)
        self.position.append(entry.position)
        self.speaker.append(self.speakers.setdefault(entry.speaker, len(self.speakers)))
        self.day.append(self._day(entry.at))
        self.form.append(form(text, low))
        self._link(doc, session, entry.position, len(words))
        return doc

    def number(self, stem: str) -> int:
        """A stem's number; -1 when nobody said it."""
        return self._stems.get(stem)

    def number_of_session(self, session: str) -> int:
        """A session's number; -1 when nothing was said in it."""
        return self._sessions.get(session)

    def is_common(self, stem: str) -> bool:
        """Whether more than half of the messages hold a stem, so that it tells nothing."""
        number = self.number(stem)
        return number >= 0 and 2 * int(self.spread.view[number]) > len(self)

    def family(self, stem: str) -> list[int]:
        """The stems that begin with the same letters, itself among them."""
        numbers: list[int] = np.flatnonzero(self._families.view == _family(stem)).tolist()
        return numbers

    def idf(self, stems: Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """How telling stems are."""
        spread = self.spread.view[np.asarray(stems, np.intp)].astype(np.float32)
        return np.log1p((len(self) + SILENT - spread + 0.5) / (spread + 0.5)).astype(np.float32)

    def postings(self, stem: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The messages that hold a stem, in order, and how often."""
        held, firsts, first = [], [], 0
        for part in self._parts:
            held.append(part.postings(stem))
            firsts.append(first)
            first += len(part)
        whole = np.concatenate(held) if len(held) > 1 else held[0]
        docs = (whole >> 8).astype(np.intp)
        if len(held) > 1:
            docs += np.repeat(firsts, list(map(len, held)))
        return docs, (whole & 255).astype(np.float32)

    def stems_of(self, doc: int) -> frozenset[int]:
        """The stems of a message."""
        for part in self._parts:
            if doc < len(part):
                start, stop = part.starts[doc : doc + 2].tolist()
                return frozenset(part.words[start:stop].tolist())
            doc -= len(part)
        raise IndexError(doc)

    def words_of(self, docs: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """The stems of messages, which are given in order: each with its place in `docs`."""
        places, stems, first = [], [], 0
        for part in self._parts:
            start, stop = np.searchsorted(docs, [first, first + len(part)])
            own = docs[start:stop] - first
            begins = part.starts[own]
            sizes = part.starts[own + 1] - begins
            total = int(sizes.sum())
            within = np.arange(total) - np.repeat(sizes.cumsum() - sizes, sizes)
            stems.append(part.words[np.repeat(begins, sizes) + within])
            places.append(np.repeat(np.arange(start, stop), sizes))
            first += len(part)
        return np.concatenate(places), np.concatenate(stems)

    def length(self, docs: NDArray[np.intp]) -> NDArray[np.float32]:
        """The lengths of messages against their mean."""
        return self._against(self.lengths.view[docs], self._length / max(1, len(self)))

    def window_length(self, docs: NDArray[np.intp]) -> NDArray[np.float32]:
        """Those of messages with the two beside them."""
        lengths = self.lengths.view
        window = lengths[docs].astype(np.float32)
        for link in (self.previous.view[docs], self.following.view[docs]):
            window += np.where(link >= 0, lengths[link], 0)
        return self._against(window, self._window / max(1, len(self)))

    def session_length(self, sessions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Those of sessions."""
        return self._against(
            self._session_lengths.view[sessions], self._length / max(1, self.sessions)
        )

    def keep(self, folder: Path, name: str, more: Mapping[str, NDArray[Any]]) -> ArrayFile:
        """Put all that is not on the disk there, in a segment and a table of this name.

        Segments that are not much larger go into the new one; their files stay where they are.

        Args:
            folder: It is there.
            name: Of the files; none is there yet.
            more: What else to put into the table.

        Raises:
            OSError: It can't be written.
        """
        joined: list[Segment] = []
        size = len(self._tail)
        while self.segments and len(self.segments[-1]) < LARGER * size:
            joined.insert(0, self.segments.pop())
            size += len(joined[0])
        try:
            segment = write(folder / f"{name}.segment", [*joined, self._tail], self.stems)
        except BaseException:
            self.segments += joined
            raise
        self.segments.append(segment)
        self._tail = Tail()
        path = folder / f"{name}.table"
        columns = {of: [values.view] for of, values in self._columns.items()}
        array_file.write(path, {**columns, **{of: [values] for of, values in more.items()}}, ROOM)
        self._lay_on(table := ArrayFile(path))
        self.let_go()
        return table

    def let_go(self) -> None:
        """Keep nothing in memory that is on the disk."""
        for segment in self.segments:
            segment.let_go()
        if self._table is not None:
            self._table.let_go()

    def _lay_on(self, table: ArrayFile) -> None:
        """Read from a table what is the same as here, or all there is."""
        self._table = table
        for name, values in self._columns.items():
            values.lay_on(table.with_room(name), len(table.array(name)))

    @property
    def _parts(self) -> Sequence[Segment | Tail]:
        return (*self.segments, self._tail)

    def _kept_spread(self) -> NDArray[np.int64]:
        spread = np.zeros(self.stems, np.int64)
        for segment in self.segments:
            spread += np.diff(segment.offsets(self.stems))
        return spread

    def _link_all(self) -> None:
        """Work out the links and lengths that follow from what is kept."""
        previous, lengths, session = self.previous.view, self.lengths.view, self.session.view
        following = np.full(len(self), -1, np.int32)
        tails = np.full(self.sessions, -1, np.int32)
        sums = np.zeros(self.sessions, np.int64)
        for start in range(0, len(self), BLOCK):
            block = slice(start, start + BLOCK)
            there = start + np.flatnonzero(previous[block] >= 0)
            following[previous[there]] = there  # of several, the last stays
            tails[session[block]] = np.arange(start, start + len(session[block]))
            np.add.at(sums, session[block], lengths[block])
        self.following = Grown(np.int32, [following])
        self._tails = Grown(np.int32, [tails])
        """The last message of each session."""

        self._session_lengths = Grown(np.int64, [sums])
        self._length = int(sums.sum())
        self._window = self._length
        """The sum of the lengths of all messages, each with the two beside it."""

        for links in (previous, following):
            for start in range(0, len(self), BLOCK):
                linked = links[start : start + BLOCK]
                self._window += int(lengths[linked[linked >= 0]].sum(dtype=np.int64))

    def _link(self, doc: int, session: int, position: int, length: int) -> None:
        """Put a message behind the last one that stands before it; a new branch cuts an old one."""
        if session == len(self._tails):
            self._tails.append(-1)
            self._session_lengths.append(0)
        lengths, previous, following = self.lengths.view, self.previous, self.following
        before = int(self._tails.view[session])
        while before >= 0 and self.position.view[before] >= position:
            before = int(previous.view[before])
        previous.append(before)
        following.append(-1)
        self._window += length
        if before >= 0:
            cut = following.view[before]
            self._window += length + int(lengths[before]) - (int(lengths[cut]) if cut >= 0 else 0)
            following.view[before] = doc
        self._tails.view[session] = doc
        self._session_lengths.view[session] += length
        self._length += length

    def _learn(self, word: str) -> int:
        plain = word.removesuffix("'s")
        if word in language.STOP_WORDS or plain in language.STOP_WORDS:
            number = -1
        else:
            stem = language.stem(plain)
            number = self._stems.add(stem)
            if number == len(self._families):
                self._families.append(_family(stem))
                self.spread.append(0)
        if len(self._forms) >= REMEMBERED:
            self._forms.clear()
        self._forms[word] = number
        return number

    def _day(self, at: float) -> int:
        hour = int(at // 3600)
        if hour not in self._days:
            moment = time.localtime(at)
            if len(self._days) >= REMEMBERED:
                self._days.clear()
            self._days[hour] = moment.tm_year * 10_000 + moment.tm_mon * 100 + moment.tm_mday
        return self._days[hour]

    @staticmethod
    def _against(lengths: NDArray[Any], mean: float) -> NDArray[np.float32]:
        return (lengths / max(mean, 1e-6)).astype(np.float32)


def _family(stem: str) -> int:
    return zlib.crc32(stem[:PREFIX].encode("utf-8", "surrogatepass"))
