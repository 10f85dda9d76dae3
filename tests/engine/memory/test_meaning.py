"""Vectors of messages: made in the background, kept with their model's name, used when there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.config import MemorySettings
from engine.embedder import Embedder
from engine.events import JobChanged, Notice
from engine.llm.base import ModelError
from engine.memory.meaning import Meaning
from engine.memory.recall import Recall
from engine.pool import JobState
from storage.records import Finish, Role
from tests.engine.support import SETTINGS, Watch, running_engine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest
    from numpy.typing import NDArray

    from engine.engine import Engine
    from storage.store import Store
    from tests.engine.memory.conftest import Say

CONCEPTS = ("feline cat purring", "bicycle peugeot ride", "rain weather storm", "bread oven loaf")

PURRING = "Something purring lives with me and sleeps on the warm sofa until noon."


class Concepts(Embedder):
    """Knows a few words, and which of them mean the same."""

    def __init__(self, space: str = "concepts", batches: int | None = None) -> None:
        self.name = self.space = space
        self.texts: list[str] = []
        self.batches = batches
        """After so many it hangs."""

        self.hanging = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.batches is not None:
            self.batches -= 1
            if self.batches < 0:
                self.hanging.set()
                await asyncio.Event().wait()
        self.texts += texts
        rows = [[self._share(text, group) for group in CONCEPTS] + [0.1] for text in texts]
        return np.array(rows, np.float32)

    @staticmethod
    def _share(text: str, group: str) -> float:
        return float(sum(word in text.lower() for word in group.split()))


def meaning_of(store: Store, embedder: Embedder, patience: float = 30.0) -> Meaning:
    async def choose(_workers: object) -> Embedder:
        return embedder

    return Meaning(store, choose, patience=patience)


async def tell_much(say: Say) -> None:
    for number in range(12):
        await say(f"Something green lives with me, number {number}.", f"Rain on day {number}.")
    await say(PURRING, "How nice.")


async def best(recall: Recall, question: str = "Do I own a cat?") -> str:
    [first] = await recall.recall(question, 1, likely=0.0)
    return first.text


async def spaces(store: Store) -> dict[str, int]:
    rows = await store._database.fetch_all("SELECT space, count(*) FROM vectors GROUP BY space")
    return dict(rows)


async def test_what_means_the_same_is_found_without_a_word_in_common(
    store: Store, say: Say
) -> None:
    await tell_much(say)
    meaning = meaning_of(store, Concepts())
    recall = Recall(store, meaning)
    assert await best(recall) != PURRING
    await meaning.catch_up()
    assert await best(recall) == PURRING
    [found] = await recall.recall("Do I own a cat?", 1, likely=0.0)
    assert found.reasons[0].name == "meaning"


async def test_a_message_is_found_before_its_vector_is_there(store: Store, say: Say) -> None:
    await tell_much(say)
    meaning = meaning_of(store, Concepts())
    await meaning.catch_up()
    recall = Recall(store, meaning)
    await recall.load()
    await say("The harbour master is called Olafsson.")
    assert await best(recall, "Who is the harbour master?") == (
        "The harbour master is called Olafsson."
    )


async def test_vectors_that_come_later_are_taken_in(store: Store, say: Say) -> None:
    await say("Good morning.", "Good morning.")
    meaning = meaning_of(store, Concepts())
    await meaning.catch_up()
    recall = Recall(store, meaning)
    await recall.load()
    await tell_much(say)
    await meaning.catch_up()
    assert await best(recall) == PURRING


async def test_what_was_embedded_is_kept_when_the_work_is_cancelled(store: Store, say: Say) -> None:
    for number in range(20):
        await say(f"One {number}", f"Two {number}")
    first = Concepts(batches=2)  # one to be ready, and one of messages
    working = asyncio.create_task(meaning_of(store, first).catch_up())
    await first.hanging.wait()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    second = Concepts()
    shares: list[float] = []
    await meaning_of(store, second).catch_up(shares.append)
    assert len(first.texts) + len(second.texts) == 40 + 2
    assert not set(first.texts[1:]) & set(second.texts[1:])
    assert await spaces(store) == {"concepts": 40}
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_with_another_model_all_vectors_are_made_anew(store: Store, say: Say) -> None:
    await tell_much(say)
    await meaning_of(store, Concepts("old")).catch_up()
    await meaning_of(store, Concepts("new")).catch_up()
    assert await spaces(store) == {"new": 26}


async def test_an_answer_is_embedded_once_it_is_finished(store: Store, say: Say) -> None:
    await say("Hello.", "Hello.")
    session = await store.sessions.create()
    answer = await store.messages.append(
        session.id, role=Role.ASSISTANT, content="A ca", finish=Finish.STREAMING
    )
    await say("Are you there?")
    embedder = Concepts()
    meaning = meaning_of(store, embedder)
    await meaning.catch_up()
    assert await spaces(store) == {"concepts": 3}
    await store.messages.finish(answer.id, finish=Finish.COMPLETE, content="A cat.")
    await meaning.catch_up()
    assert await spaces(store) == {"concepts": 4}
    assert embedder.texts[-1] == "A cat."


async def test_messages_with_keys_of_purged_ones_are_embedded(store: Store, say: Say) -> None:
    said = await say("One.", "Two.", "Three.")
    meaning = meaning_of(store, Concepts())
    await meaning.catch_up()
    await store.sessions.delete(said[0].session_id)
    await store.sessions.purge_deleted(before=float("inf"))
    assert await spaces(store) == {}
    await say("Four.", "Five.")
    await meaning.catch_up()
    assert await spaces(store) == {"concepts": 2}


async def test_nobody_s_vectors_speak_for_another_s_messages(store: Store, say: Say) -> None:
    await say(PURRING, "How nice.", user_id="ana")
    await say("I like rain.", "Me too.", user_id="bea")
    meaning = meaning_of(store, Concepts())
    await meaning.catch_up()
    recall = Recall(store, meaning)
    found = await recall.recall("Do I own a cat?", 9, entity_id="bea", likely=0.0)
    assert {one.text for one in found} == {"I like rain.", "Me too."}
    assert recall._shelves["bea"].vectors._there.sum() == 2


async def test_a_question_does_not_wait_for_a_slow_embedder(store: Store, say: Say) -> None:
    await tell_much(say)
    embedder = Concepts()
    meaning = meaning_of(store, embedder, patience=0.01)
    await meaning.catch_up()
    embedder.batches = 0
    recall = Recall(store, meaning)
    assert await best(recall, "What is purring here?") == PURRING
    assert embedder.hanging.is_set()


async def test_words_have_to_do_when_the_embedder_breaks(
    store: Store, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(texts: Sequence[str]) -> NDArray[np.float32]:
        raise ModelError("unreachable", "gone")

    await tell_much(say)
    embedder = Concepts()
    meaning = meaning_of(store, embedder)
    await meaning.catch_up()
    monkeypatch.setattr(embedder, "embed", broken)
    assert await best(Recall(store, meaning), "What is purring here?") == PURRING


async def test_the_engine_embeds_what_was_said_after_each_turn(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, memory=MemorySettings(embedder="words"))
    async with running_engine(tmp_path, settings=settings) as engine:
        turn = await engine.send(None, "Do I own a cat?")
        await turn.wait()
        async with asyncio.timeout(30):
            while await spaces(engine._store) != {"words": 2}:
                await asyncio.sleep(0.02)
    jobs = [job for job in engine.pool.jobs() if job.name == "embed what was said"]
    assert jobs
    assert all(job.state in (JobState.DONE, JobState.CANCELLED) for job in jobs)


async def test_a_missing_embedder_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    settings = msgspec.structs.replace(SETTINGS, memory=MemorySettings(embedder="ollama:none"))
    async with running_engine(tmp_path, settings=settings) as engine:
        watch = Watch(engine)
        engine.load_memory()
        notice = await watch.until(Notice)
        assert notice.text.startswith("Recall goes by words alone. ")
        turn = await engine.send(None, "Do I own a cat?")
        await turn.wait()
        await watch.until(JobChanged, lambda event: failed(engine) == 2)
        assert len(watch.of(Notice)) == 1


def failed(engine: Engine) -> int:
    return sum(job.state is JobState.FAILED for job in engine.pool.jobs())


def test_importing_meaning_does_not_import_numpy() -> None:
    code = "import sys, engine.memory.meaning; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
