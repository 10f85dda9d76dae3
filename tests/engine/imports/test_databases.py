"""The databases of oterm and elia, made here with the tables that those programs make."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from engine.imports import take_in
from storage.errors import StorageError
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.library import Library
    from storage.records import Message

OTERM_0_9 = """
    CREATE TABLE IF NOT EXISTS "chat" (
        "id" INTEGER, "name" TEXT, "model" TEXT NOT NULL, "system" TEXT, "format" TEXT,
        "parameters" TEXT DEFAULT "{}", "keep_alive" INTEGER DEFAULT 5, "tools" TEXT DEFAULT "[]",
        PRIMARY KEY("id" AUTOINCREMENT)
    );
    CREATE TABLE IF NOT EXISTS "message" (
        "id" INTEGER, "chat_id" INTEGER NOT NULL, "author" TEXT NOT NULL, "text" TEXT NOT NULL,
        "images" TEXT DEFAULT "[]",
        PRIMARY KEY("id" AUTOINCREMENT)
        FOREIGN KEY("chat_id") REFERENCES "chat"("id") ON DELETE CASCADE
    );
"""
OTERM_0_15 = """
    CREATE TABLE "chat" (
        "id" INTEGER, "name" TEXT, "model" TEXT NOT NULL, "system" TEXT,
        "provider" TEXT DEFAULT "ollama", "parameters" TEXT DEFAULT "{}",
        "tools" TEXT DEFAULT "[]", "thinking" BOOLEAN DEFAULT 0,
        PRIMARY KEY("id" AUTOINCREMENT)
    );
    CREATE TABLE "message" (
        "id" INTEGER, "chat_id" INTEGER NOT NULL, "author" TEXT NOT NULL, "text" TEXT NOT NULL,
        "images" TEXT DEFAULT "[]",
        PRIMARY KEY("id" AUTOINCREMENT)
    );
"""
ELIA = """
    CREATE TABLE system_prompt (
        id INTEGER NOT NULL, title VARCHAR NOT NULL, prompt VARCHAR NOT NULL,
        created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), PRIMARY KEY (id)
    );
    CREATE TABLE chat (
        id INTEGER NOT NULL, model VARCHAR NOT NULL, title VARCHAR,
        started_at DATETIME DEFAULT (CURRENT_TIMESTAMP), archived BOOLEAN NOT NULL,
        PRIMARY KEY (id)
    );
    CREATE TABLE message (
        id INTEGER NOT NULL, chat_id INTEGER, role VARCHAR NOT NULL, content VARCHAR NOT NULL,
        timestamp DATETIME DEFAULT (CURRENT_TIMESTAMP), meta JSON, parent_id INTEGER,
        model VARCHAR, PRIMARY KEY (id), FOREIGN KEY(chat_id) REFERENCES chat (id),
        FOREIGN KEY(parent_id) REFERENCES message (id)
    );
"""


def make(path: Path, tables: str, **rows: Sequence[dict[str, Any]]) -> Path:
    """A database with rows; of what is there already, more rows."""
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
            connection.executescript(tables)
        for table, values in rows.items():
            for row in values:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                connection.execute(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values())
                )
        connection.commit()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def line(number: int, author: str, text: str, chat_id: int = 1) -> dict[str, Any]:
    return {"id": number, "chat_id": chat_id, "author": author, "text": text}


async def said(library: Library) -> list[Message]:
    [session] = await library.sessions()
    return list(await library.page(session.id, 0, 99))


@pytest.mark.parametrize(
    ("tables", "authors", "provider"),
    [(OTERM_0_9, ("me", "ollama"), {}), (OTERM_0_15, ("user", "assistant"), {"provider": "groq"})],
    ids=["0.9", "0.15"],
)
async def test_oterms_conversations_of_any_version_are_read(
    library: Library,
    tmp_path: Path,
    tables: str,
    authors: tuple[str, str],
    provider: dict[str, str],
) -> None:
    user, model = authors
    file = make(
        tmp_path / "store.db",
        tables,
        chat=[{"id": 1, "name": "Jays", "model": "llama3", **provider}],
        message=[
            line(1, user, "Who sings?"),
            line(2, model, "A jay."),
            line(3, "system", "Be brief."),
            {**line(4, user, "And this?"), "images": '["aGk="]'},
            line(5, "ghost", "Boo."),
        ],
    )
    report = await take_in(library, file)
    assert (report.format, report.new, report.messages) == ("oterm", 1, 3)
    asked, answer, last = await said(library)
    assert (asked.role, asked.content, asked.model) == (Role.USER, "Who sings?", None)
    assert (answer.role, answer.content) == (Role.ASSISTANT, "A jay.")
    assert answer.model == f"{provider.get('provider', 'ollama')}:llama3"
    assert (last.content, last.created_at) == ("And this?", 1_700_000_000)
    reasons = {(one.what, one.why.split()[0]) for one in report.skipped}
    assert reasons == {
        ("message", "an"),
        ("message", "of"),
        ("picture", "pictures"),
        ("time", "oterm"),
    }


async def test_an_oterm_that_went_on_is_added_to(library: Library, tmp_path: Path) -> None:
    chats: list[dict[str, Any]] = [
        {"id": 1, "name": "Jays", "model": "m"},
        {"id": 2, "name": None, "model": "m"},
    ]
    lines = [line(1, "user", "Hello"), line(2, "assistant", "Hi"), line(3, "user", "Hello", 2)]
    file = make(tmp_path / "store.db", OTERM_0_9, chat=chats, message=lines)
    first = await take_in(library, file)
    assert (first.new, first.messages) == (2, 3)
    again = await take_in(library, file)
    assert (again.unchanged, again.messages) == (2, 0)
    make(file, OTERM_0_9, message=[line(4, "user", "More")])
    grown = await take_in(library, file)
    assert (grown.grown, grown.unchanged, grown.messages) == (1, 1, 1)
    [session] = [one for one in await library.sessions() if one.title == "Jays"]
    shown = await library.page(session.id, 0, 9)
    assert [one.content for one in shown] == ["Hello", "Hi", "More"]


async def test_elias_conversations_keep_their_times_and_replies(
    library: Library, tmp_path: Path
) -> None:
    def row(number: int, role: str, content: str, **more: Any) -> dict[str, Any]:
        return {
            "id": number,
            "chat_id": 7,
            "role": role,
            "content": content,
            "timestamp": f"2024-05-01 12:00:0{number}.500000",
            "meta": "{}",
            **more,
        }

    file = make(
        tmp_path / "elia.sqlite",
        ELIA,
        chat=[
            {
                "id": 7,
                "model": "gpt-4o",
                "title": "Jays",
                "started_at": "2024-05-01 12:00:00.000000",
                "archived": 0,
            }
        ],
        message=[
            row(1, "system", "You are Elia."),
            row(2, "user", "Who sings?"),
            row(3, "assistant", "A jay.", parent_id=2, model="ollama/llama3"),
            row(4, "assistant", "A crow.", parent_id=2, model="gpt-4o"),
        ],
    )
    report = await take_in(library, file)
    assert (report.format, report.new, report.messages) == ("elia", 1, 3)
    asked, answer = await said(library)
    assert asked.created_at == 1_714_564_802.5
    assert (answer.content, answer.model) == ("A crow.", "elia:gpt-4o")
    [session] = await library.sessions()
    every = await library.every(session.id)
    assert [(one.message.content, one.message.model) for one in every][1] == (
        "A jay.",
        "ollama:llama3",
    )
    assert session.created_at == 1_714_564_800
    again = await take_in(library, file)
    assert (again.unchanged, again.messages) == (1, 0)


async def test_a_database_of_another_program_is_left_alone(
    library: Library, tmp_path: Path
) -> None:
    file = make(tmp_path / "other.db", "CREATE TABLE chat (id); CREATE TABLE message (id);")
    before = file.read_bytes()
    with pytest.raises(Exception, match="no format that can be imported"):
        await take_in(library, file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "other.db"]


async def test_a_damaged_database_is_told(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    make(
        file,
        OTERM_0_9,
        chat=[{"id": 1, "name": "Jays", "model": "m"}],
        message=[line(number, "user", "x" * 4000) for number in range(1, 9)],
    )
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(StorageError, match=r"store\.db can't be read"):
        await take_in(library, file)
    assert await library.sessions() == []
