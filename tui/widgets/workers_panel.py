"""The Workers tab: the jobs of the pool, running and ended, and the lanes they run in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content

from engine.events import JobChanged
from engine.pool import WIDTHS, Job, JobState, Lane
from tui.figures import duration
from tui.widgets.figures import heading, note
from tui.widgets.panel import Panel
from tui.widgets.rows import MUTED, Row, fit, one_line, text_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.timer import Timer

    from engine.engine import Engine
    from engine.events import Event

SIGNS = {
    JobState.QUEUED: ("○", MUTED),
    JobState.RUNNING: ("●", "$text-accent"),
    JobState.DONE: ("✓", "$text-success 70%"),
    JobState.FAILED: ("✗", "$text-error"),
    JobState.CANCELLED: ("–", MUTED),
    JobState.TIMED_OUT: ("✗", "$text-warning"),
}

BAR_CELLS = 16
MOST_BOXES = 8


class WorkersPanel(Panel):
    """The worker pool as it is. `x` cancels the job under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "cancel_job", "Cancel job"),
        Binding("delete", "cancel_job", "Cancel job", show=False),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, id="workers")
        self._ticking: Timer | None = None

    def build(self, width: int) -> Iterator[Row]:
        """The lanes, then jobs: running, waiting, ended."""
        jobs = list(self.engine.pool.jobs())
        running = [job for job in jobs if job.state is JobState.RUNNING]
        queued = [job for job in jobs if job.state is JobState.QUEUED]
        ended = [job for job in jobs if job.state.over]
        yield heading("Lanes", first=True)
        yield lanes_row(running, queued, width)
        yield heading("Jobs", "" if running or queued else "nothing to do")
        for job in (*running, *queued):
            yield job_row(job, width)
        if ended:
            yield heading("Ended")
            for job in ended:
                yield job_row(job, width)
        elif not (running or queued):
            yield note("Answers, titles, downloads and writes are seen here.", width)
        self._tick(running=bool(running))
        if self.has_focus:
            self.refresh_bindings()  # a job that is over can't be cancelled any more

    def take(self, event: Event) -> None:
        """Follow the jobs."""
        if isinstance(event, JobChanged):
            self.touch()

    def vanished(self) -> None:
        """Let the clock stand still."""
        self._tick(running=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if action == "cancel_job":
            job = self._under_cursor
            if job is None or job.state.over:
                return False
            # Writes are not cancelled: the footer shows the key, greyed.
            return None if job.lane is Lane.STORAGE else True
        return super().check_action(action, parameters)

    def action_cancel_job(self) -> None:
        """Cancel the job under the cursor."""
        if (job := self._under_cursor) is not None:
            job.cancel()

    @property
    def _under_cursor(self) -> Job[Any] | None:
        return next((job for job in self.engine.pool.jobs() if str(job.id) == self.cursor), None)

    def _tick(self, *, running: bool) -> None:
        """Durations grow once a second, while anything runs and anybody looks."""
        if running and self._ticking is None:
            self._ticking = self.set_interval(1.0, self.rebuild)
        elif not running and self._ticking is not None:
            self._ticking.stop()
            self._ticking = None


def lanes_row(running: Sequence[Job[Any]], queued: Sequence[Job[Any]], width: int) -> Row:
    """Each lane with its places, the taken ones filled, and how many jobs wait for one."""
    lines: list[Content] = []
    line = Content(" ")
    for lane, places in WIDTHS.items():
        taken = sum(job.lane is lane for job in running)
        waiting = sum(job.lane is lane for job in queued)
        piece = Content.assemble(
            (f"{lane.value} ", MUTED),
            *_places(taken, places),
            (f" +{waiting}" if waiting else "", "$text-warning"),
        )
        if line.cell_length > 1 and line.cell_length + piece.cell_length + 2 > width:
            lines.append(line)
            line = Content(" ")
        line = line + piece + "  "
    return text_row(*lines, line)


def _places(taken: int, places: int) -> Iterator[tuple[str, str]]:
    """A box a place, or figures where there are too many for that."""
    if places > MOST_BOXES:
        yield f"{taken} of {places}", "$text-accent" if taken else MUTED
    else:
        yield "■" * taken, "$text-accent"
        yield "□" * (places - taken), MUTED


def job_row(job: Job[Any], width: int) -> Row:
    """A job: how it is, its name and how long it takes; below, what it does or why it failed."""
    sign, style = SIGNS[job.state]
    time = "" if job.started_at is None else duration(job.seconds)
    over = job.state.over
    lines = [
        Content.assemble(
            " ",
            (sign, style),
            " ",
            (fit(one_line(job.name), width - 5 - cell_len(time)), MUTED if over else ""),
            (f" {time}", MUTED),
        )
    ]
    if not over:
        detail = one_line(job.detail) or job.state.value
        lines.append(Content.styled(fit(f"   {job.lane.value} · {detail}", width - 1), MUTED))
        if job.progress is not None:
            lines.append(_bar(job.progress))
    elif job.error is not None:
        reason = one_line(str(job.error)) or type(job.error).__name__
        lines.append(Content.styled(fit(f"   {reason}", width - 1), "$text-error"))
    return text_row(*lines, key=str(job.id))


def _bar(progress: float) -> Content:
    done = round(min(1.0, max(0.0, progress)) * BAR_CELLS)
    return Content.assemble(
        "   ",
        ("━" * done, "$accent"),
        ("─" * (BAR_CELLS - done), MUTED),
        (f" {progress:.0%}", MUTED),
    )
