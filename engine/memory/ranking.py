"""The ranker: what a message's words, neighbours, session, topic, speaker and date say for it.

Each signal is a column from about 0 to 1, made by the question and the index alone; one linear
model (`weights.py`) adds them up. Scores compare messages under one question only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.memory import forms
from engine.memory.index import PREFIX, SILENT
from engine.memory.thesaurus import related

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.memory.index import LexicalIndex
    from engine.memory.question import Question
    from engine.memory.topics import Topics
    from engine.memory.vectors import Vectors

    Column = NDArray[np.floating[Any]]
    Docs = NDArray[np.intp]

K1, B = 0.9, 0.4
"""Of BM25 (Robertson, Zaragoza: "The Probabilistic Relevance Framework", 2009)."""

CANDIDATES = 3_000
"""Of more messages than this, the ones that promise most by their words are looked at closely."""

NEAREST = 300
"""And so many whose vectors are nearest."""

SAMPLE = 1_000
"""What is usual for a cosine is told by about so many messages."""

TERMS = 32
"""Of a longer question, such as a pasted text, the most telling stems count."""

ASKED = ("when", "duration", "place", "reason", "plan", "judgement", "title")
"""The forms of an answer that count with a message's own form."""


class Signals(msgspec.Struct):
    """What speaks for some messages under a question."""

    docs: Docs
    columns: dict[str, Column]


class Meant(msgspec.Struct, frozen=True):
    """What a question means, and what has been said, as vectors."""

    question: NDArray[np.float32]
    vectors: Vectors


class Matches:
    """How well every message of an index fits the words of a question, roughly."""

    def __init__(self, index: LexicalIndex, question: Question) -> None:
        self.index = index
        self.size = len(index)
        self._scratch = np.zeros(self.size, np.float32)
        self._read: dict[int, tuple[Docs, Column]] = {}
        self.stems = _most_telling(index, question)
        numbers = {stem: index.number(stem) for stem in self.stems}
        self.terms = [number for number in numbers.values() if number >= 0]
        self.weights = index.idf(self.terms)
        self.attainable = max(float(self.weights.sum()), 1e-6)
        unknown = len(self.stems) - len(self.terms)
        self.wanted = self.attainable + unknown * _idf(self.size, 0)
        self.own, self.window, self.kindred = _zeros(self.size, 3)
        self.sessions = np.zeros(index.sessions, np.float32)
        for term, weight in zip(self.terms, self.weights, strict=True):
            docs, counts = self._postings(term)
            self.own[docs] += weight * _saturated(counts, index.length(docs))
            near, near_counts = self._with_neighbours(docs, counts)
            self.window[near] += weight * _saturated(near_counts, index.window_length(near))
            self._add_sessions(docs, counts)
        self.related = [
            [number for other in related(stem) if (number := index.number(other)) >= 0]
            for stem in self.stems
        ]
        for others in filter(None, self.related):
            docs, added = self._together(others)
            self.kindred[docs] += added

    def closely(self, docs: Docs) -> Closely:
        """What else speaks for some messages, which are given in order."""
        index = self.index
        places = np.full(self.size, -1, np.int32)
        places[docs] = np.arange(len(docs), dtype=np.int32)
        covered, nearby, rarest, matched = _zeros(len(docs), 4)
        family, kindred_rarest = _zeros(len(docs), 2)
        for term, weight in zip(self.terms, self.weights, strict=True):
            holding = self._postings(term)[0]
            held = _those(places[holding])
            covered[held] += weight
            matched[held] += 1
            rarest[held] = np.maximum(rarest[held], weight)
            near = np.zeros(len(docs), np.bool_)
            near[held] = True
            for link in (index.previous.view, index.following.view):
                near[_those(places[_those(link[holding])])] = True
            nearby[near] += weight
        for others in filter(None, self.related):
            best = np.zeros(len(docs), np.float32)
            for other, rarity in zip(others, index.idf(others), strict=True):
                held = _those(places[self._postings(other)[0]])
                best[held] = np.maximum(best[held], rarity)
            kindred_rarest += best
        for stem in self.stems:
            if others := self._family(stem):
                holding, added = self._together(others)
                held = places[holding]
                family[held[held >= 0]] += added[held >= 0]
        return Closely(covered, nearby, rarest, matched, family, kindred_rarest)

    def _postings(self, term: int) -> tuple[Docs, Column]:
        if term not in self._read:
            self._read[term] = self.index.postings(term)
        return self._read[term]

    def _with_neighbours(self, docs: Docs, counts: Column) -> tuple[Docs, Column]:
        """The messages with a term in them or beside them, some twice, and how often."""
        index = self.index
        near: Docs = np.concatenate(
            [docs, _those(index.previous.view[docs]), _those(index.following.view[docs])]
        )
        self._scratch[docs] = counts
        for link in (index.previous.view[docs], index.following.view[docs]):
            there = link >= 0
            self._scratch[link[there]] += counts[there]
        near_counts = self._scratch[near]
        self._scratch[near] = 0
        return near, near_counts

    def _add_sessions(self, docs: Docs, counts: Column) -> None:
        """Add a term to the scores of sessions, which are texts here."""
        index, size = self.index, len(self.sessions)
        held = np.bincount(index.session.view[docs], counts, minlength=size)
        there = np.flatnonzero(held)
        rarity = np.log1p((size - len(there) + 0.5) / (len(there) + 0.5))
        share = _saturated(held[there], index.session_length(there))
        self.sessions[there] += rarity * share

    def _together(self, others: list[int]) -> tuple[Docs, Column]:
        """The messages with any of some stems, and what they add up to as one term."""
        held: list[Docs] = []
        for other in others:
            docs, counts = self._postings(other)
            held.append(docs)
            self._scratch[docs] += counts
        docs = np.concatenate(held) if len(held) > 1 else held[0]
        there = np.zeros(self.size, np.bool_)
        there[docs] = True
        docs = np.flatnonzero(there)
        counts = self._scratch[docs]
        self._scratch[docs] = 0
        return docs, _idf(self.size, len(docs)) * _saturated(counts, self.index.length(docs))

    def _family(self, stem: str) -> list[int]:
        if len(stem) < PREFIX:
            return []
        own = self.index.number(stem)
        return [other for other in self.index.family(stem) if other != own]


class Closely(msgspec.Struct, frozen=True):
    """What a close look at some messages finds."""

    covered: Column
    """The summed idf of the terms in each."""

    nearby: Column
    """And of those in it or beside it."""

    rarest: Column
    matched: Column
    """How many terms it holds."""

    family: Column
    kindred_rarest: Column


def signals(
    index: LexicalIndex,
    topics: Topics,
    question: Question,
    *,
    barred: Docs | None = None,
    meaning: Meant | None = None,
) -> Signals:
    """The columns for the messages worth a look.

    Args:
        index: Not empty.
        topics: Up to date with the index.
        question: What is looked for.
        barred: Not these messages.
        meaning: The question's vector, and those of the messages.
    """
    match = Matches(index, question)
    barred = np.zeros(0, np.intp) if barred is None else barred
    docs = everything = np.zeros(0, np.intp)
    if meaning is not None or match.size - len(barred) <= CANDIDATES:
        docs = everything = np.delete(np.arange(match.size), barred)
    if match.size - len(barred) > CANDIDATES:
        docs = _promising(match, barred)
        if meaning is not None:
            near = meaning.vectors.nearness(meaning.question, everything)
            docs = np.union1d(docs, everything[np.argpartition(-near, NEAREST)[:NEAREST]])
    columns: dict[str, Column] = {}
    if not len(docs):
        return Signals(docs, columns)
    if meaning is not None:
        _meaning(columns, index, meaning, docs, everything)
    _words(columns, match, docs)
    _session(columns, match, docs)
    columns["topic"] = topics.likeness(index, match.terms, docs)
    _speaker(columns, index, question, docs)
    _dates(columns, index, question, docs)
    _form(columns, index, question, docs)
    _asked(columns, question)
    return Signals(docs, columns)


def _promising(match: Matches, barred: Docs) -> Docs:
    """The messages that promise most by their words, in order."""
    rough = _share(match.sessions)[match.index.session.view]
    rough *= np.float32(0.5)
    for scores, weight in ((match.own, 1.0), (match.window, 1.0), (match.kindred, 0.5)):
        rough += np.float32(weight) / max(float(scores.max(initial=0.0)), 1e-6) * scores
    rough[barred] = -1
    docs = np.flatnonzero(rough > 0)
    if len(docs) > CANDIDATES:
        docs = docs[np.argpartition(-rough[docs], CANDIDATES)[:CANDIDATES]]
    docs.sort()
    return docs


def _meaning(
    columns: dict[str, Column], index: LexicalIndex, meaning: Meant, docs: Docs, everything: Docs
) -> None:
    """Cosines, as how unusual they are: each model has a scale of its own."""
    vectors, question = meaning.vectors, meaning.question
    usual = everything[:: max(1, len(everything) // SAMPLE)]
    columns["near"] = _unusual(vectors.nearness(question, docs), vectors.nearness(question, usual))
    columns["near_window"] = _unusual(
        vectors.window_nearness(question, index, docs),
        vectors.window_nearness(question, index, usual),
    )


def _words(columns: dict[str, Column], match: Matches, docs: Docs) -> None:
    index = match.index
    closely = match.closely(docs)
    previous, following = index.previous.view[docs], index.following.view[docs]
    own = match.own / max(float(match.own.max()), 1e-6)
    columns["words"] = own[docs]
    columns["previous_raw"] = _at(match.own, previous) / 6
    columns["kindred_nearby"] = (_at(match.kindred, previous) + _at(match.kindred, following)) / 6
    columns["words_square"] = own[docs] ** 2
    columns["attained"] = match.own[docs] / match.attainable
    columns["previous"] = _at(own, previous)
    columns["following"] = _at(own, following)
    columns["before_previous"] = _at(own, _at_link(index.previous.view, previous))
    columns["window"] = _share(match.window)[docs]
    columns["covered"] = closely.covered / match.attainable
    columns["held_idf"] = closely.covered
    columns["held"] = closely.covered / match.wanted
    columns["held_nearby"] = closely.nearby / match.wanted
    columns["matched"] = closely.matched / 4
    columns["rarest"] = closely.rarest / 6
    columns["family"] = closely.family / 6
    columns["kindred"] = match.kindred[docs] / 6
    columns["kindred_rarest"] = closely.kindred_rarest / 6
    columns["kindred_and_words"] = np.minimum(match.kindred[docs], match.own[docs]) / 6


def _session(columns: dict[str, Column], match: Matches, docs: Docs) -> None:
    session = match.index.session.view
    holding = np.flatnonzero(match.own)
    within, own = session[holding], match.own[holding]
    best = np.zeros(len(match.sessions), np.float32)
    np.maximum.at(best, within, own)
    total = np.bincount(within, own, minlength=len(best)).astype(np.float32)
    columns["session"] = _share(match.sessions)[session[docs]]
    columns["session_words"] = match.sessions[session[docs]] / 6
    columns["session_best"] = _share(best)[session[docs]]
    columns["session_sum"] = np.log1p(total)[session[docs]] / 4


def _speaker(
    columns: dict[str, Column], index: LexicalIndex, question: Question, docs: Docs
) -> None:
    wanted = [index.speakers[name] for name in question.speakers if name in index.speakers]
    if len(wanted) == 1:
        columns["speaker"] = (index.speaker.view[docs] == wanted[0]).astype(np.float32) - 0.5
    else:
        columns["speaker"] = np.zeros(len(docs), np.float32)


def _dates(columns: dict[str, Column], index: LexicalIndex, question: Question, docs: Docs) -> None:
    day = index.day.view[docs]
    year, month, day = day // 10_000, day // 100 % 100, day % 100
    none = np.zeros(len(docs), np.float32)
    columns["month"] = np.isin(month, list(question.months)).astype(np.float32)
    columns["year"] = np.isin(year, list(question.years)).astype(np.float32)
    columns["day"] = none
    if question.months and question.days:
        asked = min(question.months) * 30.4 + min(question.days)
        later = month * 30.4 + day - asked
        columns["day"] = np.where(later >= -1, np.exp(-np.abs(later) / 5), 0).astype(np.float32)
    if question.span:
        first, last = (d.year * 366 + d.month * 30.5 + d.day for d in question.span)
        moment = year * 366.0 + month * 30.5 + day
        within = (first <= moment) & (moment <= last)
        columns["month"] = np.maximum(columns["month"], within.astype(np.float32))


def _form(columns: dict[str, Column], index: LexicalIndex, question: Question, docs: Docs) -> None:
    told = index.form.view[docs]
    asked = {name: np.float32(name in question.asks) for name in ASKED}
    long = np.log1p(index.lengths.view[docs]) / 3
    columns["long_square"] = long**2
    for name in ("asks", "time", "names"):
        columns[name] = forms.of(told, name)
    before = _at(index.form.view, index.previous.view[docs])
    columns["after_a_question"] = forms.of(before, "asks")
    columns["early"] = (1 / (1 + index.position.view[docs])).astype(np.float32)
    columns["asked_title"] = asked["title"] * forms.of(told, "quoted")
    columns["when_time"] = asked["when"] * columns["time"]
    columns["when_first"] = asked["when"] * forms.of(told, "first")
    columns["when_long"] = asked["when"] * long
    columns["when_asks"] = asked["when"] * columns["asks"]
    columns["judgement_first"] = asked["judgement"] * forms.of(told, "first")
    for name in ("duration", "place", "reason", "plan"):
        columns[f"asked_{name}"] = asked[name] * forms.of(told, name)


def _asked(columns: dict[str, Column], question: Question) -> None:
    """Some signals count more or less for some questions."""
    for kind, names in {
        "list": ("session",),
        "when": ("session",),
        "judgement": ("session",),
    }.items():
        for name in names:
            columns[f"{kind}_{name}"] = columns[name] * np.float32(kind in question.asks)


def _most_telling(index: LexicalIndex, question: Question) -> list[str]:
    stems = list(dict.fromkeys(question.stems))
    if len(index) > CANDIDATES:
        stems = [stem for stem in stems if not index.is_common(stem)]
    if len(stems) <= TERMS:
        return stems
    known = {stem: number for stem in stems if (number := index.number(stem)) >= 0}
    telling = dict(zip(known, index.idf(list(known.values())).tolist(), strict=True))
    return sorted(known, key=lambda stem: -telling[stem])[:TERMS]


def _zeros(size: int, count: int) -> NDArray[np.float32]:
    return np.zeros((count, size), np.float32)


def _idf(size: int, spread: int) -> float:
    return float(np.log1p((size + SILENT - spread + 0.5) / (spread + 0.5)))


def _saturated(counts: NDArray[Any], length: Column) -> Column:
    """BM25's share of a term that occurs so often in a text of that length (1 is the mean)."""
    share: Column = (counts * (K1 + 1) / (counts + K1 * (1 - B + B * length))).astype(np.float32)
    return share


def _unusual(values: Column, usual: Column) -> Column:
    """Values in units of how much usual ones differ from their mean."""
    unusual: Column = (values - usual.mean()) / max(float(usual.std()), 1e-6)
    return unusual


def _those(links: NDArray[Any]) -> NDArray[Any]:
    """The links that lead somewhere."""
    return links[links >= 0]


def _share(scores: Column) -> Column:
    share: Column = scores / max(float(scores.max(initial=0.0)), 1e-6)
    return share


def _at(values: Column, links: NDArray[Any]) -> Column:
    """The values at the links; 0 where a link is -1."""
    there: Column = np.where(links >= 0, values[links], values.dtype.type(0))
    return there


def _at_link(links: NDArray[Any], at: NDArray[Any]) -> NDArray[Any]:
    there: NDArray[Any] = np.where(at >= 0, links[at], -1)
    return there
