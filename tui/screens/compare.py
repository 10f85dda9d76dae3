"""Two models' answers to one question, side by side, and the choice of the one that goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.consent import pending_calls
from engine.events import (
    AnswerDelta,
    AnswerEnded,
    AnswerRead,
    CallsBegun,
    ConsentNeeded,
    Event,
    MessageAdded,
    SessionDeleted,
    TurnEnded,
)
from storage.errors import StorageError
from storage.records import Finish, Role
from tui.figures import duration
from tui.harmless import visible
from tui.telling import tell, tell_error
from tui.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult
    from textual.message import Message as Told

    from engine.engine import Engine
    from storage.records import Message, Usage
    from tui.actions.base import ChatBase

WIDE = 100
"""From so many columns on, the answers stand beside each other."""


class Answer(Vertical):
    """One model's answer as it comes, with what it cost under it.

    Attributes:
        ref: Who answers, as `provider:name`.
        messages: The answer, with tool calls and their results before it; none yet at first.
    """

    DEFAULT_CSS = """
    Answer {
        width: 1fr;
        height: 1fr;
        border: round $panel;
        border-title-color: $foreground;
        padding: 0 0 0 1;
    }
    Answer:focus-within { border: round $primary; border-title-color: $primary; }
    Answer > Transcript { height: 1fr; }
    Answer > Static { height: 1; color: $text-muted; }
    """

    def __init__(self, number: int, ref: str) -> None:
        super().__init__()
        self.ref = ref
        self.messages: list[Message] = []
        self._number = number
        self._told = ""
        self._transcript = Transcript()
        self._under = Static(markup=False)

    def compose(self) -> ComposeResult:
        """The answer, and a line of figures."""
        self.border_title = Content(visible(f"{self._number} · {self.ref}"))
        yield self._transcript
        yield self._under

    def put(self, message: Message) -> None:
        """Show a message of the answer, or the form that one has taken on."""
        known = [one.id for one in self.messages]
        if message.id in known:
            place = known.index(message.id)
            self.messages[place] = message
            self._transcript.replace(structs.replace(message, position=place))
        else:
            self.messages.append(message)
            place = len(self.messages) - 1
            self._transcript.append(structs.replace(message, position=place))
        self.tell(_under(message))

    def hear(self, event: Event) -> None:
        """Take in what happens to this answer."""
        match event:
            case MessageAdded(message=message) | AnswerEnded(message=message):
                self.put(message)
            case AnswerRead(share=share):
                self.tell(f"reading the prompt {share:.0%}")
            case AnswerDelta(message_id=message_id, text=text, thinking=thinking):
                self._transcript.feed(message_id, text=text, thinking=thinking)
                self.tell("answering…")
            case CallsBegun(calls=calls):
                self._transcript.tell_calls({call.id: "running" for call in calls})
            case ConsentNeeded(calls=calls):
                self._transcript.tell_calls({call.id: "waits for consent" for call in calls})
                self.tell("waits for your consent")
            case _:
                pass

    def tell(self, text: str) -> None:
        """Say something under the answer."""
        if text != self._told:  # it is said again with every word
            self._told = text
            self._under.update(text)

    def enter(self) -> None:
        """Let the keys scroll this answer."""
        self._transcript.focus()


class CompareScreen(ModalScreen["Message | None"]):
    """Lets two models answer the last question, one after the other.

    The answers are alternatives to each other. Gives the first message of the one that is to be
    shown; None leaves what is shown as it is, the newest.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "keep(0)", "Keep the first"),
        Binding("2", "keep(1)", "Keep the second"),
        Binding("enter", "keep", "Keep this one"),
        Binding("tab,shift+tab", "other", "The other answer"),
        Binding("escape", "leave", "Stop, or close"),
    ]

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012

    DEFAULT_CSS = """
    CompareScreen { background: $background; }
    CompareScreen > #question {
        height: 1;
        padding: 0 2;
        color: $text-muted;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    CompareScreen > #answers { height: 1fr; }
    CompareScreen.-narrow > #answers { layout: vertical; }
    CompareScreen > #keys { height: auto; padding: 0 2; color: $text-muted; }
    """

    AUTO_FOCUS = "Transcript"

    def __init__(
        self, chat: ChatBase, engine: Engine, question: Message, refs: tuple[str, str]
    ) -> None:
        super().__init__()
        self._chat = chat
        self._engine = engine
        self._question = question
        self._session_id = question.session_id
        self._answers = [Answer(number, ref) for number, ref in enumerate(refs, start=1)]
        self._current: Answer | None = None
        """The one that is being given; None before and after."""

        self._missed: list[Event] = []
        """What happened while the first answer was being read from the disk."""

        self._ended = asyncio.Event()
        self._beginning = False
        self._told = ""
        self._unsubscribe: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """The question, the answers, and the keys."""
        yield Static(Content(visible(" ".join(self._question.content.split()))), id="question")
        with Horizontal(id="answers"):
            yield from self._answers
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Let the models answer."""
        self._unsubscribe = self._engine.events.subscribe(self._hear)
        self._show_keys()
        self.run_worker(self._compare())

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    async def _compare(self) -> None:
        first, second = self._answers
        second.tell("waits for the first: one model at a time")
        try:
            there = await self._answered()
            missed, self._missed = self._missed, []
            self._current = first
            if self._answering or _is_whole(there, first.ref):
                for message in there:
                    first.put(message)
                for event in missed:
                    first.hear(event)
                if (turn := self._engine.turn(self._session_id)) is not None:
                    first.put(turn.so_far)
            else:
                await self._answer(first)
            await self._until_idle()
            await self._answer(second)
            await self._until_idle()
        except StorageError as error:
            tell_error(self, error)
            self.dismiss(None)
        self._current = None
        self._show_keys()

    async def _answer(self, answer: Answer) -> None:
        """Have the question answered again. Nothing may interrupt its beginning."""
        self._current = answer
        answer.tell(f"waiting for {visible(answer.ref)}…")
        self._beginning = True
        try:
            await self._engine.retry(self._session_id, model=answer.ref)
        finally:
            self._beginning = False
        self._show_keys()

    async def _until_idle(self) -> None:
        """Wait until nothing is being written, nor waits for consent."""
        while True:
            self._ended.clear()
            session = await self._engine.library.session(self._session_id)
            if not self._answering and not pending_calls(session):
                return
            await self._ended.wait()

    async def _answered(self) -> Sequence[Message]:
        """What is shown behind the question."""
        session = await self._engine.library.session(self._session_id)
        start = self._question.position + 1
        return await self._engine.library.page(session.id, start, session.message_count)

    @property
    def _answering(self) -> bool:
        return self._engine.turn(self._session_id) is not None

    def _hear(self, event: Event) -> None:
        session_id = getattr(event, "session_id", None)
        if isinstance(event, MessageAdded | AnswerEnded):
            session_id = event.message.session_id
        if session_id != self._session_id:
            return
        if isinstance(event, SessionDeleted):
            self.dismiss(None)
        elif self._current is None:
            self._missed.append(event)
        else:
            self._current.hear(event)
        if isinstance(event, TurnEnded):
            self._ended.set()
        self._show_keys()

    def _show_keys(self) -> None:
        if self.is_attached:
            escape = "stops the answer" if self._answering else "closes, the newest stays"
            keys = f"1, 2 or enter keeps one · tab goes to the other · escape {escape}"
            if keys != self._told:  # else each word would lay out the screen
                self._told = keys
                for line in self.query("#keys").results(Static):  # none, when it is being closed
                    line.update(keys)

    # What a person does

    def action_other(self) -> None:
        """Go to the other answer."""
        self._answers[0 if self._place else 1].enter()

    @property
    def _place(self) -> int:
        """Of the answer that has the focus."""
        focused = self.focused
        return int(focused is not None and self._answers[1] in focused.ancestors)

    async def action_keep(self, place: int | None = None) -> None:
        """Go on with an answer: that one, or the one that has the focus."""
        chosen = self._answers[self._place if place is None else place]
        if self._beginning:
            return
        if not chosen.messages:
            tell(self, "It has not answered yet.")
        elif chosen is self._current or chosen is self._newest:
            self.dismiss(None)  # it is shown already, and may go on
        else:
            if self._answering:
                await self._engine.stop(self._session_id)
            self.dismiss(chosen.messages[0])

    @property
    def _newest(self) -> Answer:
        return self._answers[1 if self._answers[1].messages else 0]

    async def action_leave(self) -> None:
        """Stop the answer that is being written; else close."""
        if self._beginning:
            return
        if self._answering:
            await self._engine.stop(self._session_id)
        else:
            self.dismiss(None)

    # What the answers tell

    @on(Transcript.Copied)
    @on(Transcript.LinkOpened)
    @on(Transcript.LinksListed)
    @on(Transcript.CitationOpened)
    def forward(self, told: Told) -> None:
        """What reading needs, the chat screen does."""
        told.stop()
        self._chat.post_message(told)

    @on(Transcript.Asked)
    @on(Transcript.RetryRequested)
    def refuse(self, told: Told) -> None:
        """What would change the conversation waits until one answer is kept."""
        told.stop()
        tell(self, "Keep one of the answers first.")


def _is_whole(messages: Sequence[Message], ref: str) -> bool:
    """Whether a model has answered to the end."""
    last = messages[-1] if messages else None
    return last is not None and last.model == ref and last.finish is Finish.COMPLETE


def _under(message: Message) -> str:
    """What is told under an answer."""
    if message.role is not Role.ASSISTANT or message.finish is Finish.STREAMING:
        return "answering…"
    ended = "" if message.finish is Finish.COMPLETE else message.finish.value
    return " · ".join(filter(None, [ended, *_figures(message.usage)])) or "no figures"


def _figures(usage: Usage | None) -> list[str]:
    if usage is None:
        return []
    speed, first, tokens = usage.tokens_per_second, usage.first_token_seconds, usage.eval_tokens
    return [
        *([f"{speed:.0f} tok/s"] if speed else []),
        *([f"first token {duration(first)}"] if first is not None else []),
        *([f"{tokens:,} token{'' if tokens == 1 else 's'}"] if tokens is not None else []),
    ]
