"""Passages: texts cut into pieces of about a hundred words, and compared.

Pure functions over plain data and arrays, called in worker processes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.encoders import steady_hash
from engine.research.analysis_script import STOP_WORDS
from engine.research.words import sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WORDS = 110
"""A passage ends with the sentence that makes it this long."""

MOST_PASSAGES = 6
"""Of one article: its beginning, and those that share most words with the question."""

SKETCH = 128
"""How many of the least hashes of a text's shingles stand for it (bottom-k, Broder 1997)."""

SHINGLE_WORDS = 4
ALIKE = 0.7
"""Texts that share so much of their shingles are one text, told twice."""

_WORD = re.compile(r"\w+")


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What embedding and comparing need of the articles."""

    passages: list[str]
    owners: list[int]
    """For each passage the index of its article."""

    repeats: list[int | None]
    """For each article the index of an earlier one with almost the same text."""

    words: list[int]
    """How many each article has."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """How well an article fits."""

    relevance: float
    """The best passage's cosine with the question; 0 where that is negative."""

    passage: str
    """The best passage."""


def cut(question: str, articles: Sequence[tuple[str, str]]) -> Cut:
    """Cut articles, each a title and a text, and find those that repeat an earlier one."""
    wanted = _stems(question)
    passages: list[str] = []
    owners: list[int] = []
    sketches: list[frozenset[int]] = []
    repeats: list[int | None] = []
    words: list[int] = []
    for index, (title, text) in enumerate(articles):
        pieces = pieces_of(text)
        if len(pieces) > MOST_PASSAGES:
            rest = sorted(range(1, len(pieces)), key=lambda at: -len(wanted & _stems(pieces[at])))[
                : MOST_PASSAGES - 1
            ]
            pieces = [pieces[at] for at in (0, *sorted(rest))]
        for piece in pieces or [""]:
            passages.append(f"{title}. {piece}".strip())
            owners.append(index)
        sketch = _sketch(text)
        repeats.append(next((at for at, one in enumerate(sketches) if alike(one, sketch)), None))
        sketches.append(sketch)
        words.append(len(text.split()))
    return Cut(passages=passages, owners=owners, repeats=repeats, words=words)


def score(
    question: NDArray[np.float32],
    vectors: NDArray[np.float32],
    passages: Sequence[str],
    owners: Sequence[int],
) -> list[Scored]:
    """Compare passages, one row of `vectors` each, with the question's vector.

    Returns one `Scored` an article, in order.
    """
    cosines = _unit(vectors) @ _unit(question[None, :])[0]
    owner = np.asarray(owners)
    scored = []
    for index in range(int(owner.max()) + 1):
        rows = np.flatnonzero(owner == index)
        best = int(rows[np.argmax(cosines[rows])])
        scored.append(
            Scored(relevance=max(0.0, round(float(cosines[best]), 4)), passage=passages[best])
        )
    return scored


def pieces_of(text: str) -> list[str]:
    """A text in passages of whole sentences."""
    pieces: list[str] = []
    piece: list[str] = []
    length = 0
    for sentence in sentences(text):
        words = sentence.split()
        for start in range(0, len(words), WORDS * 2):  # a sentence may be no sentence
            part = words[start : start + WORDS * 2]
            piece.append(" ".join(part))
            length += len(part)
            if length >= WORDS:
                pieces.append(" ".join(piece))
                piece, length = [], 0
    if piece:
        pieces.append(" ".join(piece))
    return pieces


def alike(one: frozenset[int], other: frozenset[int]) -> bool:
    """Whether two sketches are of almost the same text."""
    if not one or not other:
        return False
    least = sorted(one | other)[:SKETCH]
    return sum(h in one and h in other for h in least) / len(least) >= ALIKE


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)


def _stems(text: str) -> set[str]:
    return {w[:6] for w in _WORD.findall(text.lower()) if w not in STOP_WORDS}


def _sketch(text: str) -> frozenset[int]:
    words = _WORD.findall(text.lower())
    ends = max(1, len(words) - SHINGLE_WORDS + 1)
    shingles = {" ".join(words[at : at + SHINGLE_WORDS]) for at in range(ends)} if words else ()
    return frozenset(sorted(map(steady_hash, shingles))[:SKETCH])
