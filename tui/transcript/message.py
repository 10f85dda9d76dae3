"""One message as it is shown: who speaks, what was thought, the text, and how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from engine.research.citations import has_sources
from storage.records import Finish, Role
from tui.harmless import visible
from tui.transcript.citing import with_citations
from tui.transcript.document import Document, MarkdownDocument, PlainDocument
from tui.transcript.look import RETRY, TOGGLE_FOLD, TOGGLE_THINKING
from tui.transcript.markdown import inline_spans, markdown_lines
from tui.transcript.text import Line, Span, Style, wrap_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Message

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


class MessageView:
    """The lines of one message for a width, the blank row under it included.

    While an answer streams, `feed` adds to it; only what can have changed is laid out again.
    """

    def __init__(self, message: Message, width: int, folds: Folds = Folds()) -> None:  # noqa: B008
        self.message = message
        self.width = width
        self.folds = folds
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
            body.feed(text.strip("\n"))
        elif self._streaming:
            body = MarkdownDocument(self.width)
            body.feed(text)
        else:
            lines = markdown_lines(text, self.width)
            body = _Finished(with_citations(lines) if has_sources(message.content) else lines)
        return body

    def _compose(self) -> None:
        lines = [self._header()]
        if self.has_thinking:
            lines.extend(self._thought())
        self.body_start = len(lines)
        body = self._body.lines
        kept = self._kept()
        if self.is_folded and len(body) > kept:
            lines.extend(body[:kept])
            lines.append(_note(f"⋯ {len(body) - kept} more lines · space", TOGGLE_FOLD))
        else:
            lines.extend(body)
        lines.extend(self._foot())
        lines.append(Line(()))
        self.lines = lines

    def _kept(self) -> int:
        return 1 if self.message.role is Role.TOOL else FOLDED

    def _header(self) -> Line:
        message = self.message
        name, style = speaker(message)
        clock = _clock(message.created_at)
        return Line((Span(visible(name), (style,)), Span(f" · {clock}", ("meta",))))

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
        for call in message.tool_calls:
            arguments = ", ".join(f"{key}={value!r}" for key, value in call.arguments.items())
            text = visible(f"⚙ {call.name}({arguments})").replace("\n", "␊")
            lines.extend(wrap_spans([Span(text[:2000], ("meta",))], self.width))
        if len(message.content) > LONGEST:
            rest = len(message.content) - LONGEST
            lines.append(_note(f"⋯ {rest:,} more characters · c copies all"))
        if self._streaming:
            if self.status or not (self._has_text or self.has_thinking):
                lines.append(Line((Span(visible(self.status) or "…", ("status",)),)))
        elif message.finish is Finish.STOPPED:
            lines.append(_note("◼ stopped"))
        elif message.finish is Finish.INTERRUPTED:
            lines.append(_note("◼ interrupted · press r to retry", RETRY))
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
        lines.append(_note("press r to retry", RETRY))
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
