"""Learn the ranker's weights from questions whose evidence is known.

`python -m tests.benchmarks.learn_recall DATA.json` takes any file in the LoCoMo format (see
`tests.benchmarks.locomo`). It prints how well weights learnt on the other conversations rank each
conversation, and then the weights that all of them teach, as the body of engine/memory/weights.py.

The model is a softmax over the messages of a conversation: the weights make the evidence as likely
as can be, under an L2 penalty on weights in units of their signals' spread (Newton's method).
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np

from engine.memory import question as questions
from engine.memory.index import Entry
from engine.memory.ranking import signals
from engine.memory.shelf import Shelf
from engine.memory.weights import BY_GROUND, WEIGHTS
from tests.benchmarks.locomo import Conversation, content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Matrix: TypeAlias = "NDArray[np.floating[Any]]"

PENALTY = 10.0
STEPS = 15
SCORED = {1, 2, 3, 4}
"""The categories of questions that have an answer."""


class Lesson(msgspec.Struct, frozen=True):
    """One question over one conversation."""

    conversation: str
    signals: Matrix
    """A row a message, a column a weight."""

    evidence: NDArray[np.intp]
    """The rows that answer it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    conversations = json.loads(arguments.data.read_text("utf-8"))["conversations"]
    lessons = [lesson for one in conversations for lesson in lessons_of(one)]
    for name in dict.fromkeys(lesson.conversation for lesson in lessons):
        others = [lesson for lesson in lessons if lesson.conversation != name]
        own = [lesson for lesson in lessons if lesson.conversation == name]
        print(f"{name}: recall at 10 {recall(own, learnt(others)):.3f}, left out")
    weights = dict(zip(WEIGHTS, learnt(lessons), strict=True))
    shaped = {
        ground: {name: round(weights[name], 2) for name in names}
        for ground, names in BY_GROUND.items()
    }
    print(json.dumps(shaped, indent=4))


def lessons_of(conversation: Conversation) -> list[Lesson]:
    """The questions of a conversation that have evidence, as the ranker sees them."""
    shelf, rows = shelved(conversation)
    lessons: list[Lesson] = []
    for question in conversation["questions"]:
        if question["category"] not in SCORED or not question["evidence"]:
            continue
        asked = questions.read(question["q"], frozenset(shelf.index.speakers))
        columns = signals(shelf.index, shelf.topics, asked).columns
        matrix = np.stack([columns[name] for name in WEIGHTS], axis=1).astype(float)
        evidence = np.array([rows[turn] for turn in question["evidence"]], np.intp)
        lessons.append(Lesson(conversation["id"], matrix, evidence))
    return lessons


def shelved(conversation: Conversation) -> tuple[Shelf, dict[str, int]]:
    """A conversation as recall holds it, and the rows of its turns."""
    shelf = Shelf()
    rows: dict[str, int] = {}
    for session in conversation["sessions"]:
        moment = datetime.fromisoformat(session["date"]).astimezone().timestamp()
        for place, turn in enumerate(session["turns"]):
            entry = Entry(
                key=len(rows),
                session=str(session["n"]),
                position=place,
                speaker=turn["speaker"],
                text=content(turn),
                at=moment + place,
            )
            rows[turn["id"]] = shelf.index.add(entry)
    shelf.topics.update(shelf.index)
    return shelf, rows


def learnt(lessons: Sequence[Lesson]) -> Matrix:
    """The weights that rank the evidence of lessons best."""
    spread = np.concatenate([lesson.signals for lesson in lessons]).std(axis=0) + 1e-6
    scaled = [msgspec.structs.replace(one, signals=one.signals / spread) for one in lessons]
    weights = np.zeros(len(WEIGHTS))
    reached = _merit(scaled, weights)
    for _ in range(STEPS):
        step = _newton_step(scaled, weights)
        share = 1.0
        while (merit := _merit(scaled, weights + share * step)) <= reached and share > 1e-3:
            share /= 2
        if merit - reached < 0.05:
            break
        weights, reached = weights + share * step, merit
    weights /= spread
    return weights


def recall(lessons: Sequence[Lesson], weights: Matrix, first: int = 10) -> float:
    """The mean share of the evidence among the first messages."""
    shares: list[float] = []
    for lesson in lessons:
        best = np.argsort(-(lesson.signals @ weights), kind="stable")[:first]
        evidence = set(lesson.evidence.tolist())
        shares.append(len(evidence & set(best.tolist())) / len(evidence))
    return float(np.mean(shares))


def _merit(lessons: Sequence[Lesson], weights: Matrix) -> float:
    """The log likelihood of the evidence, less the penalty."""
    merit = -PENALTY / 2 * float(weights @ weights)
    for lesson in lessons:
        scores = lesson.signals @ weights
        top = scores.max()
        merit += float(scores[lesson.evidence].mean() - top - np.log(np.exp(scores - top).sum()))
    return merit


def _newton_step(lessons: Sequence[Lesson], weights: Matrix) -> Matrix:
    gradient = -PENALTY * weights
    curvature = PENALTY * np.eye(len(weights))
    for lesson in lessons:
        scores = lesson.signals @ weights
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        mean = chances @ lesson.signals
        gradient += lesson.signals[lesson.evidence].mean(axis=0) - mean
        curvature += (lesson.signals * chances[:, None]).T @ lesson.signals - np.outer(mean, mean)
    step: Matrix = np.linalg.solve(curvature, gradient)
    return step


if __name__ == "__main__":
    main()
