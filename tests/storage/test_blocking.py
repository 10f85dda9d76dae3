"""The store without asyncio: the same results, for those who may wait, and only for them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from storage import blocking
from storage.errors import NotADatabaseError, UnknownMemoryError
from storage.records import Role

if TYPE_CHECKING:
    from pathlib import Path


def test_a_script_writes_and_reads(path: Path) -> None:
    with blocking.open(path) as store:
        session = store.sessions.create(title="from a script")
        store.messages.append(session.id, role=Role.USER, content="hello")
        store.episodes.add("it worked", tags=["script"])
    with blocking.open(path) as store:
        assert [one.title for one in store.sessions.list()] == ["from a script"]
        assert [one.content for one in store.messages.tail(session.id, 5)] == ["hello"]
        assert store.search.sessions("hello")[0].session.id == session.id
        assert store.episodes.search("worked")[0].tags == ("script",)
        assert store.figures().messages == 1
        assert "search" in dir(store.episodes)


def test_streams_are_iterators_and_batches_context_managers(path: Path) -> None:
    with blocking.open(path) as store:
        with store.episodes.batch() as batch:
            for number in range(30):
                batch.add(f"number {number}")
        texts = [episode.text for episode in store.episodes.stream(batch_size=7)]
        assert texts == [f"number {number}" for number in range(30)]
        with pytest.raises(UnknownMemoryError), store.episodes.batch() as batch:
            batch.forget("nothing")


def test_vectors_too(path: Path) -> None:
    with blocking.open(path) as store:
        index = store.vectors("tiny", 2)
        index.add({"east": [1, 0], "north": [0, 1]})
        assert len(index) == 2
        assert index.search([1, 0.1])[0].owner_id == "east"


def test_errors_come_through_and_no_thread_stays(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("no database at all, only words, and more of them than a header holds" * 9)
    before = threading.active_count()
    with pytest.raises(NotADatabaseError), blocking.open(path):
        pass
    path.unlink()
    with blocking.open(path) as store:
        store.figures()
    deadline = time.monotonic() + 10  # a thread that has done its work still has to end
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_inside_an_event_loop_it_names_what_to_use(path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"await storage\.store\.Store\.open"),
        blocking.open(path),
    ):
        pass
    assert not path.exists()


def test_a_store_taken_into_an_event_loop_refuses_too(path: Path) -> None:
    import asyncio

    with blocking.open(path) as store:

        async def search() -> None:
            with pytest.raises(RuntimeError, match=r"await store\.episodes\.search"):
                store.episodes.search("anything")

        asyncio.run(search())
