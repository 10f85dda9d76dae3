"""One message as it is shown: who speaks, what was thought, the text, and how it ended."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size

from engine.images import images_in, without_images
from engine.research.citations import has_sources
from storage.records import Finish, Role
from tui.bindings import key_of
from tui.figures import duration, in_json
from tui.harmless import visible
from tui.transcript.citing import with_citations
from tui.transcript.document import Document, MarkdownDocument, PlainDocument
from tui.transcript.look import RETRY, TOGGLE_FOLD, TOGGLE_THINKING
from tui.transcript.markdown import inline_spans, markdown_lines
from tui.transcript.text import Line, Span, Style, width_of, wrap_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.records import Message, ToolCall

LONGEST = 100_000
"""Characters of a message that are laid out; all of them can be copied."""

TALL = 40
"""Rows from which on what a person typed is folded until they unfold it."""

FOLDED = 8
"""Rows that are left of a folded message."""


class Folds(NamedTuple):
    """What the reader has opened or closed in a message; None where they have not chosen."""

    thinking_open: bool | None = None
    folded: bool | None = None


class Notes(NamedTuple):
    """What is told about a message beside the message itself."""

    call: ToolCall | None = None
    """On a tool's result: the call that it answers."""

    open_calls: Mapping[str, str] = MappingProxyType({})
    """On an answer: its calls that have no result, by id, each with what becomes of it."""

    pinned: bool = False
    branch: tuple[int, int] | None = None
    """Where there are alternatives: the place among them, from 1, and their number."""

    details: bool = False
    """Whether the reader wants to see figures."""


class MessageView:
    """The lines of one message for a width, the blank row under it included.

    While an answer streams, `feed` adds to it; only what can have changed is laid out again.
    """

    def __init__(
        self,
        message: Message,
        width: int,
        folds: Folds = Folds(),  # noqa: B008
        notes: Notes = Notes(),  # noqa: B008
    ) -> None:
        self.message = message
        self.width = width
        self.folds = folds
        self.notes = notes
        self.status = ""
        self._streaming = message.finish is Finish.STREAMING
        self._thinking = PlainDocument(width - 2, ("thinking",), (Span("┊ ", ("meta",)),))
        self._thinking.feed(message.thinking[:LONGEST])
        self._words_thought = self._count_words()
        self._body = self._begin_body()
        self._has_text = bool(message.content.strip())
        self.body_start = 0
        """The first line of the text, behind header and thinking."""

        self.lines: list[Line] = []
        self._compose()

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.lines)

    def feed(self, text: str, thinking: str) -> int:
        """Add to a streaming answer. Returns the first line that may have changed."""
        before = self.body_start
        first_thought = None
        if thinking:
            first_thought = self._thinking.feed(thinking)
            self._words_thought = self._count_words()
        began = bool(text.strip()) and not self._has_text
        first = self._body.feed(text) if text else len(self._body.lines)
        self._has_text = self._has_text or began
        self._compose()
        if began or self.body_start != before or first_thought is not None:
            return 0
        return self.body_start + (0 if self.is_folded else first)

    def set_status(self, text: str) -> int:
        """Show a dim line under a streaming answer. Returns the first line that may change."""
        self.status = text
        self._compose()
        return self.body_start + (0 if self.is_folded else len(self._body.lines))

    @property
    def thinking_is_open(self) -> bool:
        """Whether the thinking is shown: until the answer begins, unless the reader chose."""
        if self.folds.thinking_open is not None:
            return self.folds.thinking_open
        return self._streaming and not self._has_text

    @property
    def has_thinking(self) -> bool:
        """Whether there is any."""
        return self._words_thought > 0

    @property
    def is_folded(self) -> bool:
        """Whether only the beginning of the text is shown."""
        if self.folds.folded is not None:
            return self.folds.folded
        if self.message.role is Role.TOOL:
            return True
        return self.message.role is Role.USER and len(self._body.lines) > TALL

    def _begin_body(self) -> Document:
        message = self.message
        text = message.content[:LONGEST]
        body: Document
        if message.role is not Role.ASSISTANT:
            body = PlainDocument(self.width)
            body.feed(without_images(text).strip("\n"))
        elif self._streaming:
            body = MarkdownDocument(self.width)
            body.feed(text)
        else:
            lines = markdown_lines(text, self.width)
            body = _Finished(with_citations(lines) if has_sources(message.content) else lines)
        return body

    def _compose(self) -> None:
        if self.message.role is Role.TOOL:
            self._compose_result()
            return
        lines = [self._header()]
        if self.notes.details and (told := details(self.message)):
            lines.extend(wrap_spans([Span(told, ("meta",))], self.width))
        if self.has_thinking:
            lines.extend(self._thought())
        self.body_start = len(lines)
        body = self._body.lines
        if self.is_folded and len(body) > FOLDED:
            lines.extend(body[:FOLDED])
            lines.append(
                _note(
                    f"⋯ {len(body) - FOLDED} more lines · {key_of('transcript.toggle_fold')}",
                    TOGGLE_FOLD,
                )
            )
        else:
            lines.extend(body)
        lines.extend(self._foot())
        lines.append(Line(()))
        self.lines = lines

    def _compose_result(self) -> None:
        """A tool's call and its result: one line, which unfolds to both."""
        message, call = self.message, self.notes.call
        arrow = "▸" if self.is_folded else "▾"
        told = call_in_words(call) if call else "⚙ a tool"
        lines = [_one_line(f"{arrow} {told}", _ended(message), self.width)]
        if self.notes.details and (figures := details(message)):
            lines.extend(wrap_spans([Span(figures, ("meta",))], self.width))
        self.body_start = len(lines)
        if not self.is_folded:
            if call and call.arguments:
                written = visible(in_json(call.arguments))
                lines.extend(wrap_spans([Span(written[:LONGEST], ("meta",))], self.width))
                lines.append(_note("→"))
            lines.extend(self._body.lines)
            lines.extend(self._foot())
        lines.append(Line(()))
        self.lines = lines

    def _header(self) -> Line:
        message = self.message
        name, style = speaker(message)
        clock = _clock(message.created_at)
        spans = [Span(visible(name), (style,)), Span(f" · {clock}", ("meta",))]
        if self.notes.pinned:
            spans.append(Span(" · pinned", ("pinned",)))
        if self.notes.branch is not None:
            place, count = self.notes.branch
            spans.append(Span(f" · ‹ {place}/{count} ›", ("meta",)))
        return Line(tuple(spans))

    def _thought(self) -> list[Line]:
        verb = "Thinking" if self._streaming and not self._has_text else "Thought"
        arrow = "▾" if self.thinking_is_open else "▸"
        title = _note(f"{arrow} {verb} · {self._words_thought:,} words", TOGGLE_THINKING)
        if not self.thinking_is_open:
            return [title]
        return [title, *self._thinking.lines, *([Line(())] if self._has_text else [])]

    def _count_words(self) -> int:
        return sum(len(line.text.split()) for line in self._thinking.lines)

    def _foot(self) -> list[Line]:
        message = self.message
        lines: list[Line] = []
        if message.role is Role.USER:
            for image in images_in(message.content):
                spans = [Span(f"▣ {visible(image.label)}", ("link",), f"image:{image.sha256}")]
                lines.extend(wrap_spans(spans, self.width))
        for call in message.tool_calls:
            if state := self.notes.open_calls.get(call.id):
                spans = [Span(call_in_words(call), ("meta",)), Span(f" · {state}", ("status",))]
                lines.extend(wrap_spans(spans, self.width))
        if len(message.content) > LONGEST:
            rest = len(message.content) - LONGEST
            copy = key_of("transcript.copy_message")
            lines.append(_note(f"⋯ {rest:,} more characters · {copy} copies all"))
        if self._streaming:
            if self.status or not (self._has_text or self.has_thinking):
                lines.append(Line((Span(visible(self.status) or "…", ("status",)),)))
        elif message.finish is Finish.STOPPED:
            lines.append(_note("◼ stopped"))
        elif message.finish is Finish.INTERRUPTED:
            lines.append(_note(f"◼ interrupted · {_retry()}", RETRY))
        elif message.finish is Finish.FAILED:
            lines.extend(self._failure())
        return lines

    def _failure(self) -> list[Line]:
        failure = self.message.failure
        reason = failure.message if failure else "The answer failed."
        lines = wrap_spans([Span(f"✖ {visible(reason)}", ("error",))], self.width)
        if failure and failure.next_step:
            # Next steps name commands in backticks.
            lines.extend(wrap_spans(inline_spans(visible(failure.next_step), {}), self.width))
        lines.append(_note(_retry(), RETRY))
        return lines


class _Finished:
    """Lines that will not grow."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines: Sequence[Line] = lines

    def feed(self, text: str) -> int:
        """Nothing can be added to a finished answer."""
        raise ValueError("a finished answer does not grow")


def speaker(message: Message) -> tuple[str, str]:
    """The name over a message, and its style."""
    match message.role:
        case Role.USER:
            return "You", "name-user"
        case Role.ASSISTANT:
            model = (message.model or "").partition(":")[2] or message.model or "Assistant"
            return model, "name-assistant"
        case Role.TOOL:
            return "Tool", "name-other"
        case _:
            return "System", "name-other"


def call_in_words(call: ToolCall) -> str:
    """A call on one line, as a programmer writes it."""
    arguments = ", ".join(f"{key}={value!r}" for key, value in call.arguments.items())
    return visible(f"⚙ {call.name}({arguments})"[:2000]).replace("\n", "␊")


def details(message: Message) -> str:
    """When a message came and what it cost; estimates have a `~`."""
    usage = message.usage
    told = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(message.created_at))]
    if usage is not None and usage.eval_tokens is not None:
        read = "" if usage.prompt_tokens is None else f"{usage.prompt_tokens:,} read, "
        told.append(f"{read}{usage.eval_tokens:,} written")
    elif message.token_count is not None:
        told.append(f"~{message.token_count:,} tokens")
    if message.model:
        told.append(message.model)
    if usage is not None and usage.first_token_seconds is not None:
        told.append(f"first after {duration(usage.first_token_seconds)}")
    if usage is not None and (speed := usage.tokens_per_second):
        told.append(f"{speed:.1f} tok/s")
    return visible(" · ".join(told))


def _ended(message: Message) -> Span:
    """How a call ended, and how long it took."""
    failure = message.failure
    if failure is not None and failure.kind == "denied":
        return Span(" · denied", ("status",))
    took = (message.finished_at or message.created_at) - message.created_at
    state, style = ("done", "status") if failure is None else ("failed", "error")
    return Span(f" · {state} · {duration(took)}" if took >= 0.001 else f" · {state}", (style,))


def _one_line(text: str, end: Span, width: int) -> Line:
    """A line that folds; of its text there is as much as fits before the end."""
    room = width - width_of([end])
    if cell_len(text) > room:
        text = set_cell_size(text, max(1, room - 1)).rstrip() + "…"
    return Line((Span(text, ("meta",), TOGGLE_FOLD), end._replace(link=TOGGLE_FOLD)))


def _retry() -> str:
    return f"press {key_of('transcript.retry')} to retry"


def _note(text: str, action: str = "") -> Line:
    style: Style = ("meta",)
    return Line((Span(text, style, action),))


def _clock(seconds: float) -> str:
    then, now = time.localtime(seconds), time.localtime()
    if then[:3] == now[:3]:
        return time.strftime("%H:%M", then)
    if then.tm_year == now.tm_year:
        return f"{then.tm_mday} {time.strftime('%b %H:%M', then)}"
    return time.strftime("%Y-%m-%d %H:%M", then)
