"""When a streaming answer is rendered while somebody types, and while nobody does."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.tui.transcript.conversations import TranscriptApp, streaming
from tui.transcript import pace
from tui.transcript.pace import ECHO, FRAME, LATEST, QUIET, REST, TYPING, KeysTold, Pace
from tui.transcript.view import Transcript

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Clock:
    """Seconds that pass when a test says so, and not while the machine is busy."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "perf_counter", clock)
    return clock


def times(
    clock: Clock, wanted: Pace, seconds: float, keys: list[float] | None = None
) -> list[float]:
    """When there are renderings, with news every millisecond."""
    begun, rendered, waiting = clock.now, [], list(keys or [])
    while clock.now < begun + seconds:
        if waiting and clock.now >= begun + waiting[0]:
            waiting.pop(0)
            wanted.key()
        if wanted.seconds <= 0:
            wanted.rendered(0.001)
            rendered.append(clock.now - begun)
        clock.now += 0.001
    return rendered


def test_the_first_text_is_rendered_at_once_and_the_rest_thirty_times_a_second(
    clock: Clock,
) -> None:
    rendered = times(clock, Pace(), 1.0)
    assert rendered[0] == 0
    assert 28 <= len(rendered) <= 30


def test_a_slow_rendering_is_followed_by_a_rest(clock: Clock) -> None:
    wanted = Pace()
    wanted.rendered(0.1)
    assert wanted.seconds == pytest.approx(0.1 * REST)


@pytest.mark.parametrize("apart", [0.045, 0.066, 0.09])
def test_while_somebody_types_no_rendering_meets_a_key(clock: Clock, apart: float) -> None:
    keys = [apart * n for n in range(30)]
    wanted = Pace()
    rendered = times(clock, wanted, keys[-1], keys)
    assert len(rendered) >= keys[-1] / max(apart, FRAME) / 2
    for moment in rendered[1:]:
        since = min(moment - key for key in keys if key <= moment)
        assert ECHO - 0.002 <= since <= QUIET + 0.002


def test_an_answer_never_stands_still_while_somebody_types(clock: Clock) -> None:
    for apart in (0.01, 0.02, 0.03, 0.15, 0.2, 0.24):
        rendered = times(clock, Pace(), 3.0, [apart * n for n in range(300)])
        gaps = [after - before for before, after in pairwise([*rendered, 3.0])]
        assert max(gaps) <= LATEST + ECHO + 0.01


def test_who_has_stopped_typing_holds_nothing_up(clock: Clock) -> None:
    wanted = Pace()
    wanted.key()
    clock.now += TYPING
    assert len(times(clock, wanted, 1.0)) >= 28


class KeysApp(TranscriptApp, KeysTold):
    def compose(self) -> ComposeResult:
        yield Transcript()


async def test_a_key_puts_off_a_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    app = KeysApp([])
    async with app.run_test() as pilot:
        transcript = app.transcript
        transcript.append(streaming(0))
        transcript.feed(streaming(0).id, "First.")
        assert any("First." in row for row in app.rows)
        before = transcript._pace._key_at
        await pilot.press("x")
        assert transcript._pace._key_at > before


async def test_a_key_while_a_rendering_is_overdue_sets_a_timer_of_some_length() -> None:
    # Textual divides by the length of a timer that is late: one of nothing would end the app.
    app = KeysApp([])
    async with app.run_test():
        transcript = app.transcript
        transcript._timer = transcript.set_timer(60, transcript._show_news)
        transcript._hear_key(None)
        assert transcript._pace.seconds <= 0
        assert transcript._timer is not None
        assert transcript._timer._interval > 0
