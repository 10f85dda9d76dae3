"""The ranker: what a message's words, neighbours, session, topic, speaker and date say for it.

Each signal is a column from about 0 to 1, made by the question and the index alone; one linear
model (`weights.py`) adds them up. Scores compare messages under one question only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.memory.index import FORM, SILENT
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

PREFIX = 5
"""Stems that begin with the same letters are one family."""

ASKED = ("when", "duration", "place", "reason", "plan", "judgement", "title")
"""The forms of an answer that count with a message's own form."""

_FORM = {name: number for number, name in enumerate(FORM)}


class Signals(msgspec.Struct):
    """What speaks for some messages under a question."""

    docs: Docs
    columns: dict[str, Column]


class Meant(msgspec.Struct, frozen=True):
    """What a question means, and what has been said, as vectors."""

    question: NDArray[np.float32]
    vectors: Vectors


class Matches:
    """How well every message of an index fits the words of a question."""

    def __init__(self, index: LexicalIndex, question: Question) -> None:
        self.index = index
        self.size = len(index)
        idf = index.idf()
        standing = index.standing()
        stems = _most_telling(index, question)
        self.terms = [index.stems[stem] for stem in stems if stem in index.stems]
        self.attainable = max(float(idf[self.terms].sum()), 1e-6)
        unknown = len(stems) - len(self.terms)
        self.wanted = self.attainable + unknown * _idf(self.size, 0)
        self.own, self.window, self.covered, self.nearby = _zeros(self.size, 4)
        self.rarest, self.matched, self.family = _zeros(self.size, 3)
        sessions = np.zeros(len(index.sessions), np.float32)
        for term in self.terms:
            docs, counts = index.postings(term)
            weight = idf[term]
            self.own[docs] += weight * _saturated(counts, standing.length[docs])
            self.covered[docs] += weight
            self.matched[docs] += 1
            self.rarest[docs] = np.maximum(self.rarest[docs], weight)
            near, near_counts = _with_neighbours(index, docs, counts)
            self.window[near] += weight * _saturated(near_counts, standing.window_length[near])
            self.nearby[near] += weight
            in_session = np.bincount(index.session.view[docs], counts, minlength=len(sessions))
            there = np.flatnonzero(in_session)
            rarity = np.log1p((len(sessions) - len(there) + 0.5) / (len(there) + 0.5))
            sessions[there] += rarity * _saturated(
                in_session[there], standing.session_length[there]
            )
        self.sessions = sessions
        self.kindred, self.kindred_rarest = _zeros(self.size, 2)
        for stem in stems:
            self._add_kindred([index.stems[one] for one in related(stem) if one in index.stems])
            self._add_family(stem)

    def _add_kindred(self, others: list[int]) -> None:
        if not others:
            return
        idf = self.index.idf()
        postings = [self.index.postings(other) for other in others]
        docs = np.concatenate([docs for docs, _ in postings])
        counts = np.concatenate([counts for _, counts in postings])
        rarity = np.repeat(idf[others], [len(docs) for docs, _ in postings])
        docs, place = np.unique(docs, return_inverse=True)
        counts = np.bincount(place, counts).astype(np.float32)
        best = np.zeros(len(docs), np.float32)
        np.maximum.at(best, place, rarity)
        weight = _idf(self.size, len(docs))
        self.kindred[docs] += weight * _saturated(counts, self.index.standing().length[docs])
        self.kindred_rarest[docs] += best

    def _add_family(self, stem: str) -> None:
        if len(stem) < PREFIX:
            return
        own = self.index.stems.get(stem)
        others = [one for one in self.index.families.get(stem[:PREFIX], ()) if one != own]
        if not others:
            return
        postings = [self.index.postings(other) for other in others]
        docs, place = np.unique(np.concatenate([docs for docs, _ in postings]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts for _, counts in postings]))
        weight = _idf(self.size, len(docs))
        self.family[docs] += weight * _saturated(counts, self.index.standing().length[docs])


def signals(
    index: LexicalIndex,
    topics: Topics,
    question: Question,
    *,
    allowed: Docs | None = None,
    meaning: Meant | None = None,
) -> Signals:
    """The columns for the messages worth a look.

    Args:
        index: Not empty.
        topics: Up to date with the index.
        question: What is looked for.
        allowed: Only these messages; by default all.
        meaning: The question's vector, and those of the messages.
    """
    match = Matches(index, question)
    rough = (
        _share(match.own) + _share(match.window) + 0.5 * _share(match.sessions)[index.session.view]
    )
    rough += 0.5 * _share(match.kindred)
    everything = docs = np.arange(match.size) if allowed is None else allowed
    if len(docs) > CANDIDATES:
        docs = everything[np.argpartition(-rough[everything], CANDIDATES)[:CANDIDATES]]
        if meaning is not None:
            near = meaning.vectors.nearness(meaning.question, everything)
            docs = np.union1d(docs, everything[np.argpartition(-near, NEAREST)[:NEAREST]])
        docs = np.sort(docs)
    columns: dict[str, Column] = {}
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
    columns["covered"] = match.covered[docs] / match.attainable
    columns["held_idf"] = match.covered[docs]
    columns["held"] = match.covered[docs] / match.wanted
    columns["held_nearby"] = match.nearby[docs] / match.wanted
    columns["matched"] = match.matched[docs] / 4
    columns["rarest"] = match.rarest[docs] / 6
    columns["family"] = match.family[docs] / 6
    columns["kindred"] = match.kindred[docs] / 6
    columns["kindred_rarest"] = match.kindred_rarest[docs] / 6
    columns["kindred_and_words"] = np.minimum(match.kindred[docs], match.own[docs]) / 6


def _session(columns: dict[str, Column], match: Matches, docs: Docs) -> None:
    index = match.index
    session = index.session.view
    best = np.zeros(len(index.sessions), np.float32)
    np.maximum.at(best, session, match.own)
    total = np.bincount(session, match.own, minlength=len(index.sessions)).astype(np.float32)
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
    year, month, day = index.date.view[docs].T
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
    form = index.form.view[docs].T
    asked = {name: np.float32(name in question.asks) for name in ASKED}
    long = form[_FORM["long"]] / 3
    columns["long_square"] = long**2
    for name in ("asks", "time", "names"):
        columns[name] = form[_FORM[name]]
    columns["after_a_question"] = _at(index.form.view[:, _FORM["asks"]], index.previous.view[docs])
    columns["early"] = (1 / (1 + index.position.view[docs])).astype(np.float32)
    columns["asked_title"] = asked["title"] * form[_FORM["quoted"]]
    columns["when_time"] = asked["when"] * form[_FORM["time"]]
    columns["when_first"] = asked["when"] * form[_FORM["first"]]
    columns["when_long"] = asked["when"] * long
    columns["when_asks"] = asked["when"] * form[_FORM["asks"]]
    columns["judgement_first"] = asked["judgement"] * form[_FORM["first"]]
    for name in ("duration", "place", "reason", "plan"):
        columns[f"asked_{name}"] = asked[name] * form[_FORM[name]]


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
    if len(stems) <= TERMS:
        return stems
    idf = index.idf()
    known = [stem for stem in stems if stem in index.stems]
    return sorted(known, key=lambda stem: -idf[index.stems[stem]])[:TERMS]


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


def _with_neighbours(index: LexicalIndex, docs: Docs, counts: Column) -> tuple[Docs, Column]:
    """The messages with a term in them or beside them, and how often."""
    links = (docs, index.previous.view[docs], index.following.view[docs])
    near: Docs = np.concatenate(links)
    there = near >= 0
    unique, place = np.unique(near[there], return_inverse=True)
    return unique, np.bincount(place, np.tile(counts, 3)[there]).astype(np.float32)


def _share(scores: Column) -> Column:
    share: Column = scores / max(float(scores.max(initial=0.0)), 1e-6)
    return share


def _at(values: Column, links: NDArray[Any]) -> Column:
    """The values at the links; 0 where a link is -1."""
    there: Column = np.where(links >= 0, values[links], np.float32(0))
    return there


def _at_link(links: NDArray[Any], at: NDArray[Any]) -> NDArray[Any]:
    there: NDArray[Any] = np.where(at >= 0, links[at], -1)
    return there
