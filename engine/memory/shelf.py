"""All that recall holds of one person's messages: index, topics, and how to rank them."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.memory import question as questions
from engine.memory.index import Entry, LexicalIndex
from engine.memory.likelihood import likelihood
from engine.memory.ranking import Meant, signals
from engine.memory.topics import Topics, up_to_date
from engine.memory.vectors import Vectors
from engine.memory.weights import BY_GROUND, BY_GROUND_WITH_VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from engine.memory.kept_index import KeptIndex
    from engine.memory.ranking import Column, Signals
    from storage.recall_source import Utterance

log = logging.getLogger(__name__)

ALIKE = 0.8
"""Messages that share this much of their stems (Jaccard's measure) say the same."""

ALONG = 0.33
"""Beside a likely message, others are brought back that have this much of the needed likelihood."""

COMPARED = 25
"""A message is compared with this many that stand before it; with all, for the very same stems."""


KEPT = 1_000
"""So many messages are read anew at each start; of more, the index is kept on the disk."""

AT_MOST = 50_000
"""So many messages are indexed in memory before they go to the disk."""


class Shelf:
    """One person's messages.

    Args:
        kept: Where the index is kept on the disk; without it, all of it is in memory.
    """

    def __init__(self, kept: KeptIndex | None = None) -> None:
        self.index = LexicalIndex()
        self.topics = Topics()
        self.vectors = Vectors()
        self.newest: tuple[int, str] = (0, "")
        """The key and id of the last message that was read."""

        self.streaming: set[int] = set()
        """The keys of answers that were being written when they were read."""

        self._kept = kept
        if kept is not None and (found := kept.read()):
            self.index, self.topics, contents = found
            self.newest = contents.newest
            self.streaming = set(contents.streaming)

    @property
    def is_much(self) -> bool:
        """Whether so much waits that it had better be on the disk."""
        return self._kept is not None and self.index.waiting >= KEPT

    def remove(self) -> None:
        """Remove what is kept on the disk."""
        if self._kept is not None:
            self._kept.remove()

    def keep(self) -> None:
        """Put what was indexed on the disk."""
        if self._kept is None:
            return
        self.settle()
        try:
            kept = self._kept.keep(self.index, self.topics, self.newest, sorted(self.streaming))
        except OSError as error:
            log.warning("the index can't be kept: %s", error.strerror)
            kept = False
        if not kept:
            self._kept = None

    def add(self, page: Iterable[Utterance], newest: tuple[int, str] | None = None) -> None:
        """Index messages, up to the newest; those still being written are kept in mind."""
        for one in page:
            if one.streaming:
                self.streaming.add(one.key)
                continue
            self.streaming.discard(one.key)
            if one.text.strip():
                self.index.add(
                    Entry(
                        key=one.key,
                        session=one.session_id,
                        position=one.position,
                        speaker=one.speaker,
                        text=one.text,
                        at=one.created_at,
                    )
                )
        self.newest = newest or self.newest
        if self.index.waiting >= AT_MOST:
            self.keep()

    def settle(self) -> None:
        """Work out what depends on all messages, so that the next question need not."""
        self.topics = up_to_date(self.topics, self.index)

    def rank(
        self,
        query: str,
        limit: int,
        *,
        session: str | None = None,
        before: int = 0,
        likely: float = 0.0,
        now: float | None = None,
        vector: NDArray[np.float32] | None = None,
    ) -> Ranked:
        """The messages that fit a question, best first, without repetitions.

        Args:
            query: The question.
            limit: How many at most.
            session: Of this session, only what stands before `before`.
            before: A position.
            likely: When none is as likely of use as this, from 0 to 1, there is none. Beside one
                that is, others may stand that are somewhat less.
            now: What relative times count from, in seconds since the epoch; by default now.
            vector: The question's, of length one.
        """
        index = self.index
        asked = questions.read(query, frozenset(index.speakers), now)
        barred = self._barred(session, before)
        if not asked.stems or len(barred) == len(index):
            return Ranked()
        self.settle()
        meant = None
        if vector is not None and self.vectors.serve(index, vector):
            meant = Meant(vector, self.vectors)
        found = signals(index, self.topics, asked, barred=barred, meaning=meant)
        if not len(found.docs):
            return Ranked()
        grounds = _grounds(found, BY_GROUND)
        chances = likelihood(found.columns, grounds)
        if meant is not None:
            grounds = _grounds(found, BY_GROUND_WITH_VECTORS)
        order = np.argsort(-sum(grounds.values()), kind="stable")
        enough = ALONG * likely if chances.max() >= likely else likely
        order = order[chances[order] >= enough]
        distinct = self._distinct(order, found.docs, frozenset(asked.stems))
        places = np.array(list(islice(distinct, limit)), np.intp)
        index.let_go()
        return Ranked(
            stems=frozenset(asked.stems),
            keys=index.keys.view[found.docs[places]].tolist(),
            likely=chances[places].tolist(),
            reasons=_reasons(grounds, places),
        )

    def _barred(self, session: str | None, before: int) -> NDArray[np.intp]:
        """What must not be brought back of the session that asks."""
        number = self.index.number_of_session(session) if session else -1
        if number < 0:
            return np.zeros(0, np.intp)
        own = np.flatnonzero(self.index.session.view == number)
        return own[self.index.position.view[own] >= before]

    def _distinct(
        self, order: NDArray[np.intp], docs: NDArray[np.intp], asked: frozenset[str]
    ) -> Iterator[int]:
        """The places in order, without those that say what an earlier one or the question says."""
        index = self.index
        question = frozenset(map(index.number, asked))
        seen = {question}
        compared = [question]
        for place in order.tolist():
            stems = index.stems_of(int(docs[place]))
            if stems in seen:
                continue
            if stems:
                seen.add(stems)
            if len(compared) <= COMPARED:
                size = len(stems)
                as_long = [one for one in compared if ALIKE * size <= len(one) <= size / ALIKE]
                if any(len(stems & one) >= ALIKE * len(stems | one) for one in as_long):
                    continue
                compared.append(stems)
            yield place


class Ranked(msgspec.Struct, kw_only=True):
    """Messages by rank."""

    keys: list[int] = []
    likely: list[float] = []
    """How likely each is of use, from 0 to 1."""

    reasons: list[list[tuple[str, float]]] = []
    """What spoke for each, against the average message: grounds and their shares, by weight."""

    stems: frozenset[str] = frozenset()
    """Those of the question."""


def _reasons(grounds: dict[str, Column], places: NDArray[np.intp]) -> list[list[tuple[str, float]]]:
    names = np.array(list(grounds))
    gains = np.stack([(gain - gain.mean())[places] for gain in grounds.values()], axis=1)
    shares = np.maximum(gains, 0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
    order = np.argsort(-shares, axis=1)
    sorted_names = names[order].tolist()
    sorted_shares = np.take_along_axis(shares, order, axis=1).tolist()
    return [
        [(name, share) for name, share in zip(*row, strict=True) if share > 0]
        for row in zip(sorted_names, sorted_shares, strict=True)
    ]


def _grounds(found: Signals, by_ground: Mapping[str, Mapping[str, float]]) -> dict[str, Column]:
    """What each ground adds to the scores."""
    grounds: dict[str, Column] = {}
    for ground, weights in by_ground.items():
        grounds[ground] = np.zeros(len(found.docs), np.float32)
        for name, weight in weights.items():
            grounds[ground] += np.float32(weight) * found.columns[name]
    return grounds
