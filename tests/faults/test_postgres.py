"""A server that is restarted, killed or out of reach: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from storage.changes import AnythingTouched, ConnectionChanged, SessionTouched
from storage.errors import (
    ConnectionLostError,
    OutboxFullError,
    StaleSessionError,
    StorageError,
)
from storage.postgres.writes import Ask, encoded
from storage.records import Finish, Role
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.changes import Change
    from storage.postgres.address import Address
    from tests.postgres_server import Server

DEADLINE_SECONDS = 60.0


async def opened(place: Path | Address, tmp_path: Path) -> Store:
    return await Store.open(place, waiting_in=tmp_path / "waiting")


async def back(store: Store, sent: asyncio.Task[ConnectionChanged]) -> ConnectionChanged:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await sent


def told_back(store: Store) -> asyncio.Task[ConnectionChanged]:
    """When the connection is back; asked for before it is lost."""

    async def wait() -> ConnectionChanged:
        async for change in store.watch():
            if isinstance(change, ConnectionChanged) and not change.lost:
                return change
        raise AssertionError

    return asyncio.create_task(wait())


async def texts(store: Store, session_id: str) -> list[str]:
    return [message.content for message in await store.messages.tail(session_id, 10_000)]


async def kill_server(server: Server) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def restart_server(server: Server) -> None:
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


async def kill_backends(server: Server) -> None:
    assert await asyncio.to_thread(server.kill_backends)


@pytest.mark.parametrize("fault", [kill_server, restart_server, kill_backends])
async def test_what_was_acknowledged_is_kept_once_and_in_order(
    postgres: Server, tmp_path: Path, fault: Callable[[Server], object]
) -> None:
    async with await opened(postgres.cleared(), tmp_path) as store:
        session = await store.sessions.create()
        acknowledged: list[str] = []
        over = asyncio.Event()

        async def write() -> None:
            while not over.is_set():
                text = f"number {len(acknowledged)}"
                message = await store.messages.append(session.id, role=Role.USER, content=text)
                assert message.content == text
                acknowledged.append(text)

        sent = told_back(store)
        writing = asyncio.create_task(write())
        while len(acknowledged) < 20:
            await asyncio.sleep(0.01)
        await fault(postgres)  # type: ignore[misc]
        await back(store, sent)
        more = len(acknowledged) + 20
        while len(acknowledged) < more:
            assert not writing.done()
            await asyncio.sleep(0.01)
        over.set()
        await writing
        assert await texts(store, session.id) == acknowledged
        kept = await store.messages.tail(session.id, 10_000)
        assert [message.position for message in kept] == list(range(len(kept)))
        assert await store.check() == []
    assert not list((tmp_path / "waiting").glob("*")), "what was sent waits no more"


async def test_an_answer_that_is_being_written_when_the_server_goes_is_kept_whole(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as store:
        session = await store.sessions.create(title="before")
        question = await store.messages.append(session.id, role=Role.USER, content="why?")
        answer = await store.messages.append(
            session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        sent = told_back(store)
        await asyncio.to_thread(postgres.stop)
        try:
            for text in ("because", "because it", "because it is"):
                await store.messages.checkpoint(answer.id, content=text)
            ended = await store.messages.finish(
                answer.id, finish=Finish.COMPLETE, content="because it is so.", model="a:b"
            )
            assert ended.content == "because it is so."
            # What was seen can be read, what was written included; what was not can't.
            assert await store.messages.tail(session.id, 9) == [question, ended]
            assert [one.id for one in await store.sessions.list()] == [session.id]
            renamed = await store.sessions.rename(session.id, "meanwhile")
            assert renamed.title == "meanwhile"
            await store.sessions.set_state(session.id, "draft", "a\x00 b")
            made = await store.sessions.create(title="made meanwhile")
            await store.messages.append(made.id, role=Role.USER, content="hello \ud800")
            async with store.facts.batch() as batch:
                fact = batch.add("tea", "likes tea")
            for reading in (
                store.search.sessions("because"),
                store.sessions.get("never seen"),
                store.messages.tail("never seen", 3),
            ):
                with pytest.raises(ConnectionLostError):
                    await reading
            with pytest.raises(ConnectionLostError):
                await store.sessions.save(session)
        finally:
            await asyncio.to_thread(postgres.start)
        change = await back(store, sent)
        assert (change.sent, change.refused) == (7, 0)  # of three checkpoints only the last
    async with await opened(address, tmp_path) as store:
        assert await texts(store, session.id) == ["why?", "because it is so."]
        kept = await store.sessions.known(session.id)
        assert (kept.title, kept.state) == ("meanwhile", {"draft": "a\x00 b"})
        assert await texts(store, made.id) == ["hello ?"]
        assert await store.facts.search("tea") == [fact]
        assert await store.search.sessions("because it is so")


async def test_a_question_with_an_image_and_its_answer_wait_together(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as store:
        session = await store.sessions.create()
        sent = told_back(store)
        await asyncio.to_thread(postgres.stop)
        try:
            image = await store.images.keep(b"a jay\x00")
            assert await store.images.get(image) == b"a jay\x00"
            content = f"What is ![it](image:{image})?"
            question, answer = await store.messages.ask(session.id, content=content, model="a:b")
            assert (question.position, answer.position) == (0, 1)
            assert answer.parent_id == question.id
            ended = await store.messages.finish(answer.id, finish=Finish.COMPLETE, content="A jay.")
            second, _ = await store.messages.ask(session.id, content="Sure?", model="a:b")
            assert second.parent_id == answer.id
            # Whatever else is asked depends on what can't be seen now.
            with pytest.raises(ConnectionLostError):
                await store.messages.ask(
                    session.id, content="Or?", model=None, parent_id=question.id
                )
            with pytest.raises(ConnectionLostError):
                await store.images.get("0" * 64)
        finally:
            await asyncio.to_thread(postgres.start)
        change = await back(store, sent)
        assert (change.sent, change.refused) == (4, 0)
    async with await opened(address, tmp_path) as store:
        kept = await store.messages.tail(session.id, 9)
        assert [one.content for one in kept] == [content, "A jay.", "Sure?", ""]
        assert kept[:2] == [
            question,
            msgspec.structs.replace(ended, finished_at=kept[1].finished_at),
        ]
        assert kept[3].finish is Finish.STREAMING
        assert await store.images.get(image) == b"a jay\x00"
        await store.purge([session.id])
        assert await store.images.get(image) is None


async def test_a_question_that_was_committed_before_is_not_asked_again(
    postgres: Server, tmp_path: Path
) -> None:
    async with await opened(postgres.cleared(), tmp_path) as store:
        session = await store.sessions.create()
        question, answer = await store.messages.ask(session.id, content="why?", model="a:b")
        write = Ask(
            session_id=session.id,
            ids=(question.id, answer.id),
            content="why?",
            model="a:b",
            follows_last=True,
            created_at=question.created_at,
        )
        await store._link._do(encoded(write))  # type: ignore[attr-defined]
        assert await store.messages.tail(session.id, 9) == [question, answer]


async def test_what_waited_when_a_process_was_killed_is_sent_by_the_next(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.postgres_writer", address.url, tmp_path / "waiting"],
        env={"PGPASSWORD": address.password or "", "PYTHONPATH": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        session_id = (await asyncio.to_thread(writer.stdout.readline)).strip()
        await asyncio.to_thread(postgres.stop)
        try:
            writer.stdin.write("go on\n")
            writer.stdin.flush()
            acknowledged = [(await asyncio.to_thread(writer.stdout.readline)).strip()]
            acknowledged += [
                (await asyncio.to_thread(writer.stdout.readline)).strip() for _ in range(9)
            ]
            writer.send_signal(signal.SIGKILL)
            writer.wait(DEADLINE_SECONDS)
        finally:
            await asyncio.to_thread(postgres.start)
    finally:
        writer.kill()
        writer.communicate()
    async with await opened(address, tmp_path) as store:
        assert (await texts(store, session_id))[: len(acknowledged)] == acknowledged
    assert not list((tmp_path / "waiting").glob("*"))


async def test_a_full_outbox_says_so_and_what_it_took_is_kept(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres.outbox.MOST", 3)
    async with await opened(postgres.cleared(), tmp_path) as store:
        session = await store.sessions.create()
        sent = told_back(store)
        await asyncio.to_thread(postgres.stop)
        try:
            for number in range(3):
                await store.messages.append(session.id, role=Role.USER, content=str(number))
            with pytest.raises(OutboxFullError, match="3 writes wait") as full:
                await store.messages.append(session.id, role=Role.USER, content="too much")
            assert "Nothing that waits is lost" in full.value.next_step
        finally:
            await asyncio.to_thread(postgres.start)
        await back(store, sent)
        assert await texts(store, session.id) == ["0", "1", "2"]


async def test_what_the_server_refuses_later_is_told_and_kept_aside(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as store:
        session = await store.sessions.create()
        sent = told_back(store)
        await asyncio.to_thread(postgres.stop)
        try:
            await store.messages.append(session.id, role=Role.USER, content="precious")
        finally:
            # Whoever comes first purges the session.
            store._link._do = slowed(store._link._do, postgres, address.database)  # type: ignore[attr-defined]
            await asyncio.to_thread(postgres.start)
        change = await back(store, sent)
        assert (change.sent, change.refused) == (0, 1)
        await store.sessions.create(title="the store goes on")
    [file] = (tmp_path / "waiting").glob("*")
    assert b"precious" in file.read_bytes()


def slowed(do: Callable[[bytes], object], server: Server, database: str) -> object:
    async def purge_first(data: bytes) -> None:
        statement = "SET search_path TO scrubjay; DELETE FROM sessions"
        await asyncio.to_thread(server.sql, statement, database)
        await do(data)  # type: ignore[misc]

    return purge_first


async def test_without_an_outbox_a_write_fails_while_the_server_is_away(postgres: Server) -> None:
    async with await Store.open(postgres.cleared()) as store:
        session = await store.sessions.create()
        sent = told_back(store)
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(ConnectionLostError, match="can't be reached"):
                await store.messages.append(session.id, role=Role.USER, content="lost")
        finally:
            await asyncio.to_thread(postgres.start)
        await back(store, sent)
        assert await texts(store, session.id) == []


async def test_a_server_that_does_not_answer_is_given_up_and_loses_nothing(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres.link.BEAT_SECONDS", 0.1)
    monkeypatch.setattr("storage.postgres.link.SILENT_SECONDS", 0.5)
    monkeypatch.setattr("storage.postgres.database.CONNECT_SECONDS", 2)
    async with await opened(postgres.cleared(), tmp_path) as store:
        session = await store.sessions.create()
        sent = told_back(store)
        postgres.freeze()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                for number in range(3):
                    await store.messages.append(session.id, role=Role.USER, content=str(number))
        finally:
            postgres.thaw()
        await back(store, sent)
        assert await texts(store, session.id) == ["0", "1", "2"]


async def test_what_waited_in_a_store_that_was_closed_is_sent_by_the_next(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as store:
        session = await store.sessions.create()
        await asyncio.to_thread(postgres.stop)
        try:
            await store.messages.append(session.id, role=Role.USER, content="later")
        finally:
            await store.close()
            await asyncio.to_thread(postgres.start)
    async with await opened(address, tmp_path) as store:
        assert await texts(store, session.id) == ["later"]


async def test_two_programs_append_at_once_and_nothing_is_lost_or_doubled(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as one, await opened(address, tmp_path) as other:
        session = await one.sessions.create()
        said = [f"{number}" for number in range(200)]
        await asyncio.gather(
            *(
                (one, other)[number % 2].messages.append(session.id, role=Role.USER, content=text)
                for number, text in enumerate(said)
            )
        )
        kept = await other.messages.tail(session.id, 1_000)
        assert sorted(message.content for message in kept) == sorted(said)
        assert [message.position for message in kept] == list(range(200))
        assert [message.parent_id for message in kept[1:]] == [one.id for one in kept[:-1]]
        assert (await one.sessions.known(session.id)).message_count == 200
        keys = [one.key for one in await one.recall_source.between(0, 999, user_id=None, limit=999)]
        assert keys == sorted(set(keys))
        stale = await one.sessions.known(session.id)
        winner = await other.sessions.save(stale)
        with pytest.raises(StaleSessionError, match="changed by somebody else"):
            await one.sessions.save(stale)
        assert await one.sessions.get(session.id) == winner


async def test_branches_and_appends_of_two_programs_leave_one_whole_conversation(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as one, await opened(address, tmp_path) as other:
        session = await one.sessions.create()
        root = await one.messages.append(session.id, role=Role.USER, content="root")

        async def retry(number: int) -> None:
            await one.messages.append(
                session.id, role=Role.ASSISTANT, content=f"retry {number}", parent_id=root.id
            )

        async def go_on(number: int) -> None:
            await other.messages.append(session.id, role=Role.USER, content=f"more {number}")

        async def put_between(number: int) -> None:
            await other.messages.insert(root.id, role=Role.TOOL, content=f"tool {number}")

        async def note(number: int) -> None:
            for store in (one, other):
                key = f"key {number} {store is one}"
                await store.sessions.set_state(session.id, key, number)

        await asyncio.gather(
            *(
                change(number)
                for number in range(25)
                for change in (retry, go_on, put_between, note)
            )
        )
        every = await one.messages.every(session.id, limit=1_000)
        assert len(every) == 76
        shown = await one.messages.tail(session.id, 1_000)
        assert [message.position for message in shown] == list(range(len(shown)))
        assert [message.parent_id for message in shown] == [None, *(m.id for m in shown[:-1])]
        assert (await one.sessions.known(session.id)).message_count == len(shown)
        assert len((await one.sessions.known(session.id)).state) == 50
        assert await one.check() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_what_one_program_writes_another_hears(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    place = (
        tmp_path / "scrubjay.db"
        if kind == "sqlite"
        else request.getfixturevalue("postgres").cleared()
    )
    async with await opened(place, tmp_path) as one, await opened(place, tmp_path) as other:
        session = await one.sessions.create()
        heard: list[Change] = []
        own: list[Change] = []

        async def hear(store: Store, changes: list[Change]) -> None:
            async for change in store.watch():
                changes += [change]

        async def until_heard() -> None:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while SessionTouched(session.id) not in heard:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            heard.clear()

        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(hear(other, heard)), group.create_task(hear(one, own))]
            await asyncio.sleep(0.5)
            heard.clear()
            answer = await one.messages.append(
                session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
            )
            await until_heard()
            await one.messages.checkpoint(answer.id, content="half")
            await until_heard()
            await one.messages.finish(answer.id, finish=Finish.COMPLETE, content="whole")
            if kind == "postgres":
                await until_heard()
            await one.sessions.rename(session.id, "a title")
            await until_heard()
            await one.sessions.delete(session.id)
            await until_heard()
            for task in hearing:
                task.cancel()
        assert own == []


async def test_an_answer_of_another_machine_is_left_alone_for_a_day(
    postgres: Server, tmp_path: Path
) -> None:
    address = postgres.cleared()
    async with await opened(address, tmp_path) as store:
        session = await store.sessions.create()
        answers = [
            await store.messages.append(
                session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING, created_at=at
            )
            for at in (time.time(), time.time() - 90_000)
        ]
        postgres.sql("UPDATE scrubjay.messages SET owner = '1:1.00@elsewhere'", address.database)
        assert [one.id for one in await store.messages.interrupt_abandoned()] == [answers[1].id]


async def test_after_a_lost_connection_everything_may_have_changed(
    postgres: Server, tmp_path: Path
) -> None:
    async with await opened(postgres.cleared(), tmp_path) as store:
        heard: list[Change] = []

        async def hear() -> None:
            nonlocal heard
            async for change in store.watch():
                heard += [change]

        hearing = asyncio.create_task(hear())
        sent = told_back(store)
        await asyncio.sleep(0)
        await restart_server(postgres)
        await back(store, sent)
        while AnythingTouched() not in heard:
            await asyncio.sleep(0.01)
        hearing.cancel()
        assert ConnectionChanged(lost=True) in heard


async def test_a_server_that_can_not_be_used_is_told_with_what_to_do(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage.postgres.address import Address

    good = postgres.database()

    async def told(address: Address) -> StorageError:
        with pytest.raises(StorageError) as error:
            await Store.open(address)
        assert error.value.next_step
        assert "corvid" not in str(error.value)
        return error.value

    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    wrong = await told(Address(url=good.url, password="wrong"))
    assert "does not let this user in" in wrong.message
    assert "PGPASSWORD" in wrong.next_step
    assert "PGPASSWORD" in (await told(Address(url=good.url))).next_step
    missing = await told(postgres.address("nowhere"))
    assert "no such database" in missing.message
    assert "createdb nowhere" in missing.next_step
    postgres.sql("DROP ROLE IF EXISTS guest")
    postgres.sql("CREATE ROLE guest LOGIN PASSWORD 'corvid'")
    rights = await told(postgres.address(good.database, "guest"))
    assert "lacks a right" in rights.message
    assert "GRANT CREATE" in rights.next_step
    closed = await told(Address(url="postgresql://jay@127.0.0.1:1/jay", password="corvid"))
    assert isinstance(closed, ConnectionLostError)
    with monkeypatch.context() as patch:
        patch.setattr("storage.postgres.errors.OLDEST", 99)
        old = await told(good)
        assert "99 or later is needed" in old.message
    postgres.sql("CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    assert "UTF8" in (await told(postgres.address("latin"))).message
    await (await Store.open(good)).close()
    postgres.sql("UPDATE scrubjay.schema_version SET version = 99", good.database)
    newer = await told(good)
    assert "newer Scrubjay (schema 99" in newer.message
