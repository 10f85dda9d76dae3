"""Background writes: gathered, in order, none lost at the end or to a fault."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from storage.batching import BackgroundWrites
from storage.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from storage.store import Store

SQL = "INSERT INTO vectors VALUES (?, 'space', x'00')"


def written(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [
            owner for (owner,) in connection.execute("SELECT owner_id FROM vectors ORDER BY rowid")
        ]
    finally:
        connection.close()


async def written_soon(path: Path, count: int) -> list[str]:
    async with asyncio.timeout(20):
        while len(found := written(path)) < count:
            await asyncio.sleep(0.01)
    return found


async def test_a_full_batch_is_written_at_once_and_the_rest_after_the_delay(
    store: Store, path: Path
) -> None:
    writes = BackgroundWrites(store._database, size=10, seconds=3600)
    for number in range(10):
        writes.put(SQL, [str(number)])
    assert written(path) == []
    assert await written_soon(path, 10) == [str(number) for number in range(10)]
    writes.put(SQL, ["late"])
    await writes.close()
    assert written(path)[-1] == "late"


async def test_what_is_few_is_written_after_the_delay(store: Store, path: Path) -> None:
    writes = BackgroundWrites(store._database, size=10, seconds=0.01)
    writes.put(SQL, ["one"])
    assert await written_soon(path, 1) == ["one"]
    await writes.close()


async def test_flush_waits_for_everything(store: Store, path: Path) -> None:
    writes = BackgroundWrites(store._database, size=7, seconds=3600)
    for number in range(100):
        writes.put(SQL, [str(number)])
    await writes.flush()
    assert len(written(path)) == 100
    await writes.close()


async def test_what_fails_stays_queued_and_flush_says_so(store: Store, path: Path) -> None:
    writes = BackgroundWrites(store._database, size=7, seconds=0.01)
    await store._database.write("ALTER TABLE vectors RENAME TO elsewhere")
    writes.put(SQL, ["one"])
    with pytest.raises(StorageError):
        await writes.flush()
    await store._database.write("ALTER TABLE elsewhere RENAME TO vectors")
    assert await written_soon(path, 1) == ["one"]
    await writes.close()


async def test_a_cancelled_flush_writes_nothing_twice(store: Store, path: Path) -> None:
    writes = BackgroundWrites(store._database, size=1000, seconds=3600)
    for number in range(300):
        writes.put("INSERT INTO vectors VALUES (? || hex(randomblob(8)), 's', x'00')", [number])
    flush = asyncio.create_task(writes.flush())
    for _ in range(3):
        await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    await writes.close()
    assert len(written(path)) == 300
