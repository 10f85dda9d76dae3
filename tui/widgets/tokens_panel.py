"""The Tokens tab: how full the window is, what the last answers cost, and what all of them did."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content

from engine.events import AnswerDelta, AnswerEnded, AnswerRead, MessageAdded
from storage.errors import StorageError
from storage.records import Finish, Role, UsageTotals
from tui.figures import bar, count, duration, sparkline
from tui.latest import run_latest
from tui.telling import tell_error
from tui.widgets.context_meter import meter_rows, parts_answered, parts_packed
from tui.widgets.days import Days
from tui.widgets.figures import WIDEST, heading, note, pair
from tui.widgets.panel import Panel
from tui.widgets.rows import MUTED, Row, fit, one_line, text_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.context.budget import Packed
    from engine.engine import Engine
    from engine.events import Event
    from storage.records import Message, Usage
    from storage.usage import UsageRow

MESSAGES_READ = 80
"""Of the end of the session, for what its last answers cost."""

ANSWERS_LISTED = 10
MODELS_LISTED = 6
DAYS_LISTED = 7
LABEL_CELLS = 16

TIGHT = 38
"""Under so many cells, answers are listed without the time to their first token."""

ROOMY = 60
"""From so many cells on, answers are listed with their models."""


class Writing:
    """An answer that is being written."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.read: float | None = None
        self.chunks = 0
        self.began = 0.0
        """When the first chunk came, on the monotonic clock."""

    @property
    def per_second(self) -> float | None:
        """Chunks a second; None until there are enough to tell."""
        seconds = time.monotonic() - self.began
        return (self.chunks - 1) / seconds if self.chunks > 4 and seconds > 0.2 else None


class Totals(NamedTuple):
    """Sums of usage."""

    session: UsageTotals | None
    today: UsageTotals
    ever: UsageTotals
    models: Sequence[UsageRow]
    days: Sequence[UsageRow]


class TokensPanel(Panel):
    """Counts of tokens: of the turn that is being answered, of the last ones, and in sum.

    Everything but the window can be folded.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "choose", "Fold", tooltip="Fold or unfold a part of the figures"),
    ]

    pause = 0.25  # figures that change faster can't be read

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, id="tokens")
        self._writing: dict[str, Writing] = {}
        self._answers: list[Message] = []
        self._totals: Totals | None = None
        self._folded: set[str] = set()

    def build(self, width: int) -> Iterator[Row]:
        """The meter, the answer, the sums, and where they come from."""
        yield from self._window(width)
        yield from self._answer(width)
        if self._totals is not None:
            yield from self._sums(self._totals, width)
        if len(self._answers) > 1:
            yield from self._last_answers(width)
        if self._totals is not None and self._totals.ever.answers:
            yield from self._bars("Models", self._totals.models, width)
            yield from self._bars("Days", self._totals.days, width)

    def action_choose(self) -> None:
        """Fold or unfold the part that the cursor is on."""
        if self.cursor is not None:
            self._folded ^= {self.cursor}
            self.rebuild()

    def _part(self, name: str, detail: str = "", title: str = "") -> Iterator[Row]:
        """The heading of a part that can be folded."""
        arrow = "▸" if name in self._folded else "▾"
        line = Content.assemble(
            (f" {arrow} {title or name}", "bold $text-primary"), (f"  {detail}", MUTED)
        )
        yield text_row("")
        yield text_row(line, key=name)

    def show_session(self, session_id: str | None, packed: Packed | None) -> None:
        """Show another session, or another turn of it."""
        if session_id != self.session_id:
            self._answers = []
            self._totals = None
            self.cursor = None  # of what comes, the first
        super().show_session(session_id, packed)
        self._read_soon()

    def take(self, event: Event) -> None:
        """Count chunks as they come; read the figures again when an answer has ended."""
        match event:
            case MessageAdded(message=message) if message.finish is Finish.STREAMING:
                self._writing[message.id] = Writing(message.session_id)
            case AnswerRead(message_id=message_id, share=share):
                if writing := self._writing.get(message_id):
                    writing.read = share
            case AnswerDelta(message_id=message_id):
                if writing := self._writing.get(message_id):
                    writing.began = writing.began or time.monotonic()
                    writing.chunks += 1
            case AnswerEnded(message=message):
                self._writing.pop(message.id, None)
                self._read_soon()
            case _:
                return
        self.touch()

    def appeared(self) -> None:
        """Catch up."""
        self._read_soon()

    def _read_soon(self) -> None:
        if self.seen:
            self.call_later(self._read)

    def _read(self) -> None:
        run_latest(self, partial(self._read_figures, self.session_id), "figures")

    async def _read_figures(self, session_id: str | None) -> None:
        library = self.engine.library
        try:
            answers: list[Message] = []
            of_session = None
            if session_id is not None:
                end = (await library.session(session_id)).message_count
                page = await library.page(session_id, max(0, end - MESSAGES_READ), end)
                answers = [m for m in page if m.role is Role.ASSISTANT and _said_something(m)]
                of_session = await library.usage(session_id=session_id)
            totals = Totals(
                of_session,
                await library.usage(since=Days().today),
                await library.usage(),
                await library.usage_by("model", limit=MODELS_LISTED),
                await library.usage_by("day", limit=DAYS_LISTED),
            )
        except StorageError as error:
            tell_error(self, error)
            return
        if session_id == self.session_id:
            self._answers = answers
            self._totals = totals
            self.touch()

    def _window(self, width: int) -> Iterator[Row]:
        model = self.engine.models.current
        last = self._answers[-1] if self._answers else None
        usage = last.usage if last is not None else None
        if self.packed is not None:
            yield from self._packed_window(self.packed, usage, width)
        elif last and usage and model and model.window and last.model == model.ref:
            used = (usage.prompt_tokens or 0) + (usage.eval_tokens or 0)
            yield heading("Context", f"{count(used)} of {count(model.window)}", first=True)
            yield from meter_rows(parts_answered(usage, model.window), width)
        else:
            yield heading("Context", first=True)
            yield note("With the next question, its share of the window is seen here.", width)

    def _packed_window(self, packed: Packed, last: Usage | None, width: int) -> Iterator[Row]:
        told = None
        exact = packed.exact
        if self.engine.turn(self.session_id or "") is not None:
            answer = self._written.chunks if self._written else 0
            exact = exact and not answer
        else:
            answer = (last.eval_tokens if last else None) or 0
            told = last.prompt_tokens if last else None
        used = f"{'' if told or exact else '~'}{count((told or packed.tokens) + answer)}"
        yield heading("Context", f"{used} of {count(packed.window)}", first=True)
        yield from meter_rows(parts_packed(packed, answer), width, exact=exact)

    @property
    def _written(self) -> Writing | None:
        """The answer that is being written in the session, if all of it was heard."""
        ours = (one for one in self._writing.values() if one.session_id == self.session_id)
        return next(ours, None)

    def _answer(self, width: int) -> Iterator[Row]:
        if self._written is not None:
            yield from self._part("Answer", "being written")
            if "Answer" not in self._folded:
                yield from _progress(self._written, width)
                yield from self._speeds(width)
        elif self._answers:
            last = self._answers[-1]
            yield from self._part("Answer", one_line(last.model or ""), "Last answer")
            if "Answer" not in self._folded:
                yield from _costs(last, width)
                yield from self._speeds(width)

    def _speeds(self, width: int) -> Iterator[Row]:
        speeds = [
            speed
            for message in self._answers
            if message.usage is not None and (speed := message.usage.tokens_per_second)
        ][-(min(width, WIDEST) - 2) :]
        if len(speeds) > 1:
            told = f"{min(speeds):.0f}–{max(speeds):.0f} tokens/s in {len(speeds)} answers"
            yield text_row(
                Content.styled(f" {sparkline(speeds)}", "$primary"),
                Content.styled(f" {told}", MUTED),
            )

    def _sums(self, totals: Totals, width: int) -> Iterator[Row]:
        yield from self._part("Totals")
        if "Totals" in self._folded:
            return
        measure = min(width, WIDEST) - 2
        yield _columns("", "answers", "read", "written", measure, MUTED)
        for label, sums in (
            ("session", totals.session),
            ("today", totals.today),
            ("ever", totals.ever),
        ):
            if sums is not None:
                yield _columns(
                    label,
                    count(sums.answers),
                    count(sums.prompt_tokens),
                    count(sums.eval_tokens),
                    measure,
                )

    def _last_answers(self, width: int) -> Iterator[Row]:
        yield from self._part("Answers", "the newest first")
        if "Answers" in self._folded:
            return
        days = Days()
        yield _figures_of(("", "read", "written", "first", "tok/s", "  model"), width, MUTED)
        for message in reversed(self._answers[-ANSWERS_LISTED:]):
            usage = message.usage
            assert usage is not None
            first, speed = usage.first_token_seconds, usage.tokens_per_second
            read = "" if usage.prompt_tokens is None else count(usage.prompt_tokens)
            figures = (
                read,
                _written_tokens(message),
                "" if first is None else duration(first),
                "" if speed is None else f"{speed:.1f}",
            )
            yield _figures_of(
                (days.short(message.created_at), *figures, f"  {one_line(message.model or '')}"),
                width,
            )

    def _bars(self, name: str, rows: Sequence[UsageRow], width: int) -> Iterator[Row]:
        yield from self._part(name, "read and written")
        if name in self._folded:
            return
        most = max(row.prompt_tokens + row.eval_tokens for row in rows) or 1
        labels = [one_line(_day(row.key) if name == "Days" else row.key) for row in rows]
        label_cells = min(max(LABEL_CELLS, *map(cell_len, labels)), width // 2)
        room = max(1, min(width, 2 * WIDEST) - label_cells - 9)
        for row, label in zip(rows, labels, strict=True):
            tokens = row.prompt_tokens + row.eval_tokens
            yield text_row(
                Content.assemble(
                    " ",
                    (fit(label, label_cells), MUTED),
                    (fit(" " + bar(tokens / most, room - 1), room), "$primary"),
                    f"{count(tokens):>6}",
                )
            )


def _said_something(message: Message) -> bool:
    usage = message.usage
    return usage is not None and bool(usage.eval_tokens or message.content or message.thinking)


def _progress(writing: Writing, width: int) -> Iterator[Row]:
    if not writing.chunks:
        read = "" if writing.read is None else f"{writing.read:.0%}"
        yield pair("reading the prompt", read, width)
        return
    yield pair("written", f"~{count(writing.chunks)} tokens", width)
    if (speed := writing.per_second) is not None:
        yield pair("speed", f"~{speed:.1f} tokens/s", width)


def _costs(message: Message, width: int) -> Iterator[Row]:
    usage = message.usage
    assert usage is not None
    if usage.prompt_tokens is not None:
        yield pair("prompt", f"{count(usage.prompt_tokens)} tokens", width)
    if usage.cached_tokens:
        yield pair("  of it cached", f"{count(usage.cached_tokens)} tokens", width)
    if written := _written_tokens(message):
        yield pair("answer", f"{written} tokens", width)
    if usage.first_token_seconds is not None:
        yield pair("first token after", duration(usage.first_token_seconds), width)
    if usage.load_seconds:
        yield pair("loading the model", duration(usage.load_seconds), width)
    if usage.total_seconds is not None:
        yield pair("in all", duration(usage.total_seconds), width)
    if usage.tokens_per_second is not None:
        yield pair("speed", f"{usage.tokens_per_second:.1f} tokens/s", width)


def _columns(
    label: str, answers: str, read: str, written: str, measure: int, style: str = ""
) -> Row:
    figures = f"{answers:>7}  {read:>6}  {written:>7}"
    return text_row(
        Content.assemble(" ", (fit(label, measure - len(figures)), MUTED), (figures, style))
    )


def _written_tokens(message: Message) -> str:
    """What the model wrote, as its server says; an estimate where it did not come to that."""
    if message.usage is not None and message.usage.eval_tokens is not None:
        return count(message.usage.eval_tokens)
    return "" if message.token_count is None else f"~{count(message.token_count)}"


def _figures_of(cells: Sequence[str], width: int, style: str = "") -> Row:
    """A row of the list of answers: its time, its figures, and its model where there is room."""
    at, read, written, first, speed, model = cells
    line = f"{read:>6} {written:>7}" + (f" {first:>7}" if width >= TIGHT else "") + f" {speed:>6}"
    shown = fit(model, width - ROOMY + 20) if width >= ROOMY else ""
    return text_row(Content.assemble((f" {fit(at, 6)}", MUTED), (line, style), (shown, MUTED)))


def _day(key: str) -> str:
    """A day as people write it, from `YYYY-MM-DD`."""
    when = time.strptime(key, "%Y-%m-%d")
    return f"{time.strftime('%a', when)} {when.tm_mday} {time.strftime('%b', when)}"
