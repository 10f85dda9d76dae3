"""Reading rows from pages: right for a sound file, and never at a loss for any other."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.pages import Shape, read_rows
from storage.records import Role
from storage.store import Store

TABLES = ("sessions", "messages", "citations", "episodes", "vectors")


async def fill(path: Path) -> None:
    async with await Store.open(path) as store:
        session = await store.sessions.create(title="Ünïcode")
        for number in range(60):
            await store.messages.append(
                session.id, role=Role.USER, content="x" * number * 300, created_at=float(number)
            )
        await store.episodes.add("one", score=0.25, success=True)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "scrubjay.db"
    asyncio.run(fill(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executemany(
            "INSERT INTO citations VALUES (?, ?, ?)", [(f"m{n}", n, "a") for n in range(500)]
        )
    return path


def shapes(path: Path) -> list[Shape]:
    with closing(sqlite3.connect(path)) as connection:
        return [Shape.of(connection, table) for table in TABLES]


def test_a_sound_file_gives_every_row(sound: Path) -> None:
    found: dict[str, set[tuple[Any, ...]]] = {table: set() for table in TABLES}
    for shape, values in read_rows(sound, shapes(sound)):
        assert tuple(values) not in found[shape.table]
        found[shape.table].add(tuple(values))
    with closing(sqlite3.connect(sound)) as connection:
        for shape in shapes(sound):
            columns = ", ".join(shape.columns)
            rows = connection.execute(f"SELECT {columns} FROM {shape.table}").fetchall()
            assert found[shape.table] == set(rows)
    assert len(found["citations"]) == 500


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)),
        max_size=30,
    ),
    st.floats(0, 1),
)
def test_no_damage_is_too_much(sound: Path, damages: list[tuple[float, bytes]], cut: float) -> None:
    content = bytearray(sound.read_bytes())
    size = len(content)
    for place, noise in damages:
        at = int(place * size)
        content[at : at + len(noise)] = noise
    with TemporaryDirectory() as folder:
        damaged = Path(folder) / "damaged.db"
        damaged.write_bytes(content[: int(cut * size)])
        for shape, values in read_rows(damaged, shapes(sound)):
            assert len(values) == len(shape.columns)
