"""Recall over conversations in the LoCoMo format, through the real storage and the real recall.

`python -m tests.benchmarks.locomo DATA.json RUN.jsonl` keeps each conversation as the memory of one
person, asks every question of it alone, and writes a line a question: the ids of the turns that
came back, best first, and how many milliseconds that took, from text to messages. Figures of speed
are printed as JSON. With `--embedder embedded` or `ollama:NAME` messages have vectors before the
first question. The format is that of Maharana et al., "Evaluating Very Long-Term
Conversational Memory of LLM Agents", ACL 2024 (arXiv:2402.17753); the data is not
part of this project.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.memory.recall import Recall
from storage.records import Role
from storage.store import Store
from tests.benchmarks.embedders import meaning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Conversation: TypeAlias = dict[str, Any]

ANSWERS = 200
"""Turns a question."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.add_argument("--embedder", default="none", help="none, embedded or ollama:NAME")
    arguments = parser.parse_args()
    conversations = json.loads(arguments.data.read_text("utf-8"))["conversations"]
    lines, figures = asyncio.run(measured(conversations, arguments.embedder))
    arguments.run.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    print(json.dumps(figures, indent=1))


async def measured(
    conversations: list[Conversation], embedder: str = "none"
) -> tuple[list[dict[str, Any]], Any]:
    """The lines of the run, and what it cost."""
    lines: list[dict[str, Any]] = []
    loads: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            await Store.open(Path(folder) / "recall.db") as store,
            meaning(store, embedder) as meant,
        ):
            turns = {one["id"]: await kept(store, one) for one in conversations}
            started = time.perf_counter()
            if meant is not None:
                await meant.catch_up()
            embed_seconds = time.perf_counter() - started
            for conversation in conversations:
                recall = Recall(store, meant)
                started = time.perf_counter()
                await recall.load(conversation["id"])
                loads.append(time.perf_counter() - started)
                await recall.recall("warm up", 1, entity_id=conversation["id"])
                answers = _answers(recall, conversation, turns[conversation["id"]])
                lines += [line async for line in answers]
    times = sorted(line["ms"] for line in lines)
    return lines, {
        "questions": len(lines),
        "messages": sum(map(len, turns.values())),
        "embedder": embedder,
        "embed_seconds": round(embed_seconds, 1),
        "load_seconds": round(statistics.mean(loads), 3),
        "p50_ms": round(statistics.median(times), 2),
        "p95_ms": round(times[int(len(times) * 0.95)], 2),
    }


async def kept(store: Store, conversation: Conversation) -> dict[str, str]:
    """Keep a conversation as its person's sessions; the ids of the turns by those of messages."""
    first, second = conversation["speakers"]
    names = {"user": first, "assistant": second}
    turns: dict[str, str] = {}
    for number, moment, said in _sessions(conversation):
        session = await store.sessions.create(
            session_id=f"{conversation['id']}-{number}", user_id=conversation["id"]
        )
        await store.sessions.set_state(session.id, "speakers", names)
        for place, turn in enumerate(said):
            message = await store.messages.append(
                session.id,
                role=Role.USER if turn["speaker"] == first else Role.ASSISTANT,
                content=content(turn),
                created_at=moment + place,
            )
            turns[message.id] = turn["id"]
    return turns


def _sessions(conversation: Conversation) -> Iterator[tuple[int, float, list[dict[str, str]]]]:
    for session in conversation["sessions"]:
        moment = datetime.fromisoformat(session["date"]).astimezone().timestamp()
        yield session["n"], moment, session["turns"]


def content(turn: dict[str, str]) -> str:
    """A turn as text; a shared picture is told by its caption."""
    return f"{turn['text']} (shares {turn['image']})" if turn.get("image") else turn["text"]


async def _answers(
    recall: Recall, conversation: Conversation, turns: dict[str, str]
) -> AsyncIterator[dict[str, Any]]:
    for question in conversation["questions"]:
        started = time.perf_counter()
        found = await recall.recall(
            question["q"], ANSWERS, entity_id=conversation["id"], likely=0.0, whole=True
        )
        yield {
            "conversation": conversation["id"],
            "question_index": question["i"],
            "retrieved": [turns[one.message_id] for one in found],
            "ms": round(1000 * (time.perf_counter() - started), 3),
        }


if __name__ == "__main__":
    main()
