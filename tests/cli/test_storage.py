"""A memory on a PostgreSQL server, by command: chosen, copied to and back, and looked at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.records import Role
from tests.cli.conftest import Scrubjay

if TYPE_CHECKING:
    from pathlib import Path

    from storage.store import Store
    from tests.postgres_server import Server


@pytest.fixture
def shared(tmp_path: Path, postgres: Server) -> Scrubjay:
    """A home that has chosen a server."""
    address = postgres.cleared()
    return Scrubjay(
        tmp_path / "shared",
        SCRUBJAY_STORAGE_URL=address.url,
        PGPASSWORD=address.password or "",
    )


async def keep_something(store: Store) -> None:
    session = await store.sessions.create(title="On jays")
    await store.messages.append(session.id, role=Role.USER, content="What does a jay do?")


def test_everything_is_copied_to_a_server_used_there_and_copied_back(
    scrubjay: Scrubjay, shared: Scrubjay, tmp_path: Path
) -> None:
    url, file = shared.environment["SCRUBJAY_STORAGE_URL"], scrubjay.paths.database_file
    scrubjay.stored(keep_something)
    copied = shared.run("storage", "copy", "--from", str(file), "--to", url)
    assert copied.code == 0, copied
    assert "Copied 1 conversations with 1 messages" in copied.out
    listed = shared.run("sessions", "list")
    assert "On jays" in listed.out
    assert not shared.paths.database_file.exists()
    assert "On jays" in shared.run("sessions", "search", "jay").out
    back = shared.run("storage", "copy", "--from", url, "--to", str(tmp_path / "b.db"), "--json")
    assert back.code == 0, back
    assert back.json["rows"]["messages"] == 1
    with closing(sqlite3.connect(tmp_path / "b.db")) as copy:
        assert copy.execute("SELECT title FROM sessions").fetchall() == [("On jays",)]
    again = shared.run("storage", "copy", "--from", str(file), "--to", url)
    assert again.code == 1
    assert "holds conversations already" in again.err
    saved = shared.run("backup", str(tmp_path / "backup.db"))
    assert saved.code == 0, saved
    purged = shared.run("purge", "--session", "last", "--yes")
    assert purged.code == 0, purged
    assert "they are its keeper's" in purged.err
    assert "On jays" not in shared.run("sessions", "list").out


def test_a_copy_of_nothing_makes_nothing(scrubjay: Scrubjay, tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    copied = scrubjay.run("storage", "copy", "--from", str(missing), "--to", str(tmp_path / "b.db"))
    assert copied.code == 1
    assert "There is no file" in copied.err
    assert not missing.exists()
    assert not (tmp_path / "b.db").exists()
    for wrong in ("mysql://a/b", "postgresql://a:b:c:d"):
        copied = scrubjay.run("storage", "copy", "--from", wrong, "--to", "b.db")
        assert copied.code == 1
        assert "postgresql://user@host" in copied.err


def test_the_doctor_looks_at_the_server(shared: Scrubjay) -> None:
    def database(**variables: str) -> dict[str, str]:
        found = shared.run("doctor", "--json", **variables).json
        return next(one for one in found if one["name"] == "database")

    url = shared.environment["SCRUBJAY_STORAGE_URL"]
    good = database()
    assert (good["state"], url in good["text"]) == ("ok", True)
    wrong = database(PGPASSWORD="wrong")
    assert (wrong["state"], "does not let this user in" in wrong["text"]) == ("problem", True)
    assert "PGPASSWORD" in wrong["next_step"]
    gone = database(SCRUBJAY_STORAGE_URL="postgresql://jay@127.0.0.1:1/jay")
    assert (gone["state"], "can't be reached" in gone["text"]) == ("problem", True)
    repaired = shared.run("doctor", "--repair")
    assert repaired.code == 1
    assert "no file to repair" in repaired.err


def test_a_password_is_refused_in_the_settings_and_not_repeated(scrubjay: Scrubjay) -> None:
    for url in ("postgresql://jay:corvid@host/jay", "postgresql://host/jay?password=corvid"):
        scrubjay.paths.settings_file.parent.mkdir(parents=True, exist_ok=True)
        scrubjay.paths.settings_file.write_text(f'[storage]\nurl = "{url}"\n')
        listed = scrubjay.run("sessions", "list")
        assert listed.code == 1
        assert "PGPASSWORD" in listed.err
        assert "corvid" not in listed.err


def test_without_its_extra_a_server_can_not_be_chosen_and_nothing_else_needs_it(
    scrubjay: Scrubjay, tmp_path: Path
) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('there is none')")
    without = {"PYTHONPATH": str(tmp_path)}
    assert scrubjay.run("sessions", "list", **without).code == 0
    url = "postgresql://jay@127.0.0.1:1/jay"
    listed = scrubjay.run("sessions", "list", SCRUBJAY_STORAGE_URL=url, **without)
    assert listed.code == 1
    assert "pip install 'scrubjay[postgres]'" in listed.err
