"""The agent goes on in another process where one was killed: nothing is asked or done twice."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from engine.consent import pending_calls
from storage.records import Role, ToolCall
from storage.store import Store
from tests.embedded_weights import paths_under
from tests.faults.agent_run import Job, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Message, Session


def killed_after(folder: Path, job: Job) -> Outcome:
    """Run a job in a process of its own, which is killed once it has said how it went."""
    command = [sys.executable, "-m", "tests.faults.agent_run", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()
            return msgspec.json.decode(process.stdout.readline(), type=Outcome)
        finally:
            process.kill()


async def kept(folder: Path, session_id: str) -> tuple[Session, list[Message]]:
    async with await Store.open(paths_under(folder).database_file) as store:
        session = await store.sessions.known(session_id)
        return session, list(await store.messages.page(session_id, 0, session.message_count))


def reads(*names: str) -> list[ToolCall]:
    return [ToolCall(id=f"read-{n}", name="read_file", arguments={"path": n}) for n in names]


async def test_of_two_calls_one_is_approved_and_one_denied_in_the_next_process(
    tmp_path: Path,
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("content of a")
    (tmp_path / "files" / "b").write_text("content of b")
    asked = killed_after(tmp_path, Job(ask="Read both", session_id="s", says=[reads("a", "b")]))
    assert asked.result.status == "pending"
    assert [call.id for call in asked.result.pending_tool_calls] == ["read-a", "read-b"]

    decided = killed_after(
        tmp_path,
        Job(
            ask="",
            session_id="s",
            says=["I have read a."],
            confirm={"read-a": True, "read-b": False},
        ),
    )
    assert decided.result.status == "completed"
    assert decided.result.output == "I have read a."
    shown, *_ = decided.shown  # a title may be asked for after it
    assert [m.content for m in shown if m.role is Role.TOOL] == [
        "content of a",
        "The user did not allow this call.",
    ]

    session, messages = await kept(tmp_path, "s")
    assert [(m.role, m.content) for m in messages] == [
        (Role.USER, "Read both"),
        (Role.ASSISTANT, ""),
        (Role.TOOL, "content of a"),
        (Role.TOOL, "The user did not allow this call."),
        (Role.ASSISTANT, "I have read a."),
    ]
    assert pending_calls(session) == ()


def test_name_and_job_are_known_in_the_third_process_and_in_no_other_session(
    tmp_path: Path,
) -> None:
    runs = [
        ("My name is Ada.", "s"),
        ("I work as an engineer.", "s"),
        ("Who am I?", "s"),
        ("Who am I?", "another"),
    ]
    told = []
    for ask, session_id in runs:
        outcome = killed_after(tmp_path, Job(ask=ask, session_id=session_id, says=["Noted."]))
        assert outcome.result.status == "completed"
        told.append(" ".join(message.content for message in outcome.shown[0]))
    *_, third, fourth = told
    assert "My name is Ada." in third
    assert "I work as an engineer." in third
    assert "Ada" not in fourth
    assert "engineer" not in fourth
