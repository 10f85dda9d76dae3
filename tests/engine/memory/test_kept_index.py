"""The index on the disk: the same as in memory, read again at the next start, and never trusted."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.memory import shelf as shelves
from engine.memory.index import COLUMNS, Entry, LexicalIndex
from engine.memory.kept_index import KeptIndex
from engine.memory.recall import Recall
from engine.memory.shelf import Shelf
from storage.recall_source import Utterance
from storage.records import Finish, Role

if TYPE_CHECKING:
    from pathlib import Path

    from storage.recall_source import RecallSource
    from storage.store import Store
    from tests.engine.memory.conftest import Say

PEUGEOT = "My bicycle is a green Peugeot from 1978."
QUESTION = "What colour is my Peugeot bicycle?"
NOTES = [f"Note {number}: water the plant in room {number % 7}." for number in range(30)]


@pytest.fixture(autouse=True)
def keep_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages are enough to be kept."""
    monkeypatch.setattr(shelves, "KEPT", 20)


def entries(seed: int, count: int) -> list[Entry]:
    """Messages of interleaved sessions with branches, and words of which few are common."""
    chance = random.Random(seed)
    ends: dict[str, int] = {}
    made = []
    for key in range(1, count + 1):
        session = f"session {chance.randrange(8)}"
        end = ends.get(session, 0)
        position = chance.randrange(end + 1) if chance.random() < 0.1 else end
        ends[session] = position + 1
        words = [f"word{int(chance.paretovariate(0.7)) % 400}" for _ in range(chance.randrange(12))]
        speaker, at = chance.choice(["user", "assistant", "Ana"]), 1.7e9 + 5_000 * key
        made.append(Entry(key, session, position, speaker, " ".join(words) + "?", at))
    return made


def assert_same(one: LexicalIndex, other: LexicalIndex) -> None:
    assert len(one) == len(other)
    for name in (*COLUMNS, "following", "spread"):
        assert getattr(one, name).view.tolist() == getattr(other, name).view.tolist(), name
    assert one.speakers == other.speakers
    docs = np.arange(len(one))
    for stem in range(one.stems):
        assert np.array_equal(one.postings(stem), other.postings(stem))
    assert np.array_equal(one.words_of(docs), other.words_of(docs))
    for doc in range(0, len(one), 7):
        assert one.stems_of(doc) == other.stems_of(doc)
    sessions = np.arange(one.sessions)
    assert one.length(docs).tolist() == other.length(docs).tolist()
    assert one.window_length(docs).tolist() == other.window_length(docs).tolist()
    assert one.session_length(sessions).tolist() == other.session_length(sessions).tolist()
    assert [one.number(f"word{n}") for n in range(400)] == [
        other.number(f"word{n}") for n in range(400)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_parts_on_the_disk_are_the_same_as_all_in_memory(seed: int, tmp_path: Path) -> None:
    """Kept after every so many messages, read again now and then, and joined meanwhile."""
    chance = random.Random(seed)
    plain, shelf = Shelf(), Shelf(KeptIndex(tmp_path / "index"))
    utterances = [
        Utterance(
            one.key, f"m{one.key}", one.session, one.position, one.speaker, one.text, one.at, False
        )
        for one in entries(seed, 300)
    ]
    start = 0
    while start < len(utterances):
        page = utterances[start : start + chance.randrange(1, 50)]
        newest = page[-1].key, page[-1].message_id
        start += len(page)
        plain.add(page, newest)
        shelf.add(page, newest)
        if shelf.is_much:
            shelf.keep()
            if chance.random() < 0.5:
                shelf = Shelf(KeptIndex(tmp_path / "index"))
                assert shelf.newest == newest
    assert_same(plain.index, shelf.index)
    assert 1 <= len(shelf.index.segments) < 8
    plain.topics = shelf.topics  # these are fitted at times that differ
    for number in range(10):
        question = f"Where is word{number} with word{number + 3}?"
        assert plain.rank(question, 20).keys == shelf.rank(question, 20).keys


async def reading(source: RecallSource, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is noted of each page that is read: its length."""
    pages: list[int] = []
    between = source.between

    async def noted(*args: int, **more: object) -> list[Utterance]:
        page = await between(*args, **more)  # type: ignore[arg-type]
        pages.append(len(page))
        return page

    monkeypatch.setattr(source, "between", noted)
    return pages


async def first_text(recall: Recall, question: str = QUESTION) -> str:
    return next((one.text for one in await recall.recall(question, 1, likely=0.0)), "")


async def test_the_next_start_reads_only_what_is_new(
    store: Store, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(PEUGEOT, *NOTES)
    await Recall(store).load()
    await say("I sold the old boat to Tom.")
    pages = await reading(store.recall_source, monkeypatch)
    recall = Recall(store)
    assert await first_text(recall) == PEUGEOT
    assert await first_text(recall, "Did I sell the boat?") == "I sold the old boat to Tom."
    assert sum(pages) == 1


async def test_an_answer_that_was_streaming_is_found_after_the_next_start(
    store: Store, say: Say
) -> None:
    session = await store.sessions.create()
    answer = await store.messages.append(
        session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
    )
    await say(*NOTES)
    await Recall(store).load()
    await store.messages.finish(answer.id, finish=Finish.COMPLETE, content=PEUGEOT)
    assert await first_text(Recall(store)) == PEUGEOT


async def test_each_person_has_an_index_of_their_own(store: Store, say: Say) -> None:
    await say(PEUGEOT, *NOTES, user_id="ana")
    await say(*NOTES, user_id="../bea")
    recall = Recall(store)
    await recall.load("ana")
    await recall.load("../bea")
    assert store.derived is not None
    assert len(list(store.derived.iterdir())) == 2
    again = Recall(store)
    assert [one.text for one in await again.recall(QUESTION, 1, entity_id="ana")] == [PEUGEOT]
    assert await again.recall(QUESTION, 1, entity_id="../bea") == []


async def test_an_index_beside_another_database_is_not_used(store: Store, say: Say) -> None:
    said = await say(*NOTES)
    await Recall(store).load()
    await store.sessions.delete(said[0].session_id)
    await store.sessions.purge_deleted(before=float("inf"))
    await say(*NOTES[:-1], PEUGEOT)  # with the same keys
    recall = Recall(store)
    assert await first_text(recall) == PEUGEOT
    assert len(recall._shelves[None].index) == len(NOTES)


@pytest.mark.parametrize("damage", ["empty", "half", "other", "gone"])
@pytest.mark.parametrize("ending", ["json", "segment", "table"])
async def test_a_damaged_index_is_made_anew(
    store: Store, say: Say, damage: str, ending: str
) -> None:
    await say(PEUGEOT, *NOTES)
    await Recall(store).load()
    assert store.derived is not None
    [file] = store.derived.glob(f"own/*.{ending}")
    whole = file.read_bytes()
    broken = {"empty": b"", "half": whole[: len(whole) // 2], "other": bytes(len(whole))}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(broken[damage])
    recall = Recall(store)
    assert await first_text(recall) == PEUGEOT
    assert len(recall._shelves[None].index) == len(NOTES) + 1


async def test_two_programs_at_once_do_not_take_each_other_s_index_away(
    store: Store, say: Say
) -> None:
    await say(*NOTES)
    one, other = Recall(store), Recall(store)
    await one.load()
    await other.load()
    for _ in range(3):
        await say(*NOTES)
        await one.load()
        await other.load()
    await say(PEUGEOT)
    for recall in (one, other, Recall(store)):
        assert await first_text(recall) == PEUGEOT
        assert len(recall._shelves[None].index) == 4 * len(NOTES) + 1


async def test_it_holds_no_words_and_is_for_its_owner_alone(store: Store, say: Say) -> None:
    await say(PEUGEOT, *NOTES)
    await Recall(store).load()
    assert store.derived is not None
    folder = store.derived / "own"
    for kept in (store.derived, folder):
        assert kept.stat().st_mode & 0o077 == 0
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        for word in (b"peugeot", b"bicycle", b"bicycl", b"1978"):
            assert word not in file.read_bytes().lower()


async def test_it_goes_with_what_is_forgotten_or_purged(store: Store, say: Say) -> None:
    await say(PEUGEOT, *NOTES)
    recall = Recall(store)
    await recall.load()
    assert store.derived is not None
    recall.forget(None)
    assert not (store.derived / "own").exists()
    await Recall(store).load()
    await store.scrub()
    assert not store.derived.exists()
    assert await first_text(Recall(store)) == PEUGEOT


async def test_where_it_can_t_be_written_it_stays_in_memory(store: Store, say: Say) -> None:
    assert store.derived is not None
    store.derived.write_text("not a folder")
    await say(PEUGEOT, *NOTES)
    assert await first_text(Recall(store)) == PEUGEOT
