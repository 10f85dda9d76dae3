"""Learn the ranker's weights from questions whose evidence is known.

`python -m tests.benchmarks.learn_recall DATA.json` takes any file in the LoCoMo format (see
`tests.benchmarks.locomo`). It prints how well weights learnt on the other conversations rank each
conversation, and then the weights that all of them teach, as the body of engine/memory/weights.py.

The model is a softmax over the messages of a conversation: the weights make the evidence as likely
as can be, under an L2 penalty on weights in units of their signals' spread (Newton's method).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np

from engine.memory import question as questions
from engine.memory.index import Entry
from engine.memory.ranking import Meant, signals
from engine.memory.shelf import Shelf
from engine.memory.weights import BY_GROUND, BY_GROUND_WITH_VECTORS
from engine.workers import Workers, processes
from storage.message_vectors import KeptVector
from tests.benchmarks import embedders
from tests.benchmarks.locomo import ANSWERS, Conversation, content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.embedder import Embedder

Matrix: TypeAlias = "NDArray[np.floating[Any]]"

PENALTY = 10.0
STEPS = 15
SCORED = {1, 2, 3, 4}
"""The categories of questions that have an answer."""


class Lesson(msgspec.Struct, frozen=True):
    """One question over one conversation."""

    conversation: str
    question: int
    turns: tuple[str, ...]
    """The ids of the messages."""

    signals: Matrix
    """A row a message, a column a weight."""

    evidence: NDArray[np.intp]
    """The rows that answer it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", default="none", help="none, embedded or ollama:NAME")
    parser.add_argument("--run", type=Path, help="write what left-out weights bring back")
    arguments = parser.parse_args()
    conversations = json.loads(arguments.data.read_text("utf-8"))["conversations"]
    shapes = BY_GROUND if arguments.embedder == "none" else BY_GROUND_WITH_VECTORS
    names = [name for group in shapes.values() for name in group]
    lessons = asyncio.run(all_lessons(conversations, names, arguments.embedder))
    lines: list[str] = []
    for name in dict.fromkeys(lesson.conversation for lesson in lessons):
        others = [lesson for lesson in lessons if lesson.conversation != name]
        own = [lesson for lesson in lessons if lesson.conversation == name]
        weights = learnt(others)
        print(f"{name}: recall at 10 {recall(own, weights):.3f}, left out")
        lines += [answer(lesson, weights) for lesson in own]
    if arguments.run:
        arguments.run.write_text("".join(lines), "utf-8")
    best = dict(zip(names, learnt(lessons), strict=True))
    shaped = {
        ground: {name: round(best[name], 2) for name in group} for ground, group in shapes.items()
    }
    print(json.dumps(shaped, indent=4))


def answer(lesson: Lesson, weights: Matrix) -> str:
    """The line of a run, as `tests.benchmarks.locomo` writes it."""
    best = np.argsort(-(lesson.signals @ weights), kind="stable")[:ANSWERS]
    line = {
        "conversation": lesson.conversation,
        "question_index": lesson.question,
        "retrieved": [lesson.turns[row] for row in best],
    }
    return json.dumps(line) + "\n"


async def all_lessons(
    conversations: Sequence[Conversation], names: Sequence[str], embedder: str
) -> list[Lesson]:
    """The questions of all conversations that have evidence, as the ranker sees them."""
    lessons: list[Lesson] = []
    async with Workers.running(partial(processes, 1), 1) as workers:
        model = None if embedder == "none" else await embedders.embedder(embedder, workers)
        for conversation in conversations:
            lessons += await lessons_of(conversation, names, model)
    return lessons


async def lessons_of(
    conversation: Conversation, names: Sequence[str], embedder: Embedder | None
) -> list[Lesson]:
    """The questions of a conversation that have evidence."""
    shelf, rows = shelved(conversation)
    turns = tuple(rows)
    if embedder is not None:
        said = [content(turn) for one in conversation["sessions"] for turn in one["turns"]]
        vectors = _scaled(await embedder.embed(said)).astype("<f4")
        page = [KeptVector(row + 1, row, vector.tobytes()) for row, vector in enumerate(vectors)]
        shelf.vectors.put(shelf.index, page)
    lessons: list[Lesson] = []
    for question in conversation["questions"]:
        if question["category"] not in SCORED or not question["evidence"]:
            continue
        asked = questions.read(question["q"], frozenset(shelf.index.speakers))
        meant = None
        if embedder is not None:
            told = questions.as_told(question["q"], shelf.index.speakers)
            meant = Meant(_scaled(await embedder.embed([told]))[0], shelf.vectors)
        columns = signals(shelf.index, shelf.topics, asked, meaning=meant).columns
        matrix = np.stack([columns[name] for name in names], axis=1).astype(float)
        evidence = np.array([rows[turn] for turn in question["evidence"]], np.intp)
        lessons.append(Lesson(conversation["id"], question["i"], turns, matrix, evidence))
    return lessons


def _scaled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


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
    shelf.settle()
    return shelf, rows


def learnt(lessons: Sequence[Lesson]) -> Matrix:
    """The weights that rank the evidence of lessons best."""
    spread = np.concatenate([lesson.signals for lesson in lessons]).std(axis=0) + 1e-6
    scaled = [msgspec.structs.replace(one, signals=one.signals / spread) for one in lessons]
    weights = np.zeros(len(spread))
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
