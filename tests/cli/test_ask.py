"""`scrubjay ask` with the real embedded model."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from storage.records import Finish, Role

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from storage.records import Message
    from storage.store import Store
    from tests.cli.conftest import Scrubjay

LONG = "Write a long story about a bird that remembers everything."


def test_a_piped_text_and_a_question_get_an_answer_with_its_figures(answering: Scrubjay) -> None:
    asked = answering.run(
        "ask", "--json", "What is the capital of Peru?", stdin="The capital of Peru is Lima."
    )
    assert asked.code == 0, asked
    assert asked.json["answer"].strip()
    assert asked.json["model"] == "embedded:smollm2-135m"
    assert asked.json["finish"] == "complete"
    assert asked.json["usage"]["prompt_tokens"] > 0
    assert asked.json["usage"]["eval_tokens"] > 0
    assert asked.json["timings"]["total_seconds"] > asked.json["timings"]["first_token_seconds"] > 0

    [session] = [
        session
        for session in answering.run("sessions", "list", "--json").json
        if session["id"] == asked.json["session_id"]
    ]
    assert session["message_count"] == 2
    assert session["title"].startswith("What is the capital of Peru?")
    shown = answering.run("sessions", "show", session["id"])
    assert "The capital of Peru is Lima." in shown.out
    assert asked.json["answer"].strip() in shown.out


def test_the_answer_alone_is_on_standard_output(answering: Scrubjay) -> None:
    asked = answering.run("ask", "Say hello.")
    assert asked.code == 0, asked
    assert asked.err == ""
    assert "\x1b" not in asked.out
    [_, answer] = _messages(answering, "last")
    assert asked.out == answer.content.rstrip("\n") + "\n" or asked.out == answer.content


def test_the_answer_comes_while_it_is_written(answering: Scrubjay) -> None:
    process = answering.start("ask", LONG)
    assert process.stdout is not None
    assert process.stdout.read(1)
    [_, answer] = _messages(answering, "last")
    assert answer.finish is Finish.STREAMING
    process.communicate(timeout=60)


def test_a_question_can_be_asked_in_the_last_session(answering: Scrubjay) -> None:
    first = answering.run("ask", "--json", "Say yes.").json
    second = answering.run("ask", "--json", "--session", "last", "And now no.").json
    assert second["session_id"] == first["session_id"]
    assert len(_messages(answering, first["session_id"])) == 4
    by_prefix = answering.run("ask", "--json", "--session", first["session_id"][:20], "Again.").json
    assert by_prefix["session_id"] == first["session_id"]


def test_a_question_can_come_from_the_pipe_alone(answering: Scrubjay) -> None:
    asked = answering.run("ask", "--json", stdin="Say hello.\n")
    assert asked.code == 0, asked
    assert _messages(answering, "last")[0].content == "Say hello."


def test_files_that_the_question_names_are_put_into_it(answering: Scrubjay, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The jay hid an acorn.\n")
    named = tmp_path / "notes.txt"
    asked = answering.run("ask", "--json", f"Sum up @{named}, please.", stdin="Mind @nothing.")
    assert asked.code == 0, asked
    assert _messages(answering, "last")[0].content == (
        f"Sum up @{named}, please.\n\n`{named}`:\n\n```txt\nThe jay hid an acorn.\n```"
        "\n\nMind @nothing."
    )


def test_a_file_that_can_not_be_put_into_a_question_is_told_and_nothing_is_asked(
    scrubjay: Scrubjay, tmp_path: Path
) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0")
    asked = scrubjay.run("ask", f"What is @{tmp_path}/program?")
    assert (asked.code, asked.out) == (1, "")
    assert asked.err == (
        f"scrubjay: {tmp_path}/program is neither text nor an image.\nNothing was asked.\n"
    )
    assert scrubjay.run("sessions", "list", "--json").json == []


def test_nothing_to_ask_is_a_wrong_command_line(scrubjay: Scrubjay) -> None:
    asked = scrubjay.run("ask", stdin=" \n")
    assert asked.code == 2
    assert "nothing to ask" in asked.err
    assert scrubjay.run("sessions", "list", "--json").json == []


def test_an_unknown_session_is_told_and_nothing_is_asked(scrubjay: Scrubjay) -> None:
    asked = scrubjay.run("ask", "--session", "abc", "hello")
    assert asked.code == 1
    assert "There is no session abc." in asked.err
    assert "sessions list" in asked.err


def test_a_model_that_is_not_there_fails_and_the_question_is_kept(answering: Scrubjay) -> None:
    asked = answering.run("ask", "--json", "--model", "embedded:nobody", "Are you there?")
    assert asked.code == 1
    assert "nobody" in asked.err
    assert "models list" in asked.err
    assert asked.json["finish"] == "failed"
    assert asked.json["failure"]["kind"] == "model_missing"
    [question, answer] = _messages(answering, asked.json["session_id"])
    assert question.content == "Are you there?"
    assert answer.finish is Finish.FAILED


def test_a_model_without_a_provider_is_a_wrong_command_line(scrubjay: Scrubjay) -> None:
    asked = scrubjay.run("ask", "--model", "llama", "hello")
    assert asked.code == 2
    assert "provider:name" in asked.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_answer_and_keeps_what_had_come(
    answering: Scrubjay, number: signal.Signals, code: int
) -> None:
    process = answering.start("ask", LONG)
    assert process.stdout is not None
    begun = process.stdout.read(1)
    process.send_signal(number)
    rest, complaint = process.communicate(timeout=30)
    assert process.returncode == code
    [_, answer] = _messages(answering, "last")
    assert answer.finish is Finish.STOPPED
    assert answer.content.startswith((begun + rest).decode().rstrip("\n"))
    assert answer.session_id.encode() in complaint
    assert b"Traceback" not in complaint


def test_a_reader_that_goes_away_ends_the_answer_without_a_word(answering: Scrubjay) -> None:
    process = answering.start("ask", LONG)
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert _complaint(process) == b""
    assert process.returncode == 141
    [_, answer] = _messages(answering, "last")
    assert answer.finish is Finish.STOPPED
    assert answer.content


def test_the_first_question_fetches_the_model_and_says_so(scrubjay: Scrubjay) -> None:
    asked = scrubjay.run("ask", "Say hello.", SCRUBJAY_MODEL_MAX_TOKENS="8")
    assert asked.code == 0, asked
    assert asked.out.strip()
    lines = asked.err.splitlines()
    assert lines[-1] == "fetching smollm2-135m (93 MB), once: 100%"
    assert 2 <= len(lines) <= 12
    assert "\x1b" not in asked.err


def _messages(scrubjay: Scrubjay, name: str) -> list[Message]:
    """A session's messages as they are on the disk, once there is one of each role."""

    async def read(store: Store) -> list[Any]:
        session_id = (await store.sessions.list(limit=1))[0].id if name == "last" else name
        return list(await store.messages.page(session_id, 0, 100))

    messages: list[Message] = scrubjay.stored(read)
    assert messages[0].role is Role.USER
    return messages


def _complaint(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stderr is not None
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return process.stderr.read()
