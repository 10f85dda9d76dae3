"""Memories in an SQLite file: of an older schema, and gone from the disk when forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from storage import database
from storage.records import Role
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_memories_of_an_older_database_are_the_owners(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "migrations"
    old.mkdir()
    for script in sorted(database.MIGRATIONS.glob("*.sql"))[:3]:
        (old / script.name).write_bytes(script.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", old)
        await (await Store.open(path)).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO sessions (id, title, title_origin, user_id, created_at, updated_at)"
            " VALUES ('s', '', 'none', 'ana', 1, 1)"
        )
        connection.execute(
            "INSERT INTO facts VALUES (7, 'f', 'tea', 'likes tea', '[]', 1, 1, NULL, NULL, 1)"
        )
        connection.execute(
            "INSERT INTO episodes VALUES (7, 'e', 's', NULL, 'a walk', '[]', NULL, 0, 1)"
        )
        connection.execute("INSERT INTO skills VALUES (7, 'k', 'tea', '', 'Boil water.', 1, 1)")
    async with await Store.open(path) as store:
        [fact] = await store.facts.search("tea")
        assert (fact.id, fact.entity_id, fact.pinned) == ("f", None, False)
        [episode] = await store.episodes.search("walk", entity_id="ana")
        assert episode.id == "e"
        [skill] = await store.skills.search("water")
        assert await store.skills.named("tea") == skill
        await store.skills.change_text(skill.id, "Use a samovar.")
        assert await store.skills.search("water") == []
        assert [one.id for one in await store.skills.search("samovar")] == ["k"]
        await store.skills.add("tea", "Buy it.", entity_id="ana")
        assert await store.check() == []


async def test_nothing_remains_on_the_disk_of_what_was_forgotten_and_scrubbed(
    store: Store, path: Path
) -> None:
    session = await store.sessions.create(title="the xylophonist")
    said = await store.messages.append(session.id, role=Role.USER, content="I am a xylophonist.")
    fact = await store.facts.add("job", "is a xylophonist")
    index = await store.vectors("space", 3)
    await index.add({said.id: [1, 0, 0]})
    await index.flush()
    copy = path.with_name(f"{path.name}.schema-1")
    copy.write_bytes(b"the xylophonist")
    await store.facts.forget(fact.id)
    await store.messages.strike(said.id, content="[forgotten]")
    await store.sessions.rename(session.id, "[forgotten]")
    await store.forget_vectors([said.id])
    assert await index.search([1, 0, 0]) == []
    assert any(b"xylophon" in file.read_bytes() for file in path.parent.iterdir())
    await store.scrub()
    for file in path.parent.iterdir():
        assert b"xylophon" not in file.read_bytes().lower(), file.name
    assert await store.search.sessions("forgotten")
