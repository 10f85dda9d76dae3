"""The consent dialog on a real terminal: the app is killed while it is open; nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from engine.consent import pending_calls
from storage.records import Role, ToolCall
from storage.store import Store
from tests.embedded_weights import paths_under
from tests.homes import environment
from tests.terminal.app import PROMPT, QUIT, ROOT, ask, open_session
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from pathlib import Path


def app(folder: Path, *says: str | list[ToolCall]) -> Terminal:
    command = [sys.executable, "-m", "tests.terminal.scripted_app", str(folder)]
    return Terminal(
        [*command, msgspec.json.encode(says).decode()],
        env=environment(folder / "home"),
        cwd=ROOT,
    )


async def test_a_dialog_that_was_open_when_the_app_was_killed_is_offered_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("content of a")
    (tmp_path / "files" / "b").write_text("content of b")
    reads = [ToolCall(id=n, name="read_file", arguments={"path": n}) for n in ("a", "b")]
    with app(tmp_path, reads) as terminal:
        ask(terminal, "Read both")
        terminal.wait_for("1 of 2")
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.wait_for_end() == -signal.SIGKILL

    with app(tmp_path, "I have read b.") as terminal:
        terminal.wait_for(PROMPT)
        open_session(terminal, "Read both")
        terminal.wait_for(lambda text: "1 of 2" in text and '"path": "a"' in text)
        deny(terminal)
        terminal.wait_for(lambda text: "2 of 2" in text and '"path": "b"' in text)
        terminal.keys("y")
        terminal.wait_for("I have read b.")
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0

    async with await Store.open(paths_under(tmp_path).database_file) as store:
        (session,) = await store.sessions.list()
        messages = await store.messages.page(session.id, 0, session.message_count)
    assert [(m.role, m.content) for m in messages] == [
        (Role.USER, "Read both"),
        (Role.ASSISTANT, ""),
        (Role.TOOL, "The user did not allow this call."),
        (Role.TOOL, "content of b"),
        (Role.ASSISTANT, "I have read b."),
    ]
    assert pending_calls(session) == ()


def deny(terminal: Terminal) -> None:
    """Deny the call that is shown, once the dialog takes keys, which it does not at first."""
    while "Why not" not in terminal.text:
        terminal.keys("n")
        with contextlib.suppress(AssertionError):
            terminal.wait_for("Why not", within=1)
    terminal.keys("\x15\r")  # Ctrl+U takes out what was typed for a reason
