"""Recall over the project's own chats: what is found, and what comes back where nothing should.

`python -m tests.benchmarks.recall_own` prints the figures as JSON, by kind of question as well. The
chats and questions in tests/data/recall are part of the project (MIT): a person talks with an
assistant for sixteen weeks, and asks about it afterwards. In `conversations.txt` a line
`# YYYY-MM-DD HH:MM` begins a session, `U name:` and `A name:` a message of the user and of the
assistant; in `questions.txt` a line holds the kind, the question, and the names of the messages
that answer it, none where the chats hold no answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.memory.recall import Recall
from storage.records import Role
from storage.store import Store
from tests.benchmarks.embedders import meaning

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA = Path(__file__).parents[1] / "data" / "recall"

ASKED_AT = datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()

SHOWN = 5
"""Messages that the assistant is shown at most."""

_LINE = re.compile(r"([UA]) (\w+): (.*)")


class Question(msgspec.Struct, frozen=True):
    """A question about the chats."""

    kind: str
    text: str
    evidence: frozenset[str]
    """The names of the messages that answer it."""


class Answer(msgspec.Struct, frozen=True):
    """What came back for a question."""

    question: Question
    ranked: tuple[str, ...]
    """The names of the messages, best first, whatever their likelihood."""

    shown: tuple[str, ...]
    """Those that the assistant is shown."""

    def recall(self, first: int) -> float:
        """The share of the evidence among the first."""
        return len(self.question.evidence & set(self.ranked[:first])) / len(self.question.evidence)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Shares, from 0 to 1."""

    questions: int
    recall_at_5: float
    recall_at_10: float
    found: float
    """Questions with an answer that bring back some of it, of those that have one."""

    false_recall: float
    """Questions without an answer that bring something back, of those that have none."""

    by_kind: dict[str, float]
    """Recall in the first five."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.add_argument("--embedder", default="none", help="none, embedded or ollama:NAME")
    answers = asyncio.run(asked(parser.parse_args().embedder))
    print(json.dumps(msgspec.to_builtins(figures(answers)), indent=1))


def figures(answers: Iterable[Answer]) -> Figures:
    """Sum answers up."""
    with_answer = [one for one in answers if one.question.evidence]
    without = [one for one in answers if not one.question.evidence]
    kinds: dict[str, list[float]] = defaultdict(list)
    for one in with_answer:
        kinds[one.question.kind].append(one.recall(5))
    return Figures(
        questions=len(with_answer) + len(without),
        recall_at_5=_mean(one.recall(5) for one in with_answer),
        recall_at_10=_mean(one.recall(10) for one in with_answer),
        found=_mean(bool(one.question.evidence & set(one.shown)) for one in with_answer),
        false_recall=_mean(bool(one.shown) for one in without),
        by_kind={kind: _mean(values) for kind, values in kinds.items()},
    )


async def asked(embedder: str = "none") -> list[Answer]:
    """Keep the chats in a fresh store and ask every question."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            await Store.open(Path(folder) / "recall.db") as store,
            meaning(store, embedder) as meant,
        ):
            names = await kept(store)
            if meant is not None:
                await meant.catch_up()
            recall = Recall(store, meant)
            answers = []
            for question in questions():
                ranked = await recall.recall(question.text, 10, now=ASKED_AT, likely=0.0)
                shown = await recall.recall(question.text, SHOWN, now=ASKED_AT)
                answers.append(
                    Answer(
                        question,
                        tuple(names[one.message_id] for one in ranked),
                        tuple(names[one.message_id] for one in shown),
                    )
                )
            return answers


async def kept(store: Store) -> dict[str, str]:
    """Keep the chats; the names of the messages by their ids."""
    names: dict[str, str] = {}
    session_id, moment = "", 0.0
    for line in (DATA / "conversations.txt").read_text("utf-8").splitlines():
        if line.startswith("# "):
            session_id = (await store.sessions.create()).id
            moment = datetime.fromisoformat(f"{line[2:]}+00:00").timestamp()
        elif said := _LINE.fullmatch(line):
            message = await store.messages.append(
                session_id,
                role=Role.USER if said[1] == "U" else Role.ASSISTANT,
                content=said[3],
                created_at=moment + len(names),
            )
            names[message.id] = said[2]
    return names


def questions() -> list[Question]:
    """The questions, in order."""
    found: list[Question] = []
    for line in (DATA / "questions.txt").read_text("utf-8").splitlines():
        kind, text, evidence = (part.strip() for part in line.split("|"))
        found.append(Question(kind, text, frozenset(evidence.split())))
    return found


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return round(sum(found) / len(found), 4) if found else 0.0


if __name__ == "__main__":
    main()
