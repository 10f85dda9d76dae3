"""A database that can't be used, as the app and the command line tell it: clearly, and unharmed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.records import Role
from storage.store import Store
from tests.homes import environment
from tests.terminal.screen import Terminal

ROOT = Path(__file__).parents[2]
APP = [sys.executable, "-m", "tui.cli"]
LIST = [*APP, "sessions", "list"]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of an empty home with its data in `tmp_path/data`."""
    return environment(tmp_path / "home", SCRUBJAY_DATA_DIR=str(tmp_path / "data"))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a conversation in it."""
    file = tmp_path / "data" / "scrubjay.db"

    async def fill() -> None:
        async with await Store.open(file) as store:
            session = await store.sessions.create(title="Birds")
            for n in range(200):
                await store.messages.append(session.id, role=Role.USER, content=f"Remark {n}. " * 9)

    asyncio.run(fill())
    return file


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA user_version = 999")


def foreign(file: Path) -> None:
    file.write_bytes(b"hello, I am a shopping list" * 100)


def half_written(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


FAULTS = [
    (newer, "was written by a newer Scrubjay", "Install the newer version"),
    (foreign, "is not a Scrubjay database", "SCRUBJAY_DATA_DIR"),
    (half_written, "damaged", "--repair"),
]


@pytest.mark.parametrize(("harm", "says", "advises"), FAULTS)
def test_the_command_line_says_what_is_wrong_and_what_to_do(
    database: Path, home: dict[str, str], harm: object, says: str, advises: str
) -> None:
    assert callable(harm)
    harm(database)
    before = database.read_bytes()
    done = subprocess.run(LIST, env=home, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert says in done.stderr
    assert advises in done.stderr
    assert "Traceback" not in done.stderr
    assert database.read_bytes() == before


@pytest.mark.parametrize(("harm", "says", "advises"), FAULTS)
def test_the_app_says_what_is_wrong_and_what_to_do(
    database: Path, home: dict[str, str], harm: object, says: str, advises: str
) -> None:
    assert callable(harm)
    harm(database)
    before = database.read_bytes()
    with Terminal(APP, env=home, cwd=ROOT, columns=500) as terminal:
        terminal.wait_for(lambda text: says in text and advises in text)
        assert terminal.wait_for_end() == 1
        assert "Traceback" not in terminal.text
    assert database.read_bytes() == before


def test_a_full_disk_is_said_by_the_command_line(home: dict[str, str]) -> None:
    # The limit on a file's size stands for the disk's.
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *LIST]
    done = subprocess.run(limited, env=home, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "disk is full" in done.stderr.lower() or "make room" in done.stderr.lower()
    assert "Traceback" not in done.stderr
