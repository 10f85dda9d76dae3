"""A process that writes is killed at random moments; what it acknowledged is there, in order, once.

SCRUBJAY_CRASH_ROUNDS sets the number of rounds, instead of 200.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.records import Finish
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Message

ROUNDS = int(os.environ.get("SCRUBJAY_CRASH_ROUNDS", "200"))


def killed_while_writing(path: Path, name: str, after: float) -> list[list[str]]:
    """What a writer acknowledged until it was killed, so many seconds after its first word."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.storage_writer", "append", str(path), name],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        # Not a wait for anything: the moment is the experiment.
        time.sleep(after)
        writer.send_signal(signal.SIGKILL)
        # A last line without its end was on its way, and is no acknowledgement.
        return [line.split(" ", 2) for line in writer.stdout if line.endswith("\n")]


@pytest.mark.timeout(600)
async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "scrubjay.db"
    moments = random.Random(20_261_121)
    acknowledged: dict[str, list[tuple[str, str]]] = defaultdict(list)
    interrupted = 0
    for number in range(ROUNDS):
        # Three sessions a dozen rounds, so that old ones are written to again and none grows long.
        lines = killed_while_writing(path, f"s{number // 12}", moments.uniform(0, 0.08))
        for session_id, message_id, content in lines:
            acknowledged[session_id].append((message_id, content.rstrip("\n")))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            # Raises when the full-text index is not in step with itself.
            connection.execute(
                "INSERT INTO messages_index (messages_index) VALUES ('integrity-check')"
            )
        async with await Store.open(path) as store:
            interrupted += len(await store.messages.interrupt_abandoned())
            for session_id in {line[0] for line in lines}:
                kept = await store.messages.page(session_id, 0, 99_999)
                check(kept, acknowledged[session_id])
                assert (await store.sessions.known(session_id)).message_count == len(kept)
    assert sum(map(len, acknowledged.values())) > ROUNDS
    assert interrupted > ROUNDS / 4, "some were hit in the middle of an answer"
    async with await Store.open(path) as store:
        for session_id, messages in acknowledged.items():
            check(await store.messages.page(session_id, 0, 99_999), messages)
        assert await store.search.sessions("answer")


def check(kept: list[Message], acknowledged: list[tuple[str, str]]) -> None:
    assert [message.position for message in kept] == list(range(len(kept)))
    assert len({message.id for message in kept}) == len(kept)
    places = {message.id: message for message in kept}
    assert [message_id for message_id, _ in acknowledged] == [
        message.id for message in kept if message.id in dict(acknowledged)
    ]
    for message_id, content in acknowledged:
        assert places[message_id].content == content
        assert places[message_id].finish is Finish.COMPLETE
    for message in kept:
        assert message.finish in (Finish.COMPLETE, Finish.INTERRUPTED)
        assert message.finish is Finish.COMPLETE or message.content in ("", "some of the answ")
