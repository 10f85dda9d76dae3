"""The conversation: the transcript of a session and the composer under it."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message as Told
from textual.widgets import Static

from engine.attachments import AttachmentError
from engine.consent import pending_calls
from engine.events import (
    AnswerDelta,
    AnswerEnded,
    AnswerRead,
    BranchShown,
    CallsBegun,
    ChangedElsewhere,
    ConsentNeeded,
    Event,
    MessageAdded,
    ModelChanged,
    ResearchChanged,
    SessionChanged,
    SessionDeleted,
    TurnEnded,
)
from engine.library import Draft
from engine.parameters import Parameters
from engine.pins import pinned_ids
from storage.errors import StorageError
from storage.records import Finish
from tui.harmless import visible
from tui.latest import run_latest
from tui.telling import tell, tell_error
from tui.widgets.branching import Branching
from tui.widgets.completions import Completions
from tui.widgets.composer import Composer
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult

    from engine.consent import Decision
    from engine.engine import Engine
    from engine.turn import Turn
    from storage.records import Message, Session, ToolCall

log = logging.getLogger(__name__)

WAITS = "waits for consent"
"""What is said of a call that a person is asked about."""


class Conversation(Branching):
    """One session at a time, or a new one that begins with the first message.

    Attributes:
        session: What is shown; None for a new conversation.
        last: Its last message, as far as it is known.
    """

    DEFAULT_CSS = """
    Conversation { width: 1fr; height: 1fr; }
    Conversation > #title {
        height: 1;
        padding: 0 2;
        color: $text-muted;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    Conversation > Transcript { display: none; padding: 0 0 0 1; }
    Conversation.-begun > Transcript { display: block; }
    Conversation.-begun > Welcome { display: none; }
    """

    class Shown(Told):
        """Another session is on the screen, or the session has changed."""

        def __init__(self, session: Session | None, last: Message | None) -> None:
            super().__init__()
            self.session = session
            self.last = last

    class Waiting(Told):
        """So many tool calls wait for consent; none while an answer is being written."""

        def __init__(self, calls: int) -> None:
            super().__init__()
            self.calls = calls

    class Busy(Told):
        """An answer has begun or ended: what can be stopped or retried is not what it was."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._unsubscribe: Callable[[], None] | None = None
        self._missed: list[Event] | None = None
        """What happens in a session while it is being opened."""

        self._growing: set[str] = set()
        """The answers here that another program writes."""

        self._put_off: set[str] = set()
        """The calls that the user wants to decide on later, until another session is shown."""

        self._reloading = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """A title, what stands for an empty transcript, and the composer."""
        yield Static(id="title")
        yield Welcome(self._engine)
        yield Completions()
        yield Composer(id="composer", enter_sends=self._engine.settings.ui.enter == "send")

    def on_mount(self) -> None:
        """Listen to the engine."""
        self.composer = self.query_one(Composer)
        self._unsubscribe = self._engine.events.subscribe(self._hear)
        self.run_worker(self._begin_with_draft(), group="draft")

    async def settle(self) -> None:
        """Make the transcript, which the first frame can do without."""
        if self._transcript is None:
            from tui.transcript import Transcript

            self._transcript = Transcript(id="transcript")
            await self.mount(self._transcript, before=self.query_one(Completions))

    async def on_unmount(self) -> None:
        """Listen no more, and keep what was being written."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        await self._keep_draft()

    # What a person does

    async def new(self, *, write: bool = True) -> None:
        """Show an empty conversation, and go and write; it is kept from its first message on."""
        await self.settle()
        await self._leave()
        self._session_id = None
        self.transcript.clear()
        self._show(None, None)
        await self._put_draft(None)
        if write:
            self.composer.focus()

    async def open(
        self, session_id: str, position: int | None = None, words: Sequence[str] = ()
    ) -> None:
        """Show a kept conversation.

        Args:
            session_id: Which one.
            position: The message to show; its end without.
            words: What was found in that message.
        """
        await self.settle()
        if session_id != self._session_id:
            await self._leave()
            try:
                await self._open(session_id)
            except StorageError as error:
                tell_error(self, error)
                await self.new()
                return
        if position is not None:
            self.transcript.scroll_to_message(position)
            self.transcript.focus()
            if words:
                self.transcript.show_hit(position, words)
        else:
            self.composer.focus()

    async def _open(self, session_id: str) -> None:
        self._session_id, self._missed = session_id, []
        try:
            session = await self._engine.library.session(session_id)
            count = session.message_count
            await self.transcript.open(count, partial(self._engine.library.page, session_id))
            newest = await self._engine.library.page(session_id, max(0, count - 1), count)
        finally:
            missed, self._missed = self._missed, None
        await self._put_draft(session)
        self._show(session, newest[-1] if newest else None)
        for event in missed:
            self._hear(event)
        self.transcript.tell_calls({call.id: WAITS for call in pending_calls(session)})
        for turn in self._engine.turns(session_id):
            self.transcript.tell_calls({call.id: "running" for call in turn.running})
            self.transcript.replace(turn.so_far)
        self._show_status()
        await self._tell_branches()
        await self._tell_waiting()
        if not self._engine.turns(session_id):
            self.ask_for_consent(pending_calls(session))

    async def _reload(self) -> None:
        """Show the session afresh: messages that waited in line have moved."""
        async with self._reloading:
            while self._moved and self._session_id is not None:
                self._moved = False
                draft, pastes = self.composer.text, self.composer.pastes
                await self._open(self._session_id)
                self.composer.put(draft, pastes)

    def _before_last(self, message: Message) -> bool:
        return self.last is not None and message.position <= self.last.position

    def on_composer_page_wanted(self, message: Composer.PageWanted) -> None:
        """Let one read while one writes."""
        if self._transcript is not None:
            self._transcript.scroll_pages(message.step)

    # Finding

    async def find(self, text: str = "") -> None:
        """Show the find bar, with some words in it if they are given."""
        if self.session is None:
            tell(self, "There is nothing to look through yet.")
            return
        from tui.widgets.find_bar import FindBar

        await self.query(FindBar).remove()
        await self.mount(FindBar(self.transcript, text), before=self.composer)

    async def on_find_bar_closed(self) -> None:
        """Go back to writing."""
        await self._end_finding()
        self.composer.focus()

    async def _end_finding(self) -> None:
        await self.query("FindBar").remove()

    # Consent

    async def decide(self) -> None:
        """Ask about the calls that wait here, also about those that were put off."""
        calls = await self._undecided()
        self._put_off.clear()
        if calls:
            self.ask_for_consent(calls)
        else:
            tell(self, "No tool call waits for your consent here.")

    def ask_for_consent(self, calls: Sequence[ToolCall]) -> None:
        """Ask what the user says to calls that wait here, unless that is asked or was put off."""
        from tui.screens.consent import ConsentScreen

        session_id = self._session_id
        calls = [call for call in calls if call.id not in self._put_off]
        if session_id is None or not calls or isinstance(self.app.screen, ConsentScreen):
            return
        tools = self._engine.tools
        scopes = [tools.scope(call) for call in calls]
        origins = [tools.origin(call) for call in calls]

        def decided(decisions: dict[str, Decision] | None) -> None:
            self._put_off |= {call.id for call in calls} - set(decisions or ())
            if decisions:
                self.run_worker(self._confirm(session_id, decisions), group="confirm")

        self.app.push_screen(ConsentScreen(calls, scopes, origins), decided)

    async def _undecided(self) -> tuple[ToolCall, ...]:
        if self._session_id is None or self.answering:
            return ()
        try:
            return pending_calls(await self._engine.library.session(self._session_id))
        except StorageError as error:
            tell_error(self, error)
            return ()

    async def _tell_waiting(self) -> None:
        self.post_message(self.Waiting(len(await self._undecided())))

    async def _confirm(self, session_id: str, decisions: dict[str, Decision]) -> None:
        try:
            await self._engine.confirm(session_id, decisions)
        except StorageError as error:
            tell_error(self, error)

    async def send(self, text: str) -> bool:
        """Ask, with the files and resources that the text names; what could not be sent goes back.

        While an earlier question is edited, it is asked anew in its place.

        Returns:
            Whether it was sent.
        """
        try:
            whole = await self._engine.attach(text, Path.cwd())
        except (AttachmentError, StorageError) as error:
            self.composer.give_back(text)
            tell(self, str(error), "error")
            return False
        if self._edited is not None and self.session is not None:
            return await self._ask_anew(self.session.id, self._edited, text, whole)
        return await self._send(whole, self._engine.send)

    async def research(self, question: str) -> None:
        """Ask what is to be looked up; a question that could not be kept goes back."""
        await self._send(question, self._engine.research)

    async def _send(self, text: str, ask: Callable[[str | None, str], Awaitable[Turn]]) -> bool:
        async with self._sending:  # or two messages at once would begin two conversations
            await self.settle()
            try:
                if self._session_id is None:
                    session = await self._engine.library.create()
                    self._session_id = session.id
                    await self.transcript.open(0, partial(self._engine.library.page, session.id))
                    await self._engine.library.keep_draft(None, Draft())
                    if self._new_parameters != Parameters():
                        session = await self._engine.library.set_parameters(
                            session.id, self._new_parameters
                        )
                        self._new_parameters = Parameters()
                    self._show(session, None)
                await ask(self._session_id, text)
            except StorageError as error:
                self.composer.give_back(text)
                tell_error(self, error)
                return False
        return True

    async def stop(self) -> None:
        """Stop the answer; what has come of it stays."""
        if self._session_id is not None:
            await self._engine.stop(self._session_id)

    async def _leave(self) -> None:
        self._put_off.clear()
        await self._end_finding()
        self.leave_editing()
        await self._keep_draft()
        self.composer.forget_history()

    # What the engine tells

    def _hear(self, event: Event) -> None:
        if isinstance(event, ModelChanged):
            self._show_status()
            return
        if self._session_id is None or _session_of(event) != self._session_id:
            return
        if not self.is_attached:  # the program ends, and the answer just before it
            return
        if self._missed is not None:
            self._missed.append(event)
            return
        match event:
            case MessageAdded(message=message, inserted=True) if self._before_last(message):
                self._moved = True
                self.run_worker(self._reload(), group="reload")
            case MessageAdded(message=message, replaces=replaces):
                self._added(message, replaces)
            case BranchShown():
                self._moved = True
                self.run_worker(self._reload(), group="reload")
            case CallsBegun(calls=calls):
                self.transcript.tell_calls({call.id: "running" for call in calls})
            case ConsentNeeded(calls=calls):
                self.transcript.tell_calls({call.id: WAITS for call in calls})
                self.call_later(self.ask_for_consent, calls)
            case ResearchChanged():
                self._show_status()
            case AnswerRead(message_id=message_id, share=share):
                self.transcript.set_status(message_id, f"reading the prompt {share:.0%}")
            case AnswerDelta(message_id=message_id, text=text, thinking=thinking):
                self.transcript.feed(message_id, text=text, thinking=thinking)
            case AnswerEnded(message=message):
                self.transcript.tell_calls({call.id: "waiting" for call in message.tool_calls})
                self.transcript.replace(message)
                if self.last is None or self.last.position <= message.position:
                    self.last = message
            case TurnEnded():
                self._turned()
            case SessionChanged(session=session):
                self._show(session, self.last)
            case ChangedElsewhere(session=session, last=last):
                self._changed_elsewhere(session, last)
            case SessionDeleted():
                # Who deletes in the list may want to delete more, or to undo it there.
                run_latest(self, partial(self.new, write=self.has_focus_within), "open")
            case _:
                pass

    def _added(self, message: Message, replaces: str | None) -> None:
        # A message that came while the session was being opened is there already.
        if replaces is not None or self._before_last(message):
            self.transcript.replace(message)
        else:
            self.transcript.append(message)
        self.last = message
        self.composer.forget_history()
        self.add_class("-begun")
        self.call_later(self._turned)

    def _changed_elsewhere(self, session: Session, last: Sequence[Message]) -> None:
        """Take in what another program said here; where the branch is another, read it anew."""
        places = {message.position: message for message in last}
        end = self.last.position if self.last is not None else -1
        same = self.last is None or (
            (there := places.get(end)) is not None and there.id == self.last.id
        )
        if not same or (places and min(places) > end + 1):
            self._moved = True
            self.run_worker(self._reload(), group="reload")
            return
        ours = {turn.answer.id for turn in self._engine.turns(session.id)}
        for message in last:
            if message.id in ours:
                continue
            if message.position > end:
                self._added(message, None)
            elif message.finish is Finish.STREAMING or message.id in self._growing:
                self.transcript.replace(message)
                if message.position == end:
                    self.last = message
        self._growing = {one.id for one in last if one.finish is Finish.STREAMING}
        self._show(session, self.last)

    def _turned(self) -> None:
        self._show_status()
        run_latest(self, self._tell_branches, "branches")
        run_latest(self, self._tell_waiting, "waiting")
        self.post_message(self.Busy())

    def _show(self, session: Session | None, last: Message | None) -> None:
        self.session, self.last = session, last
        title = session.title if session is not None and session.title else "New conversation"
        self.query_one("#title", Static).update(Content(visible(title)))
        self.set_class(bool(session and session.message_count), "-begun")
        if self._transcript is not None and self._missed is None:
            pinned = pinned_ids(session) if session is not None else ()
            self._transcript.tell_pinned(frozenset(pinned))
        self.post_message(self.Shown(session, last))

    def _show_status(self) -> None:
        """Say under each answer that has not begun what it waits for."""
        if self._session_id is None or self._missed is not None:
            return
        for place, turn in enumerate(self._engine.turns(self._session_id)):
            answer = turn.so_far
            if turn.over or answer.content or answer.thinking:
                continue
            if place:
                status = "queued · answered after the one above"
            else:
                status = _looking_up(turn) or self._waiting()
            self.transcript.set_status(answer.id, status)

    def _waiting(self) -> str:
        """What the first answer in line waits for."""
        models = self._engine.models
        if models.current is not None:
            return f"waiting for {models.current.name}…"
        state = models.state
        if state.state == "looking":
            return "looking for a model…"
        share = "" if state.share is None else f" {state.share:.0%}"
        return f"{state.detail}{share}" or "waiting for a model…"


def _looking_up(turn: Turn) -> str:
    """What research does for an answer; empty when it is done or there is none."""
    if turn.research is None or turn.research.stage in ("answer", "done", "stopped"):
        return ""
    from tui.widgets.research_panel import STAGES

    outcome = turn.research.outcome
    over = sum(source.state.over for source in outcome.sources)
    sources = f" · {over} of {len(outcome.sources)} sources" if outcome.stage == "fetch" else ""
    return f"research: {STAGES[outcome.stage]}{sources}…"


def _session_of(event: Event) -> str | None:
    match event:
        case MessageAdded(message=message) | AnswerEnded(message=message):
            return message.session_id
        case SessionChanged(session=session):
            return session.id
        case ResearchChanged(research=research):
            return research.session_id
        case _:
            return getattr(event, "session_id", None)
