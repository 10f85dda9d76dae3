"""`scrubjay backup` and archiving: copies made while others write, and lists kept short."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from storage.records import Role
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scrubjay


async def _two(store: Store) -> list[str]:
    ids = []
    for title in ("Old birds", "New birds"):
        session = await store.sessions.create(title=title)
        await store.messages.append(
            session.id,
            role=Role.USER,
            content="Who sings?",
            created_at=time.time() - (10 * 86_400 if title == "Old birds" else 0),
        )
        ids.append(session.id)
    return ids


def test_a_backup_holds_everything_and_can_be_opened(scrubjay: Scrubjay, tmp_path: Path) -> None:
    ids = scrubjay.stored(_two)
    result = scrubjay.run("backup", str(tmp_path / "copy.db"))
    assert (result.code, result.err) == (0, "")
    assert "2 conversations" in result.out

    async def kept() -> list[str]:
        async with await Store.open(tmp_path / "copy.db") as store:
            return [session.id for session in await store.sessions.list()]

    assert sorted(asyncio.run(kept())) == sorted(ids)


def test_a_backup_overwrites_nothing(scrubjay: Scrubjay, tmp_path: Path) -> None:
    scrubjay.stored(_two)
    file = tmp_path / "copy.db"
    file.write_text("precious")
    result = scrubjay.run("backup", str(file))
    assert result.code == 1
    assert "is there already" in result.err
    assert file.read_text() == "precious"


def test_a_backup_to_nowhere_is_an_error(scrubjay: Scrubjay, tmp_path: Path) -> None:
    scrubjay.stored(_two)
    result = scrubjay.run("backup", str(tmp_path / "no" / "such" / "folder" / "copy.db"))
    assert result.code == 1
    assert "Traceback" not in result.err


def test_an_archived_conversation_leaves_the_list_and_comes_back(scrubjay: Scrubjay) -> None:
    old, new = scrubjay.stored(_two)
    assert scrubjay.run("sessions", "archive", old).code == 0
    listed = scrubjay.run("sessions", "list", "--json").json
    assert [session["id"] for session in listed] == [new]
    archived = scrubjay.run("sessions", "list", "--archived", "--json").json
    assert [session["id"] for session in archived] == [old]
    assert scrubjay.run("sessions", "restore", old).code == 0
    assert len(scrubjay.run("sessions", "list", "--json").json) == 2


def test_what_is_long_unused_is_archived_when_the_settings_say_so(scrubjay: Scrubjay) -> None:
    async def age(store: Store) -> list[str]:
        ids = await _two(store)
        async with store._database.transaction() as transaction:
            await transaction.execute(
                "UPDATE sessions SET updated_at = ? WHERE id = ?",
                (time.time() - 10 * 86_400, ids[0]),
            )
        return ids

    old, new = scrubjay.stored(age)
    assert len(scrubjay.run("sessions", "list", "--json").json) == 2
    setting = {"SCRUBJAY_STORAGE_ARCHIVE_AFTER_DAYS": "7"}
    scrubjay.run("sessions", "list", "--json", **setting)
    listed = scrubjay.run("sessions", "list", "--json", **setting).json
    assert [session["id"] for session in listed] == [new]
    archived = scrubjay.run("sessions", "list", "--archived", "--json").json
    assert [session["id"] for session in archived] == [old]
