"""All that recall holds in memory of one person's messages: index, topics, and how to rank them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.memory import question as questions
from engine.memory.index import Entry, LexicalIndex
from engine.memory.likelihood import likelihood
from engine.memory.ranking import Meant, signals
from engine.memory.topics import Topics
from engine.memory.vectors import Vectors
from engine.memory.weights import BY_GROUND, BY_GROUND_WITH_VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from engine.memory.ranking import Column, Signals
    from storage.recall_source import Utterance

ALIKE = 0.8
"""Messages that share this much of their stems (Jaccard's measure) say the same."""

ALONG = 0.33
"""Beside a likely message, others are brought back that have this much of the needed likelihood."""

COMPARED = 25
"""A message is compared with this many that stand before it; with all, for the very same stems."""


class Shelf:
    """One person's messages."""

    def __init__(self) -> None:
        self.index = LexicalIndex()
        self.topics = Topics()
        self.vectors = Vectors()
        self.newest: tuple[int, str] = (0, "")
        """The key and id of the last message that was read."""

        self.streaming: set[int] = set()
        """The keys of answers that were being written when they were read."""

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

    def settle(self) -> None:
        """Work out what depends on all messages, so that the next question need not."""
        if len(self.index):
            self.index.standing()
            self.topics.update(self.index)

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
        allowed = self._allowed(session, before)
        if not asked.stems or not len(allowed):
            return Ranked()
        self.settle()
        meant = None
        if vector is not None and self.vectors.serve(index, vector):
            meant = Meant(vector, self.vectors)
        found = signals(index, self.topics, asked, allowed=allowed, meaning=meant)
        grounds = _grounds(found, BY_GROUND)
        chances = likelihood(found.columns, grounds)
        if meant is not None:
            grounds = _grounds(found, BY_GROUND_WITH_VECTORS)
        order = np.argsort(-sum(grounds.values()), kind="stable")
        enough = ALONG * likely if chances.max() >= likely else likely
        order = order[chances[order] >= enough]
        distinct = self._distinct(order, found.docs, frozenset(asked.stems))
        places = np.array(list(islice(distinct, limit)), np.intp)
        return Ranked(
            words=tuple(
                word
                for stem in dict.fromkeys(asked.stems)
                if stem in index.stems
                for word in index.spellings[index.stems[stem]]
            ),
            keys=index.keys.view[found.docs[places]].tolist(),
            likely=chances[places].tolist(),
            reasons=_reasons(grounds, places),
        )

    def _allowed(self, session: str | None, before: int) -> NDArray[np.intp]:
        number = self.index.sessions.get(session, -1) if session else -1
        if number < 0:
            return np.arange(len(self.index))
        own = self.index.session.view == number
        return np.flatnonzero(~own | (self.index.position.view < before))

    def _distinct(
        self, order: NDArray[np.intp], docs: NDArray[np.intp], asked: frozenset[str]
    ) -> Iterator[int]:
        """The places in order, without those that say what an earlier one or the question says."""
        index = self.index
        question = frozenset(index.stems.get(stem, -1) for stem in asked)
        seen = {hash(question)}
        compared = [question]
        ordered = docs[order]
        contents = index.content.view[ordered].tolist()
        for place, doc, content in zip(order.tolist(), ordered.tolist(), contents, strict=True):
            if content in seen:
                continue
            seen.add(content)
            if len(compared) <= COMPARED:
                stems = frozenset(index.stems_of(doc).tolist())
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

    words: tuple[str, ...] = ()
    """The words of the question, in every form in which they were said."""


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
