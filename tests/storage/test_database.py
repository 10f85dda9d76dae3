"""Opening, upgrading, transactions, cancelling and backing up a real file."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import stat
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from storage import database as module
from storage.database import READERS, Database
from storage.errors import NewerDatabaseError, StorageError
from storage.records import Role
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(path)
    await database.write("CREATE TABLE notes (text TEXT PRIMARY KEY)")
    yield database
    await database.close()


async def no_more_threads_than(count: int) -> None:
    """Wait until there are no more; a connection's thread ends a moment after its close."""
    deadline = time.monotonic() + 10
    while threading.active_count() > count:
        assert time.monotonic() < deadline, threading.enumerate()
        await asyncio.sleep(0.01)


async def notes(database: Database) -> list[str]:
    return [text for (text,) in await database.fetch_all("SELECT text FROM notes ORDER BY rowid")]


async def test_files_are_for_their_owner_alone(store: Store, path: Path) -> None:
    await store.sessions.create()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {
        "scrubjay.db",
        "scrubjay.db-wal",
        "scrubjay.db-shm",
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_what_was_kept_is_there_after_a_restart(path: Path) -> None:
    async with await Store.open(path) as store:
        session = await store.sessions.create(title="kept")
    async with await Store.open(path) as store:
        assert await store.sessions.get(session.id) == session


async def test_many_openings_at_once_make_one_database(path: Path) -> None:
    databases = await asyncio.gather(
        *(Database.open(path) for _ in range(8)), return_exceptions=True
    )
    errors = [one for one in databases if not isinstance(one, Database)]
    for one in databases:
        if isinstance(one, Database):
            await one.close()
    assert errors == []


async def test_what_is_purged_is_gone_from_the_file(path: Path) -> None:
    async with await Store.open(path) as store:
        session = await store.sessions.create()
        for number in range(50):
            await store.messages.append(
                session.id, role=Role.USER, content=f"secret-{number} " + "x" * 900
            )
        await store.sessions.delete(session.id)
        await store.sessions.purge_deleted(before=1e12)
    assert b"secret-" not in path.read_bytes()


async def test_commits_reach_the_disk(database: Database) -> None:
    assert await database.write("PRAGMA synchronous") == [(2,)]
    assert await database.fetch_all("PRAGMA journal_mode") == [("wal",)]
    assert await database.write("PRAGMA foreign_keys") == [(1,)]


async def test_readers_can_not_write(database: Database) -> None:
    with pytest.raises(StorageError):
        await database.fetch_all("INSERT INTO notes VALUES ('sneaked in')")


async def test_a_reader_that_was_opened_for_one_may_be_taken_by_another(database: Database) -> None:
    first = asyncio.create_task(database.fetch_one("SELECT 1"))
    while not database._idle:
        await asyncio.sleep(0)
    second = asyncio.create_task(database.fetch_one("SELECT 2"))
    assert [await first, await second] == [(1,), (2,)]
    assert len(database._readers) <= READERS


async def test_closing_while_a_reader_is_opened_leaves_no_thread(path: Path) -> None:
    threads = threading.active_count()
    for steps in range(12):
        database = await Database.open(path)
        reading = [asyncio.create_task(database.fetch_all("SELECT 1")) for _ in range(READERS)]
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        await database.close()
        await asyncio.gather(*reading, return_exceptions=True)
    await no_more_threads_than(threads)


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO notes VALUES ('one')")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await notes(database) == []
    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO notes VALUES ('one')")
        await transaction.execute_many("INSERT INTO notes VALUES (?)", [("two",), ("three",)])
        assert await notes(database) == [], "nobody sees half of it"
    assert await notes(database) == ["one", "two", "three"]


async def test_writes_wait_for_a_transaction_in_the_order_they_came(database: Database) -> None:
    async with database.transaction() as transaction:
        tasks = [
            asyncio.create_task(database.write("INSERT INTO notes VALUES (?)", (str(number),)))
            for number in range(20)
        ]
        await asyncio.sleep(0)
        await transaction.execute("INSERT INTO notes VALUES ('first')")
    await asyncio.gather(*tasks)
    assert await notes(database) == ["first", *(str(number) for number in range(20))]


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_transaction_is_whole_or_gone_and_frees_the_writer(
    database: Database, turns: int
) -> None:
    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO notes VALUES ('one')")
            await transaction.execute("INSERT INTO notes VALUES ('two')")

    task = asyncio.create_task(write())
    for _ in range(turns):
        await asyncio.sleep(0.0001)
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(5):
        await database.write("INSERT INTO notes VALUES ('after')")
    assert await notes(database) in (["after"], ["one", "two", "after"])


async def test_text_that_no_encoding_has_is_kept_as_well_as_can_be(store: Store) -> None:
    session = await store.sessions.create(title="\ud800 from a file name")
    assert session.title == "? from a file name"
    said = await store.messages.append(session.id, role=Role.USER, content="caf\xe9 \udcff")
    assert said.content == "café ?"
    async with store.episodes.batch() as batch:
        episode = batch.add("a \udc80 banana")
    assert (await store.episodes.search("banana"))[0].id == episode.id


async def test_a_query_cancelled_before_it_begins_leaves_its_reader_usable(
    database: Database,
) -> None:
    for turns in range(6):
        task = asyncio.create_task(database.fetch_all(ENDLESS))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([task])
        assert task.cancelled()
    assert await notes(database) == []


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_how_a_cancelled_query_was_stopped_is_no_news(database: Database) -> None:
    news: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: news.append(context))
    task = asyncio.create_task(database.fetch_all(ENDLESS))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert news == []


async def test_a_cancelled_query_stops_and_gives_its_reader_back(database: Database) -> None:
    for _ in range(2 * module.READERS):
        task = asyncio.create_task(database.fetch_all(ENDLESS))
        await asyncio.sleep(0.01)
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([task])
    assert await notes(database) == []


async def test_reads_go_on_while_a_transaction_is_open(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO notes VALUES ('one')")
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(notes(database) for _ in range(9))) == [[]] * 9


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the real scripts, for more to be put in."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for script in module.MIGRATIONS.glob("*.sql"):
        (folder / script.name).write_bytes(script.read_bytes())
    monkeypatch.setattr(module, "MIGRATIONS", folder)
    return folder


async def test_an_upgrade_keeps_the_data_and_a_copy_from_before(
    path: Path, migrations: Path
) -> None:
    async with await Store.open(path) as store:
        session = await store.sessions.create(title="old")
    version = len(list(migrations.iterdir()))
    (migrations / "9001_more.sql").write_text(
        "CREATE TABLE more (x);\n"
        "CREATE TRIGGER t AFTER INSERT ON more BEGIN\n    SELECT 1;\n    SELECT 2;\nEND;\n"
    )
    async with await Store.open(path) as store:
        assert await store.sessions.get(session.id) == session
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version + 1,)
        assert connection.execute("SELECT count(*) FROM more").fetchone() == (0,)
    copy = path.with_name(f"scrubjay.db.schema-{version}")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
        assert connection.execute("SELECT title FROM sessions").fetchall() == [("old",)]

    # Who goes back is told of it.
    (migrations / "9001_more.sql").unlink()
    with pytest.raises(NewerDatabaseError) as refused:
        await Store.open(path)
    assert str(copy) in refused.value.next_step


async def test_an_upgrade_that_fails_changes_nothing(path: Path, migrations: Path) -> None:
    async with await Store.open(path) as store:
        await store.sessions.create(title="old")
    (migrations / "9001_good.sql").write_text("CREATE TABLE more (x);\n")
    (migrations / "9002_bad.sql").write_text("CREATE TABLE sessions (x);\n")
    with pytest.raises(StorageError, match="already exists"):
        await Database.open(path)
    (migrations / "9001_good.sql").unlink()
    (migrations / "9002_bad.sql").unlink()
    with closing(sqlite3.connect(path)) as connection:
        assert (
            connection.execute("SELECT name FROM sqlite_schema WHERE name = 'more'").fetchall()
            == []
        )
    async with await Store.open(path) as store:
        assert [session.title for session in await store.sessions.list()] == ["old"]


async def test_a_backup_is_a_whole_database_though_writing_goes_on(
    store: Store, path: Path, tmp_path: Path
) -> None:
    session = await store.sessions.create()
    copy = tmp_path / "copy.db"
    done = asyncio.Event()
    said: list[str] = []

    async def chat() -> None:
        while not done.is_set():
            message = await store.messages.append(session.id, role=Role.USER, content="word " * 200)
            said.append(message.id)

    async def back_up() -> int:
        while len(said) < 200:
            await asyncio.sleep(0)
        before = len(said)
        await store.backup(copy)
        done.set()
        return before

    _, before = await asyncio.gather(chat(), back_up())
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    async with await Store.open(copy) as backup:
        assert await backup.check() == []
        kept = [message.id for message in await backup.messages.page(session.id, 0, 99999)]
        assert len(kept) >= before
        assert kept == said[: len(kept)]
        assert await backup.search.sessions("word") != []


async def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(
    store: Store, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("precious")
    with pytest.raises(FileExistsError):
        await store.backup(taken)
    assert taken.read_text() == "precious"
    with pytest.raises(StorageError):
        await store.backup(tmp_path / "no" / "such" / "folder.db")
    assert list(tmp_path.glob("**/*.part")) == []


async def test_figures_and_usage_are_right_after_everything(store: Store) -> None:
    from storage.records import Usage

    sessions = [await store.sessions.create() for _ in range(3)]
    for session in sessions:
        for _ in range(4):
            await store.messages.append(
                session.id,
                role=Role.ASSISTANT,
                content="x",
                usage=Usage(prompt_tokens=10, eval_tokens=5, eval_seconds=0.5),
                created_at=1000.0,
            )
    await store.messages.append(sessions[0].id, role=Role.USER, content="no usage")
    await store.sessions.delete(sessions[1].id)
    await store.sessions.delete(sessions[2].id)
    await store.sessions.restore(sessions[2].id)
    figures = await store.figures()
    assert (figures.sessions, figures.messages) == (2, 13)
    assert figures.database_bytes > 0
    total = await store.usage()
    assert (total.answers, total.prompt_tokens, total.eval_tokens, total.eval_seconds) == (
        12,
        120,
        60,
        6.0,
    )
    assert (await store.usage(session_id=sessions[0].id)).answers == 4
    assert (await store.usage(since=1000.5)).answers == 0
    assert (await store.usage(session_id=sessions[0].id, since=1000)).eval_tokens == 20
    await store.sessions.purge_deleted(before=1e12)
    figures = await store.figures()
    assert (figures.sessions, figures.messages) == (2, 9)
    assert (await store.usage()).answers == 8


async def test_an_opening_that_is_cancelled_leaves_no_thread(path: Path) -> None:
    await asyncio.to_thread(int)  # the loop's own thread, which openings use
    before = threading.active_count()
    for steps in range(12):
        opening = asyncio.create_task(Database.open(path.with_name(f"{steps}.db")))
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await (await opening).close()
    await no_more_threads_than(before)
