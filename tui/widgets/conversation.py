"""The conversation: the transcript of a session and the composer under it."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message as Told
from textual.widgets import Static

from engine.attachments import AttachmentError, FileNames, with_files
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
from engine.llm.base import ModelError
from engine.parameters import Parameters, parameters_of
from engine.pins import can_be_pinned, pinned_ids
from storage.errors import StorageError
from storage.records import Finish, Role
from tui.harmless import visible
from tui.widgets.completions import MOST, Completions
from tui.widgets.composer import Composer
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult
    from textual.timer import Timer

    from engine.consent import Decision
    from engine.engine import Engine
    from engine.turn import Turn
    from storage.records import Message, Session, ToolCall
    from tui.transcript import Transcript

log = logging.getLogger(__name__)

DRAFT_SECONDS = 1.0
"""A draft is kept when nothing has been typed for so long."""

WARM_SECONDS = 60.0
"""For so long a model that was got ready needs no asking again."""

WAITS = "waits for consent"
"""What is said of a call that a person is asked about."""

LAST_TURN = 64
"""Among so many messages at the end the last question is looked for: a turn may have many."""

COUNT_SECONDS = 0.3
"""What is being written is counted when nothing has been typed for so long."""

COUNTED_CHARACTERS = 80
"""A shorter text needs no counting: anybody can see that it is short."""


class Conversation(Vertical):
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
        super().__init__()
        self._engine = engine
        self._unsubscribe: Callable[[], None] | None = None
        self._transcript: Transcript | None = None
        self._session_id: str | None = None
        self._missed: list[Event] | None = None
        """What happens in a session while it is being opened."""

        self._growing: set[str] = set()
        """The answers here that another program writes."""

        self._put_off: set[str] = set()
        """The calls that the user wants to decide on later, until another session is shown."""

        self._moved = False
        """Whether messages have moved on behind others since the session was opened."""

        self._reloading = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._draft_timer: Timer | None = None
        self._count_timer: Timer | None = None
        self._names: FileNames | None = None
        self._kept_draft = Draft()
        self._new_parameters = Parameters()
        self._edited: Message | None = None
        """The earlier question that is being written anew."""

        self._set_aside = Draft()
        """What was being written before that."""

        self._warm_until = 0.0
        self.session: Session | None = None
        self.last: Message | None = None

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

    @property
    def transcript(self) -> Transcript:
        """The transcript; there is one as soon as there can be a session."""
        assert self._transcript is not None
        return self._transcript

    async def on_unmount(self) -> None:
        """Listen no more, and keep what was being written."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        await self._keep_draft()

    @property
    def answering(self) -> bool:
        """Whether an answer is being written here."""
        return self._session_id is not None and self._engine.turn(self._session_id) is not None

    # What a person does

    async def new(self) -> None:
        """Show an empty conversation; it is kept from its first message on."""
        await self.settle()
        await self._leave()
        self._session_id = None
        self.transcript.clear()
        self._show(None, None)
        await self._put_draft(None)
        self.composer.focus()

    async def open(self, session_id: str, position: int | None = None) -> None:
        """Show a kept conversation, at its end or with the message at `position` on top."""
        await self.settle()
        if session_id != self._session_id:
            await self._leave()
            try:
                await self._open(session_id)
            except StorageError as error:
                self.report(error)
                await self.new()
                return
        if position is not None:
            self.transcript.scroll_to_message(position)
            self.transcript.focus()
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

    # Finding

    async def find(self, text: str = "") -> None:
        """Show the find bar, with some words in it if they are given."""
        if self.session is None:
            self.notify("There is nothing to look through yet.", timeout=3)
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
            self.notify("No tool call waits for your consent here.", timeout=3)

    def ask_for_consent(self, calls: Sequence[ToolCall]) -> None:
        """Ask what the user says to calls that wait here, unless that is asked or was put off."""
        from tui.screens.consent import ConsentScreen

        session_id = self._session_id
        calls = [call for call in calls if call.id not in self._put_off]
        if session_id is None or not calls or isinstance(self.app.screen, ConsentScreen):
            return
        scopes = [self._engine.tools.scope(call) for call in calls]

        def decided(decisions: dict[str, Decision] | None) -> None:
            self._put_off |= {call.id for call in calls} - set(decisions or ())
            if decisions:
                self.run_worker(self._confirm(session_id, decisions), group="confirm")

        self.app.push_screen(ConsentScreen(calls, scopes), decided)

    async def _undecided(self) -> tuple[ToolCall, ...]:
        if self._session_id is None or self.answering:
            return ()
        try:
            return pending_calls(await self._engine.library.session(self._session_id))
        except StorageError as error:
            self.report(error)
            return ()

    async def _tell_waiting(self) -> None:
        self.post_message(self.Waiting(len(await self._undecided())))

    async def _confirm(self, session_id: str, decisions: dict[str, Decision]) -> None:
        try:
            await self._engine.confirm(session_id, decisions)
        except StorageError as error:
            self.report(error)

    async def send(self, text: str) -> bool:
        """Ask, with the files that the text names; what could not be sent goes back.

        While an earlier question is edited, it is asked anew in its place.

        Returns:
            Whether it was sent.
        """
        try:
            whole = await asyncio.to_thread(with_files, text, Path.cwd())
        except AttachmentError as error:
            self.composer.give_back(text)
            self.notify(visible(str(error)), severity="error", timeout=12, markup=False)
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
                self.report(error)
                return False
        return True

    # Branches

    def edit(self, question: Message) -> None:
        """Write an earlier question anew; what was being written waits."""
        if self._edited is None:
            self._set_aside = Draft(self.composer.text, self.composer.pastes)
        self._edited = question
        self.composer.editing = True
        self.composer.border_title = "asking anew from here · escape leaves it"
        self.composer.put(question.content)
        self.composer.focus()

    def leave_editing(self) -> None:
        """Leave the question as it was; go on with what was being written."""
        if self._edited is not None:
            self._edited = None
            self.composer.editing = False
            self.composer.border_title = ""
            self.composer.put(self._set_aside.text, self._set_aside.pastes)

    def on_composer_editing_left(self) -> None:
        """Leave the question as it was."""
        self.leave_editing()

    async def _ask_anew(self, session_id: str, question: Message, text: str, whole: str) -> bool:
        async with self._sending:
            try:
                turn = await self._engine.edit(session_id, question.id, whole)
            except StorageError as error:
                self.composer.give_back(text)
                self.report(error)
                return False
            if turn is None:
                self.composer.give_back(text)
                self.notify("An answer is being written; stop it first.", severity="warning")
            else:
                self.leave_editing()
            return turn is not None

    async def go_on(self) -> None:
        """Let the last answer go on where it was stopped."""
        try:
            if self._session_id is None or await self._engine.go_on(self._session_id) is None:
                self.notify("There is no stopped answer to continue.", timeout=3)
        except StorageError as error:
            self.report(error)

    async def take_back(self, message: Message) -> bool:
        """Take a message and what followed out of the conversation. Whether that was done."""
        if self.answering:
            self.notify("An answer is being written; stop it first.", severity="warning")
            return False
        return await self._change_branch(self._engine.library.take_back(message))

    async def bring_back(self, message: Message) -> None:
        """Undo that."""
        await self._change_branch(self._engine.library.show(message))

    async def show_alternative(self, message: Message, step: int) -> None:
        """Show the branch beside the one through a message."""
        if self.answering:
            self.notify("An answer is being written; stop it first.", severity="warning")
            return
        if await self._change_branch(self._engine.library.show_alternative(message, step)):
            self.transcript.scroll_to_message(message.position)
            self.transcript.focus()

    async def _change_branch(self, change: Awaitable[object]) -> bool:
        try:
            await change
        except StorageError as error:
            self.report(error)
            return False
        await self._reload()
        return True

    async def _tell_branches(self) -> None:
        if self._session_id is not None:
            try:
                branches = await self._engine.library.branches(self._session_id)
            except StorageError as error:
                self.report(error)
                return
            if self.transcript.is_attached:  # the program may have ended meanwhile
                self.transcript.tell_branches(branches)

    async def stop(self) -> None:
        """Stop the answer; what has come of it stays."""
        if self._session_id is not None:
            await self._engine.stop(self._session_id)

    async def last_question(self) -> Message | None:
        """The last question that is shown."""
        return await self._last_such(lambda one: one.role is Role.USER)

    async def _last_such(self, fits: Callable[[Message], bool]) -> Message | None:
        session = self.session
        if session is None:
            return None
        page = await self._engine.library.page(
            session.id, max(0, session.message_count - LAST_TURN), session.message_count
        )
        return next((one for one in reversed(page) if fits(one)), None)

    async def pin(self, message: Message | None = None) -> None:
        """Pin a message, by default the last one that can be, or let it go."""
        try:
            message = message or await self._last_such(can_be_pinned)
            if message is None:
                self.notify("There is nothing to pin yet.", timeout=3)
            elif await self._engine.library.pin(message):
                self.notify("Pinned: the model goes on seeing this message.", timeout=4)
            else:
                self.notify("No longer pinned.", timeout=3)
        except StorageError as error:
            self.report(error)

    async def retry(self, model: str | None = None) -> None:
        """Answer the last question again, with another model if one is named."""
        if self._session_id is None:
            return
        try:
            if await self._engine.retry(self._session_id, model=model) is None:
                self.notify("There is nothing to answer again yet.", timeout=3)
        except StorageError as error:
            self.report(error)

    def report(self, error: StorageError) -> None:
        """Tell what storage could not do, and what helps."""
        text = visible(f"{error.message} {error.next_step}".strip())
        self.notify(text, severity="error", timeout=15, markup=False)

    # Parameters

    @property
    def parameters(self) -> Parameters:
        """What this conversation has set; what a new one will have, before it begins."""
        return parameters_of(self.session) if self.session else self._new_parameters

    async def set_parameters(self, parameters: Parameters) -> None:
        """Let this conversation have parameters of its own."""
        if self._session_id is None:
            self._new_parameters = parameters
            return
        try:
            await self._engine.library.set_parameters(self._session_id, parameters)
        except StorageError as error:
            self.report(error)

    async def use_model(self, ref: str) -> None:
        """Let a model answer here from now on, in later runs too."""
        if self._session_id is not None:
            try:
                await self._engine.library.use_model(self._session_id, ref)
            except StorageError as error:
                self.report(error)

    # Drafts and history

    async def _leave(self) -> None:
        self._put_off.clear()
        await self._end_finding()
        self.leave_editing()
        await self._keep_draft()
        self.composer.forget_history()

    async def _keep_draft(self) -> None:
        if self._draft_timer is not None:
            self._draft_timer.stop()
            self._draft_timer = None
        if self._edited is not None:
            return  # what was being written before is the draft, and is kept
        draft = Draft(self.composer.text, self.composer.pastes)
        if draft != self._kept_draft:
            try:
                await self._engine.library.keep_draft(self._session_id, draft)
                self._kept_draft = draft
            except StorageError as error:
                log.warning("a draft could not be kept: %s", type(error).__name__)

    async def _put_draft(self, session: Session | None) -> None:
        self._kept_draft = await self._engine.library.draft(session)
        self.composer.put(self._kept_draft.text, self._kept_draft.pastes)

    async def _begin_with_draft(self) -> None:
        """Bring back what was being written last time; what was typed since stands behind it."""
        try:
            draft = await self._engine.library.draft(None)
        except StorageError as error:
            log.warning("the draft could not be read: %s", type(error).__name__)
            return
        if self._session_id is None and draft.text:
            self._kept_draft = draft
            typed = self.composer.text
            self.composer.put(draft.text + typed, draft.pastes)

    def on_text_area_changed(self) -> None:
        """Get the model ready for what is being written; keep the draft a moment later."""
        self._count_later()
        if self.composer.text == self._kept_draft.text:
            return
        if self._draft_timer is None:
            self._draft_timer = self.set_timer(DRAFT_SECONDS, self._keep_draft)
        else:
            self._draft_timer.reset()
        now = time.monotonic()
        if self._engine.models.current is not None and now >= self._warm_until:
            self._warm_until = now + WARM_SECONDS
            self.run_worker(self._warm(), group="warm")

    async def _warm(self) -> None:
        try:
            await self._engine.models.warm()
        except ModelError as error:
            log.info("the model could not be started early: %s", error.kind)

    def _count_later(self) -> None:
        if len(self.composer.text) < COUNTED_CHARACTERS and not self.composer.pastes:
            self.composer.border_subtitle = ""
        elif self._count_timer is None:
            self._count_timer = self.set_timer(COUNT_SECONDS, self._begin_to_count)
        else:
            self._count_timer.reset()

    def _begin_to_count(self) -> None:
        self._count_timer = None
        self.run_worker(self._count(self.composer.message), group="count", exclusive=True)

    async def _count(self, text: str) -> None:
        from engine.context.tokens import count

        tokens = await count(text)
        if text == self.composer.message:
            self.composer.border_subtitle = f"~{tokens:,} tokens"

    async def on_composer_history_wanted(self, message: Composer.HistoryWanted) -> None:
        """Give the composer what was asked, in this session and in others."""
        try:
            prompts = await self._engine.library.prompts(message.prefix)
        except StorageError as error:
            self.report(error)
            return
        if prompts and self.composer.text == message.prefix:
            self.composer.offer_history(prompts[::-1])

    def on_composer_files_wanted(self, message: Composer.FilesWanted) -> None:
        """Give the composer the names of files that fit."""
        self.run_worker(self._find_files(message.typed), group="files", exclusive=True)

    async def _find_files(self, typed: str) -> None:
        if self._names is None:
            self._names = FileNames(Path.cwd())
        names = await asyncio.to_thread(self._names.fitting, typed, MOST)
        self.composer.offer_files(typed, names)

    def on_composer_offered(self, message: Composer.Offered) -> None:
        """Show what completes the word that is being written."""
        self.query_one(Completions).show(message.offered, message.chosen)

    def on_completions_clicked(self, message: Completions.Clicked) -> None:
        """Complete it."""
        self.composer.take_offered(message.place)

    def on_composer_editor_wanted(self) -> None:
        """Let the user write in a program of their own."""
        self.run_worker(self._edit_outside(), group="editor", exclusive=True)

    async def _edit_outside(self) -> None:
        from tui.editor import EditorError, edit

        try:
            text = await edit(self.app, self.composer.message)
        except EditorError as error:
            self.notify(visible(str(error)), severity="error", timeout=12, markup=False)
        else:
            self.composer.put(text)

    # What the engine tells

    def _hear(self, event: Event) -> None:
        if isinstance(event, ModelChanged):
            self._show_status()
            return
        if self._session_id is None or _session_of(event) != self._session_id:
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
                self.run_worker(self.new(), group="open", exclusive=True)
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
        self.run_worker(self._tell_branches(), group="branches", exclusive=True)
        self.run_worker(self._tell_waiting(), group="waiting", exclusive=True)
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
