"""How likely a message is of use, so that nothing comes back rather than noise.

The ranker's scores compare messages under one question. This looks at what does not depend on the
other messages, in two ways of which one is enough: a message holds about half of the question's
words or more (words that were never said count too), and not only words that are everywhere; or its
neighbours, kindred words, speaker and form speak for it together.

The second is a logistic regression over the first five messages of each question in
tests/data/recall, rounded. The first is read off the same questions: of the messages that hold half
the words or more 0.55 are of use, of the others 0.1. `python -m tests.benchmarks.recall_own` tells
what they let through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.memory.ranking import Column

BASE = -5.2
HELD = 2.3
HELD_NEARBY = 0.2
BY_GROUND = {"neighbours": 1.3, "kindred words": 0.4, "speaker": 0.5, "form": 0.5}

HOLDING = 0.55
"""The chance of a message that holds enough of the question."""

ENOUGH = 0.45
"""The share of the question's words that is enough, by how telling they are."""

TELLING = 3.5
"""And how telling the held words have to be together: the sum of their idf."""


def likelihood(columns: dict[str, Column], grounds: dict[str, Column]) -> Column:
    """The chance of each message to be of use, from 0 to 1.

    Args:
        columns: The signals of the messages.
        grounds: What each ground of `weights.py` adds to their scores.
    """
    held = columns["held"]
    evidence = BASE + HELD * held + HELD_NEARBY * columns["held_nearby"]
    for ground, weight in BY_GROUND.items():
        evidence = evidence + weight * grounds[ground]
    holding = _logistic((held - ENOUGH) / 0.04) * _logistic((columns["held_idf"] - TELLING) / 0.2)
    chance: Column = 1 - (1 - _logistic(evidence)) * (1 - HOLDING * holding)
    return chance


def _logistic(evidence: Column) -> Column:
    chance: Column = 1 / (1 + np.exp(-np.clip(evidence, -50, 50)))
    return chance
