"""A clock that jumps: what is said keeps its order, and nothing waits for times that went by.

The clock is a stand-in, put before the program's own looks at it: a test can't set the machine's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from storage.ids import new_id
from tests.engine.support import running_engine
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0


class Clock:
    """The machine's clock, moved."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.moved = 0.0
        real, real_ns = time.time, time.time_ns
        patch.setattr(time, "time", lambda: real() + self.moved)
        patch.setattr(time, "time_ns", lambda: real_ns() + int(self.moved * 1e9))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("jump", [-3 * DAY, -400 * DAY, 3 * DAY, -1e9])
async def test_a_clock_that_jumps_in_mid_conversation_changes_no_order(
    tmp_path: Path, clock: Clock, jump: float
) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["one"], ["two"], ["three"])) as engine:
        session_id = None
        for question in ("first", "second", "third"):
            turn = await engine.send(session_id, question)
            await turn.wait()
            session_id = turn.session_id
            clock.moved += jump
        session = await engine.library.session(session_id or "")
        messages = await engine.library.page(session.id, 0, session.message_count)
        assert [message.content for message in messages] == [
            *("first", "one", "second", "two", "third", "three")
        ]
        again = await engine.retry(session.id)
        assert again is not None
        assert (await again.wait()).content == "third"


def test_ids_go_on_growing(clock: Clock) -> None:
    first = new_id()
    clock.moved = -DAY
    assert new_id() > first


async def test_a_conversation_of_tomorrow_is_listed_and_found(tmp_path: Path, clock: Clock) -> None:
    clock.moved = DAY
    async with running_engine(tmp_path, ScriptedBackend(["tomorrow's answer"])) as engine:
        await (await engine.send(None, "a question of tomorrow")).wait()
    clock.moved = 0.0
    async with running_engine(tmp_path, ScriptedBackend(["today's answer"])) as engine:
        await (await engine.send(None, "a question of today")).wait()
        titles = [session.title for session in await engine.library.sessions()]
        assert titles == ["a question of tomorrow", "a question of today"]
        found = await engine.library.search("tomorrow")
        assert found
