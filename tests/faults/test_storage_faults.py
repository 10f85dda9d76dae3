"""Storage on a bad day: full disk, no permission, locked, damaged, foreign and newer files."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import tempfile
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage import database as module
from storage.errors import (
    CorruptDatabaseError,
    DatabaseLockedError,
    DiskFullError,
    NewerDatabaseError,
    NotADatabaseError,
    ReadOnlyDatabaseError,
    StorageError,
)
from storage.records import Role
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "scrubjay.db"


async def filled(path: Path, count: int = 300) -> list[str]:
    """Make a database with one session of so many messages. Returns their ids."""
    async with await Store.open(path) as store:
        session = await store.sessions.create(session_id="s")
        return [
            (await store.messages.append(session.id, role=Role.USER, content="word " * 50)).id
            for _ in range(count)
        ]


async def kept(path: Path) -> list[str]:
    async with await Store.open(path) as store:
        assert await store.check() == []
        return [message.id for message in await store.messages.page("s", 0, 99_999)]


def forked(work: Callable[[], None]) -> None:
    """Run `work` in a process of its own, which may spoil itself, and fail if it fails."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_full_disk_is_said_and_loses_nothing(path: Path) -> None:
    before = asyncio.run(filled(path, 10))
    acknowledged = path.with_name("acknowledged")

    async def fill_the_disk() -> None:
        async with await Store.open(path) as store:
            ids: list[str] = []
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            limit = path.stat().st_size + 200_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

            async def append(content: str) -> None:
                ids.append((await store.messages.append("s", role=Role.USER, content=content)).id)

            async def append_on_and_on() -> None:
                while len(ids) < 1000:
                    await append("word " * 200)

            with pytest.raises(DiskFullError) as failure:
                await append_on_and_on()
            assert "Make room" in failure.value.next_step
            assert 2 < len(ids) < 1000
            assert len(await store.messages.page("s", 0, 9999)) == 10 + len(ids)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
            with pytest.raises(DiskFullError):
                await store.backup(path.with_name("copy.db"))
            assert list(path.parent.glob("copy*")) == []
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            await append("there is room again")
            acknowledged.write_text("\n".join(ids))

    forked(lambda: asyncio.run(fill_the_disk()))
    assert asyncio.run(kept(path)) == before + acknowledged.read_text().split()


def test_a_full_disk_at_the_first_start_is_said(path: Path) -> None:
    async def start() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        with pytest.raises(DiskFullError):
            await open_and_close(path)

    forked(lambda: asyncio.run(start()))
    assert asyncio.run(filled(path, 1)) == asyncio.run(kept(path))


def as_nobody(work: Callable[[Path], None]) -> None:
    """Run `work` on a folder, as a user whom permissions bind, if this one is root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Path(folder) / "data"
        place.mkdir()

        def run() -> None:
            if os.getuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            work(place)

        asyncio.run(filled(place / "scrubjay.db", 3))
        if os.getuid() == 0:
            for entry in (place, *place.iterdir()):
                os.chown(entry, NOBODY, NOBODY)
        forked(run)
        assert len(asyncio.run(kept(place / "scrubjay.db"))) == 3


def test_a_read_only_folder_or_file_is_said() -> None:
    async def attempt(path: Path) -> None:
        with pytest.raises(ReadOnlyDatabaseError) as failure:
            await open_and_close(path)
        assert str(path) in failure.value.message
        assert "permission" in failure.value.next_step

    def work(place: Path) -> None:
        place.chmod(0o500)
        asyncio.run(attempt(place / "scrubjay.db"))
        asyncio.run(attempt(place / "new.db"))
        asyncio.run(attempt(place / "below" / "new.db"))
        place.chmod(0o700)
        (place / "scrubjay.db").chmod(0o400)
        asyncio.run(attempt(place / "scrubjay.db"))
        (place / "scrubjay.db").chmod(0o600)

    as_nobody(work)


async def test_a_locked_database_is_said_and_works_again_when_it_is_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(path, 3)
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        async with await Store.open(path) as store:
            other.execute("BEGIN IMMEDIATE")
            assert len(await store.messages.tail("s", 9)) == 3, "reading goes on"
            with pytest.raises(DatabaseLockedError):
                await store.messages.append("s", role=Role.USER, content="blocked")
            with pytest.raises(DatabaseLockedError):
                await store.sessions.set_state("s", "draft", "blocked")
            other.execute("ROLLBACK")
            await store.messages.append("s", role=Role.USER, content="free")
            assert len(await store.messages.tail("s", 9)) == 4


async def test_an_exclusively_locked_database_can_not_be_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(path, 3)
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseLockedError) as failure:
            await open_and_close(path)
    assert "Close" in failure.value.next_step


async def open_and_close(path: Path) -> None:
    async with await Store.open(path):
        pass


async def refused(path: Path, error: type[StorageError]) -> StorageError:
    """Check that the file is refused, and left as it was."""
    before = path.read_bytes()
    with pytest.raises(error) as failure:
        await open_and_close(path)
    assert path.read_bytes() == before
    assert str(path) in failure.value.message
    assert failure.value.next_step
    return failure.value


async def test_a_newer_database_is_left_alone(path: Path) -> None:
    await filled(path, 3)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 999")
    error = await refused(path, NewerDatabaseError)
    assert "999" in error.message


async def test_a_half_written_file_is_said_to_be_damaged(path: Path) -> None:
    await filled(path, 300)
    whole = path.read_bytes()
    for size in (5000, len(whole) // 2, len(whole) - 4096):
        path.write_bytes(whole[:size])
        error = await refused(path, CorruptDatabaseError)
        assert "--repair" in error.next_step


async def test_damage_within_is_said_when_it_is_met(path: Path) -> None:
    await filled(path, 300)
    whole = bytearray(path.read_bytes())
    for page in range(1, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(whole)
    with pytest.raises(CorruptDatabaseError):
        async with await Store.open(path) as store:
            await store.messages.page("s", 0, 999)


async def test_a_check_finds_damage(path: Path) -> None:
    await filled(path, 300)
    async with await Store.open(path) as store:
        assert await store.check() == []
    whole = bytearray(path.read_bytes())
    whole[-4096 * 3 : -4096 * 3 + 500] = os.urandom(500)
    path.write_bytes(whole)
    async with await Store.open(path) as store:
        assert await store.check() != []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"hello, I am a shopping list" * 100, id="a list"),
        pytest.param(b"{}", id="JSON"),
        pytest.param(os.urandom(9000), id="anything"),
        pytest.param(b"\0" * 5000, id="nothing"),
    ],
)
async def test_what_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    await refused(path, NotADatabaseError)


async def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    await refused(path, NotADatabaseError)


async def test_a_folder_is_no_database(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(NotADatabaseError):
        await open_and_close(path)


async def test_a_file_where_the_folder_should_be_is_told(path: Path) -> None:
    path.parent.write_text("not a folder")
    with pytest.raises(StorageError, match="a file where its folder should be") as caught:
        await open_and_close(path)
    assert not isinstance(caught.value, NotADatabaseError)
    assert path.parent.read_text() == "not a folder"


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert await filled(path, 1) == await kept(path)
