"""The sums of what answers cost, in a file that an older version wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from storage.store import Store
from tests.storage.every_store.test_usage import answered

if TYPE_CHECKING:
    from pathlib import Path


SINCE_THEN = ("usage_", "message_cost", "image", "message_shows", "message_images")
"""How what the later migrations made is called."""


async def test_what_was_answered_before_the_sums_were_kept_is_in_them(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "old.db")
    session = await store.sessions.create()
    await answered(store, session.id, "a:small", 5, first=0.2)
    before = await store.usage_by("model"), await store.usage_by("day"), await store.usage()
    await store.close()
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        names = [
            (kind, name)
            for kind, name in old.execute("SELECT type, name FROM sqlite_schema").fetchall()
            if name.startswith(SINCE_THEN)
        ]
        for kind, name in sorted(names, key=lambda found: found[0] != "trigger"):
            old.execute(f"DROP {kind} IF EXISTS {name}")
        old.execute("PRAGMA user_version = 4")
        old.commit()
    store = await Store.open(tmp_path / "old.db")
    try:
        after = await store.usage_by("model"), await store.usage_by("day"), await store.usage()
    finally:
        await store.close()
    assert after == before
    assert after[0][0].eval_tokens == 5
