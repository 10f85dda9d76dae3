"""Copying a whole store: all of it arrives, whatever kind the stores are, and it can go on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage import copying
from storage.articles import Draft
from storage.errors import StorageError
from storage.records import Finish, Role, ToolCall, Usage
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from storage.postgres.address import Address
    from tests.postgres_server import Server


async def fill(store: Store) -> None:
    """Some of everything, awkward things among it."""
    for number in range(6):
        session = await store.sessions.create(title=f"No. {number} é\x00", user_id=None)
        question = await store.messages.append(session.id, role=Role.USER, content="why? \x00\x1a1")
        for text in ("first", "second 🎉"):
            await store.messages.append(
                session.id,
                role=Role.ASSISTANT,
                content=text,
                parent_id=question.id,
                finish=Finish.STOPPED,
                model="a:b",
                usage=Usage(prompt_tokens=3, eval_tokens=4, eval_seconds=0.1),
                tool_calls=[ToolCall(id="1", name="add", arguments={"a": [None, "\x00"]})],
            )
        await store.sessions.set_state(session.id, "tags", ["birds"])
    image = await store.images.keep(b"\x89PNG\x00")
    await store.images.keep(b"shown by nothing yet")
    await store.messages.append(
        session.id, role=Role.USER, content=f"what is ![it](image:{image})?", parent_id=question.id
    )
    await store.sessions.archive(session.id)
    [article] = await store.articles.upsert(
        session.id, [Draft(url="https://a.b/" + "c" * 3000, source="s", title="t", text="x" * 9999)]
    )
    await store.articles.cite(question.id, [article.id])
    await store.episodes.add("a walk", tags=["fun"], success=True, score=0.25)
    fact = await store.facts.add("tea", "likes tea", source_ids=[question.id])
    await store.facts.supersede(fact.id, "likes coffee")
    await store.skills.add("walk", "One foot, then the other.")
    await store.recall_source.leave_out([question.id])
    await store.message_vectors.keep("space", {question.id: b"\x00\x01\xff\x7f"})
    await store.set_state("draft", {"text": "unsent"})


async def outline(store: Store) -> object:
    sessions = [*await store.sessions.list(), *await store.sessions.list(archived=True)]
    return (
        sessions,
        [await store.messages.every(session.id) for session in sessions],
        [await store.messages.tail(session.id, 9) for session in sessions],
        [await store.articles.of_session(session.id) for session in sessions],
        [fact async for fact in store.facts.stream()],
        [episode async for episode in store.episodes.stream()],
        [skill async for skill in store.skills.stream()],
        await store.database.fetch_all("SELECT sha256, bytes FROM images ORDER BY sha256"),
        await store.database.fetch_all("SELECT sha256, message_id FROM image_uses"),
        await store.message_vectors.after("space", 0, user_id=None, limit=9),
        await store.recall_source.between(0, 999, user_id=None, limit=999),
        await store.state("draft"),
        await store.usage(),
        (await store.figures()).messages,
        [hit.session.id for hit in await store.search.sessions("second")],
    )


async def goes_on(store: Store) -> None:
    """New rows come after those that were copied."""
    [last, *_] = await store.sessions.list(limit=1)
    said = await store.messages.append(last.id, role=Role.USER, content="and now?")
    assert said.position == last.message_count
    assert (await store.recall_source.newest())[1] == said.id
    await store.facts.add("milk", "likes milk")
    await store.sessions.create()
    assert await store.check() == []


@pytest.fixture
def server(postgres: Server) -> Address:
    return postgres.cleared()


async def test_everything_arrives_on_a_server_and_comes_back(
    tmp_path: Path, server: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 4)
    told: list[tuple[str, int, int]] = []
    async with (
        await Store.open(tmp_path / "here.db") as here,
        await Store.open(server) as there,
        await Store.open(tmp_path / "back.db") as back,
    ):
        await fill(here)
        copied = await copying.copy(here, there, lambda *progress: told.append(progress))
        assert (copied.rows["sessions"], copied.rows["messages"]) == (6, 19)
        assert ("copying messages", 19, 19) in told
        assert await outline(there) == await outline(here)
        again = await copying.copy(there, back)
        assert again == copied
        assert await outline(back) == await outline(here)
        for store in (there, back):
            await goes_on(store)


async def test_a_copy_that_broke_off_goes_on_where_it_was(
    tmp_path: Path, server: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 4)

    def break_off(what: str, done: int, _total: int) -> None:
        if what == "copying messages" and done == 8:
            raise KeyboardInterrupt

    told: list[tuple[str, int, int]] = []
    async with await Store.open(tmp_path / "here.db") as here:
        await fill(here)
        async with await Store.open(server) as there:
            with pytest.raises(KeyboardInterrupt):
                await copying.copy(here, there, break_off)
        async with await Store.open(server) as there:
            await copying.copy(here, there, lambda *progress: told.append(progress))
            assert told[0] == ("copying messages", 12, 19)
            assert await outline(there) == await outline(here)
            assert await there.state(copying.MARK) is None


async def test_nothing_is_mixed(tmp_path: Path) -> None:
    async with (
        await Store.open(tmp_path / "one.db") as one,
        await Store.open(tmp_path / "other.db") as other,
    ):
        await one.sessions.create(title="one")
        await other.sessions.create(title="other")
        with pytest.raises(StorageError, match="holds conversations already"):
            await copying.copy(one, other)
        assert [session.title for session in await other.sessions.list()] == ["other"]


async def test_what_was_changed_meanwhile_is_noticed_and_made_good_by_another_copy(
    tmp_path: Path, server: Address
) -> None:
    async with await Store.open(tmp_path / "here.db") as here, await Store.open(server) as there:
        await fill(here)
        [session, *_] = await here.sessions.list()

        def meddle(what: str, _done: int, _total: int) -> None:
            if what == "copying program state":
                with closing(sqlite3.connect(tmp_path / "here.db")) as other, other:
                    other.execute("UPDATE messages SET thinking = 'hm'")

        with pytest.raises(StorageError, match="copies of messages differ"):
            await copying.copy(here, there, meddle)
        await copying.copy(here, there)
        assert (await there.messages.tail(session.id, 1))[0].thinking == "hm"


async def test_a_backup_of_a_server_is_a_file(tmp_path: Path, server: Address) -> None:
    async with await Store.open(server) as there:
        await fill(there)
        await there.backup(tmp_path / "backup.db")
        async with await Store.open(tmp_path / "backup.db") as file:
            assert await outline(file) == await outline(there)
        with pytest.raises(FileExistsError):
            await there.backup(tmp_path / "backup.db")
        with pytest.raises(OSError, match="No such"):
            await there.backup(tmp_path / "nowhere" / "backup.db")


async def test_no_table_is_forgotten(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "here.db") as store:
        rows = await store.database.fetch_all(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
            " AND name NOT LIKE '%\\_index%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'"
        )
    assert {name for (name,) in rows} == {t.name for t in copying.TABLES} | copying.DERIVED
