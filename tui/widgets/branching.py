"""What becomes of questions and answers that are there: edited, continued, retried, taken back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.library import Draft
from engine.pins import can_be_pinned
from storage.errors import StorageError
from storage.records import Role
from tui.telling import tell, tell_error
from tui.widgets.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.engine import Engine
    from storage.records import Message

LAST_TURN = 64
"""Among so many messages at the end the last question is looked for: a turn may have many."""


class Branching(Writing):
    """The branches of a conversation: each change makes one or shows another."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._sending = asyncio.Lock()
        self._moved = False
        """Whether messages have moved on behind others since the session was opened."""

        self._set_aside = Draft()
        """What was being written before an earlier question was."""

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
                tell_error(self, error)
                return False
            if turn is None:
                self.composer.give_back(text)
                tell(self, "An answer is being written; stop it first.", "warning")
            else:
                self.leave_editing()
            return turn is not None

    async def go_on(self) -> None:
        """Let the last answer go on where it was stopped."""
        try:
            if self._session_id is None or await self._engine.go_on(self._session_id) is None:
                tell(self, "There is no stopped answer to continue.")
        except StorageError as error:
            tell_error(self, error)

    async def take_back(self, message: Message) -> bool:
        """Take a message and what followed out of the conversation. Whether that was done."""
        if self.answering:
            tell(self, "An answer is being written; stop it first.", "warning")
            return False
        return await self._change_branch(self._engine.library.take_back(message))

    async def bring_back(self, message: Message) -> None:
        """Undo that."""
        await self._change_branch(self._engine.library.show(message))

    async def show_alternative(self, message: Message, step: int) -> None:
        """Show the branch beside the one through a message."""
        if self.answering:
            tell(self, "An answer is being written; stop it first.", "warning")
            return
        if await self._change_branch(self._engine.library.show_alternative(message, step)):
            self.transcript.scroll_to_message(message.position)
            self.transcript.focus()

    async def _change_branch(self, change: Awaitable[object]) -> bool:
        try:
            await change
        except StorageError as error:
            tell_error(self, error)
            return False
        await self._reload()
        return True

    async def _tell_branches(self) -> None:
        if self._session_id is not None:
            try:
                branches = await self._engine.library.branches(self._session_id)
            except StorageError as error:
                tell_error(self, error)
                return
            if self.transcript.is_attached:  # the program may have ended meanwhile
                self.transcript.tell_branches(branches)

    async def retry(self, model: str | None = None) -> None:
        """Answer the last question again, with another model if one is named."""
        if self._session_id is None:
            return
        try:
            if await self._engine.retry(self._session_id, model=model) is None:
                tell(self, "There is nothing to answer again yet.")
        except StorageError as error:
            tell_error(self, error)

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
                tell(self, "There is nothing to pin yet.")
            elif await self._engine.library.pin(message):
                tell(self, "Pinned: the model goes on seeing this message.")
            else:
                tell(self, "No longer pinned.")
        except StorageError as error:
            tell_error(self, error)
