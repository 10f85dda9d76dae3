"""Two processes and hundreds of tasks on one database: nothing lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from storage.records import Finish, Role
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

TASKS = 100


async def run(task: str, path: Path, name: str, *numbers: int) -> list[str]:
    """Let a process write. Returns what it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.storage_writer",
        task,
        str(path),
        name,
        *map(str, numbers),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()[1:]


async def test_two_processes_append_to_one_session_and_to_their_own(tmp_path: Path) -> None:
    path = tmp_path / "scrubjay.db"
    count = 3
    async with await Store.open(path) as store:
        await store.sessions.create(session_id="shared")
    outputs = await asyncio.gather(
        run("chat", path, "a", TASKS, count), run("chat", path, "b", TASKS, count)
    )
    acknowledged: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in (line for output in outputs for line in output):
        session_id, message_id, content = line.split(" ", 2)
        acknowledged[session_id].add((message_id, content))
    assert len(acknowledged) == 1 + 2 * TASKS
    async with await Store.open(path) as store:
        assert await store.check() == []
        for session_id, messages in acknowledged.items():
            kept = await store.messages.page(session_id, 0, 99_999)
            assert [message.position for message in kept] == list(range(len(kept)))
            assert {(message.id, message.content) for message in kept} == messages
            by_writer: dict[str, list[str]] = defaultdict(list)
            for message in kept:
                writer, number = message.content.split()
                by_writer[writer].append(number)
            expected = [str(number) for number in range(count)]
            assert all(numbers == expected for numbers in by_writer.values())
        shared = await store.sessions.known("shared")
        assert shared.message_count == 2 * TASKS * count
        assert (await store.figures()).messages == 4 * TASKS * count


async def test_no_update_is_lost_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "scrubjay.db"
    async with await Store.open(path) as store:
        await store.sessions.create(session_id="shared")
    await asyncio.gather(run("count", path, "a", 4, 15), run("count", path, "b", 4, 15))
    async with await Store.open(path) as store:
        assert (await store.sessions.known("shared")).state == {"count": 120}


async def test_two_first_starts_at_once_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "scrubjay.db"
    await asyncio.gather(*(run("chat", path, name, 0, 0) for name in "abcd"))
    async with await Store.open(path) as store:
        assert await store.check() == []
        await store.sessions.create()


async def test_an_answer_is_interrupted_only_when_its_own_process_has_died(tmp_path: Path) -> None:
    path = tmp_path / "scrubjay.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITES_AND_WAITS,
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    message_id = (await process.stdout.readline()).decode().strip()
    async with await Store.open(path) as store:
        assert await store.messages.interrupt_abandoned() == []
        assert (await store.messages.known(message_id)).finish is Finish.STREAMING
        process.kill()
        await process.communicate()
        [answer] = await store.messages.interrupt_abandoned()
        assert (answer.id, answer.content, answer.finish) == (
            message_id,
            "as far as it came",
            Finish.INTERRUPTED,
        )
        assert answer.finished_at is not None
        assert await store.messages.interrupt_abandoned() == []
        [hit] = await store.search.sessions("as far as it came")
        assert hit.role is Role.ASSISTANT


WRITES_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from storage.records import Finish, Role
from storage.store import Store

async def main():
    async with await Store.open(Path(sys.argv[1])) as store:
        session = await store.sessions.create()
        answer = await store.messages.append(
            session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        await store.messages.checkpoint(answer.id, content="as far as it came")
        print(answer.id, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
