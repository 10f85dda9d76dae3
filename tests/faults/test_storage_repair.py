"""Repairing a damaged database: what can be read is saved, in order, and the old file is kept."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.errors import CorruptDatabaseError
from storage.records import Role
from storage.repair import repair
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["recover", "pages"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """With and without SQLite's own recovery.

    Where the `sqlite3` command has none, as Debian's, its `.dump` stands in: what that can read
    comes out in the same form.
    """
    command = shutil.which("sqlite3")
    if request.param == "pages":
        command = None
    elif command is None:
        pytest.skip("the sqlite3 command is not installed")
    elif "CREATE TABLE" not in run(command, make_table(tmp_path), ".recover"):
        command = stand_in(command, tmp_path)
    monkeypatch.setattr("storage.repair.shutil.which", lambda name: command)
    return str(request.param)


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def make_table(folder: Path) -> str:
    probe = folder / "probe" / "probe.db"
    probe.parent.mkdir()
    with closing(sqlite3.connect(probe)) as connection:
        connection.execute("CREATE TABLE probe (x)")
    return str(probe)


def stand_in(command: str, folder: Path) -> str:
    script = folder / "probe" / "sqlite3"
    script.write_text(
        f"""#!/bin/sh
        case "$2" in
            .recover*) exec {command} "$1" .dump ;;
            *) exec {command} "$@" ;;
        esac
        """
    )
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "scrubjay.db"


async def fill(path: Path) -> list[str]:
    """Make three sessions of a hundred messages, with an alternative each. Returns their ids."""
    async with await Store.open(path) as store:
        ids = []
        for number in range(3):
            session = await store.sessions.create(title=f"session {number}")
            ids.append(session.id)
            for count in range(100):
                await store.messages.append(
                    session.id, role=Role.USER, content=f"{number} {count} " + "word " * 60
                )
            [parent] = await store.messages.page(session.id, 97, 98)
            await store.messages.append(
                session.id, role=Role.USER, content="another way", parent_id=parent.id
            )
            await store.messages.append(session.id, role=Role.USER, content="and on")
        await store.episodes.add("an episode", tags=["a"])
        await store.facts.add("Ana", "a fact")
        await store.skills.add("skill", "how to")
        return ids


def message_pages(path: Path) -> list[int]:
    """The pages that hold messages' rows, by number from 1."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            page
            for (page,) in connection.execute(
                "SELECT pageno FROM dbstat WHERE name = 'messages' AND pagetype = 'leaf'"
            )
        ]


def damage(path: Path, pages: list[int]) -> None:
    with path.open("rb+") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)


async def test_a_sound_database_comes_out_as_it_was(path: Path, method: str) -> None:
    ids = await fill(path)
    into = path.with_name("new.db")
    before = path.read_bytes()
    repaired = await repair(path, into)
    assert repaired.method == method
    assert path.read_bytes() == before
    assert {entry.name for entry in path.parent.iterdir()} == {"scrubjay.db", "new.db"}
    assert (repaired.remade_sessions, repaired.shortened_sessions) == (0, 0)
    async with await Store.open(path) as old, await Store.open(into) as new:
        assert await new.check() == []
        for session_id in ids:
            one, other = await old.sessions.known(session_id), await new.sessions.known(session_id)
            assert (one.title, one.message_count, one.updated_at) == (
                other.title,
                other.message_count,
                other.updated_at,
            )
            page = await new.messages.page(session_id, 0, 999)
            assert page == await old.messages.page(session_id, 0, 999)
            assert await new.messages.alternatives(page[-2].id) == await old.messages.alternatives(
                page[-2].id
            )
        assert [session.id for session in await new.sessions.list()] == ids[::-1]
        assert len(await new.search.sessions("word")) == 3
        assert (await new.figures()).messages == (await old.figures()).messages
        assert [fact.text for fact in await new.facts.search("Ana")] == ["a fact"]
        assert len(await new.episodes.search("episode", tags=["a"])) == 1


async def test_what_is_not_damaged_is_saved_in_order(path: Path, method: str) -> None:
    ids = await fill(path)
    pages = message_pages(path)
    damage(path, random.Random(3).sample(pages[3:-3], 3))
    into = path.with_name("new.db")
    repaired = await repair(path, into)
    assert 200 < repaired.rows["messages"] < 306
    assert repaired.rows["sessions"] == 3
    assert repaired.shortened_sessions >= 1
    async with await Store.open(into) as store:
        assert await store.check() == []
        for number, session_id in enumerate(ids):
            page = await store.messages.page(session_id, 0, 999)
            assert [message.position for message in page] == list(range(len(page)))
            assert (await store.sessions.known(session_id)).message_count == len(page)
            counts = [
                int(message.content.split()[1])
                for message in page
                if message.content.startswith(f"{number} ")
            ]
            assert counts == sorted(counts)
            for message in page[1:]:
                assert message.parent_id == page[message.position - 1].id
                await store.messages.show(message.id)
            await store.messages.append(session_id, role=Role.USER, content="life goes on")
        assert len(await store.search.sessions("life goes on")) == 3


async def test_leaves_are_saved_though_what_links_them_is_gone(path: Path, method: str) -> None:
    ids = await fill(path)
    with closing(sqlite3.connect(path)) as connection:
        interior = [
            page
            for (page,) in connection.execute(
                "SELECT pageno FROM dbstat WHERE name = 'messages' AND pagetype = 'internal'"
            )
        ]
    assert interior
    damage(path, interior)
    into = path.with_name("new.db")
    repaired = await repair(path, into)
    assert (repaired.rows["sessions"], repaired.rows["messages"]) == (3, 306)
    assert repaired.shortened_sessions == 0
    async with await Store.open(into) as store:
        for session_id in ids:
            page = await store.messages.page(session_id, 0, 999)
            assert [message.position for message in page] == list(range(100))


async def test_images_come_along_with_the_questions_that_show_them(path: Path, method: str) -> None:
    ids = await fill(path)
    async with await Store.open(path) as store:
        sha256 = await store.images.keep(b"a jay " * 3_000)
        text = f"![jay.png, 3×4, 18 kB](image:{sha256})"
        shown = await store.messages.append(ids[0], role=Role.USER, content=text)
    damage(path, [1])
    into = path.with_name("new.db")
    await repair(path, into)
    async with await Store.open(into) as store:
        assert await store.images.get(sha256) == b"a jay " * 3_000
        await store.messages.strike(shown.id, content="")
        assert await store.images.get(sha256) is None


async def test_even_without_a_header_the_pages_are_read(path: Path, method: str) -> None:
    await fill(path)
    damage(path, [1])
    repaired = await repair(path, path.with_name("new.db"))
    assert (repaired.rows["sessions"], repaired.rows["messages"]) == (3, 306)
    assert (repaired.rows["episodes"], repaired.rows["facts"], repaired.rows["skills"]) == (1, 1, 1)


async def test_what_was_purged_does_not_come_back(path: Path, method: str) -> None:
    ids = await fill(path)
    with closing(sqlite3.connect(path)) as connection:
        # The hardest case: the rows are still in pages that are free by now.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM messages WHERE session_id = ?", (ids[1],))
        connection.execute("DELETE FROM sessions WHERE id = ?", (ids[1],))
        connection.commit()
    repaired = await repair(path, path.with_name("new.db"))
    assert (repaired.rows["sessions"], repaired.rows["messages"]) == (2, 204)


async def test_long_texts_are_saved_whole(path: Path, method: str) -> None:
    long = "".join(f"{number} – " for number in range(20_000))
    async with await Store.open(path) as store:
        session = await store.sessions.create()
        for _ in range(3):
            said = await store.messages.append(session.id, role=Role.USER, content=long)
        await (await store.vectors("tiny", 3)).add({said.id: [1, 2, 3]})
    into = path.with_name("new.db")
    await repair(path, into)
    async with await Store.open(into) as store:
        kept = await store.messages.tail(session.id, 9)
        assert [message.content for message in kept] == [long] * 3
        assert kept[-1] == said
        assert len(await store.vectors("tiny", 3)) == 1


async def test_a_file_that_was_cut_off_is_saved_up_to_there(path: Path, method: str) -> None:
    await fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3 + 1234])
    into = path.with_name("new.db")
    repaired = await repair(path, into)
    assert repaired.rows["messages"] > 100
    assert path.read_bytes() == whole[: len(whole) * 2 // 3 + 1234]
    async with await Store.open(into) as store:
        assert await store.check() == []
        assert len(await store.sessions.list()) >= 1


async def test_messages_of_lost_sessions_get_new_ones(path: Path, method: str) -> None:
    ids = await fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM sessions WHERE id = ?", (ids[0],))
        connection.commit()
    into = path.with_name("new.db")
    assert (await repair(path, into)).remade_sessions == 1
    async with await Store.open(into) as store:
        session = await store.sessions.known(ids[0])
        assert (session.title, session.message_count) == ("Recovered", 100)
        assert len(await store.messages.tail(ids[0], 999)) == 100


async def test_what_was_only_in_the_wal_is_saved_too(path: Path, method: str) -> None:
    async with await Store.open(path) as store:
        session = await store.sessions.create()
        await store.messages.append(session.id, role=Role.USER, content="only in the WAL")
        assert path.with_name("scrubjay.db-wal").stat().st_size > 0
        into = path.with_name("new.db")
        repaired = await repair(path, into)
    assert repaired.rows["messages"] == 1


async def test_where_nothing_is_left_it_says_so_and_makes_nothing(path: Path, method: str) -> None:
    path.write_bytes(os.urandom(100_000))
    into = path.with_name("new.db")
    with pytest.raises(CorruptDatabaseError) as failure:
        await repair(path, into)
    assert "backup" in failure.value.next_step
    assert list(path.parent.iterdir()) == [path]


async def test_a_repair_overwrites_nothing(path: Path) -> None:
    await fill(path)
    into = path.with_name("precious.db")
    into.write_text("precious")
    with pytest.raises(FileExistsError):
        await repair(path, into)
    assert into.read_text() == "precious"
