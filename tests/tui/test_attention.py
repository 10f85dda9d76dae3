"""Being called back: when, by what, and never by more than a notification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from textual import events

from tests.scripted import ScriptedBackend
from tests.tui.chatting import Chat, chatting, settings
from tui.attention import BELL, notification

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM_PROGRAM": "iTerm.app"}, "\x1b]9;Birds\a"),
        ({"TERM_PROGRAM": "WezTerm", "TERM": "xterm-256color"}, "\x1b]9;Birds\a"),
        ({"TERM": "xterm-kitty"}, "\x1b]9;Birds\a"),
        ({"WT_SESSION": "1"}, "\x1b]9;Birds\a"),
        ({"TERM": "foot"}, "\x1b]777;notify;Scrubjay;Birds\a"),
        ({"TERM": "xterm-256color"}, BELL),
        ({"TERM_PROGRAM": "tmux", "TMUX": "/tmp/x"}, "\x1bPtmux;\x1b\x1b]9;Birds\a\x1b\\\a"),
    ],
)
def test_each_terminal_is_called_in_its_own_way(environ: dict[str, str], expected: str) -> None:
    assert notification("Birds", environ) == expected


def test_a_title_can_not_end_the_sequence_or_begin_another() -> None:
    for environ in ({"TERM": "foot"}, {"WT_SESSION": "1"}, {"TMUX": "1"}):
        written = notification("a\a\x1b]52;c;eA==\a\x9c\n;b", environ)
        inner = written.removeprefix("\x1bPtmux;\x1b").removesuffix("\x1b\\\a")
        assert inner.count("\x1b") == inner.count("\a") == 1
        assert inner.endswith("\a")
        assert "\x9c" not in written


async def called(chat: Chat, *, focused: bool) -> list[str]:
    """What is written to the terminal while a question is asked and answered."""
    written: list[str] = []
    chat.app._attention._write = written.append
    await chat.ready()
    chat.app.post_message(events.AppFocus() if focused else events.AppBlur())
    await chat.pilot.pause()
    turn = await chat.engine.send(None, "What is a jay?")
    await turn.wait()
    await chat.app.workers.wait_for_complete()
    return written


@pytest.mark.parametrize(
    ("focused", "seconds", "calls"),
    [(False, 1e-9, 1), (True, 1e-9, 0), (False, 60, 0), (False, 0, 0)],
)
async def test_only_a_long_answer_out_of_sight_calls(
    tmp_path: Path, focused: bool, seconds: float, calls: int
) -> None:
    chosen = settings()
    ui = msgspec.structs.replace(chosen.ui, notify_after_seconds=seconds)
    chosen = msgspec.structs.replace(chosen, ui=ui)
    async with chatting(tmp_path, ScriptedBackend(["A bird."]), chosen=chosen) as chat:
        assert len(await called(chat, focused=focused)) == calls
