"""What can be done with questions and answers: stop, retry, edit, take back, pin, copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Role
from tui.actions.base import ChatBase
from tui.telling import tell

if TYPE_CHECKING:
    from storage.records import Message
    from tui.transcript.events import Asked, Copied, RetryRequested


class AnswerActions(ChatBase):
    """The last answer, its question, and the message that keys act on."""

    def action_stop(self) -> None:
        """Stop the answer; what has come of it stays."""
        self.run_worker(self.conversation.stop(), group="stop")

    def action_allow(self) -> None:
        """Decide on the tool calls that wait for consent."""
        self.run_worker(self.conversation.decide(), group="allow")

    def action_retry(self) -> None:
        """Answer the last question again."""
        self.run_worker(self.conversation.retry(), group="retry")

    def action_retry_with(self, ref: str = "") -> None:
        """Answer the last question again with another model; show the models if none is named."""
        if ref:
            self.run_worker(self.conversation.retry(ref), group="retry")
            return
        from tui.screens.model_picker import ModelPicker

        def chosen(ref: str | None) -> None:
            if ref:
                self.action_retry_with(ref)

        picker = ModelPicker(self._engine.models, once="Answer again with")
        self.app.push_screen(picker, chosen)

    def action_go_on(self) -> None:
        """Let the last answer go on where it was stopped."""
        self.run_worker(self.conversation.go_on(), group="retry")

    async def action_edit_last(self) -> None:
        """Ask the last question in other words."""
        if question := await self.conversation.last_question():
            self.conversation.edit(question)
        else:
            tell(self, "There is no question to edit yet.")

    async def action_take_back(self) -> None:
        """Take the last question back, and its answer with it."""
        if question := await self.conversation.last_question():
            await self._take_back(question)
        else:
            tell(self, "There is no question to take back yet.")

    async def _take_back(self, message: Message) -> None:
        if await self.conversation.take_back(message):
            self._deleted.append(message)
            tell(self, "Took it back, with what followed. /undo brings it back.")

    async def action_find(self, text: str = "") -> None:
        """Find words in the conversation."""
        await self.conversation.find(text)

    async def action_pin(self) -> None:
        """Pin the last message, or let it go."""
        await self.conversation.pin()

    def action_copy_answer(self) -> None:
        """Copy the last answer as it was written."""
        last = self.conversation.last
        if last is None or last.role is not Role.ASSISTANT or not last.content:
            tell(self, "There is no answer to copy yet.")
            return
        self.app.copy_to_clipboard(last.content)
        tell(self, "Copied the last answer.")

    def action_research(self, question: str = "") -> None:
        """Look a question up everywhere at once; what happens is seen in the inspector."""
        if question:
            self.run_worker(self.conversation.research(question), group="send")
        else:
            self.conversation.composer.put("/research ")
            self.conversation.composer.focus()

    def on_transcript_retry_requested(self, message: RetryRequested) -> None:
        """Answer again; only the last answer can be replaced."""
        last = self.conversation.last
        if last is not None and message.message.id == last.id:
            self.action_retry()
        else:
            tell(self, "Only the last answer can be given again.")

    async def on_transcript_asked(self, message: Asked) -> None:
        """Do it."""
        match message.what:
            case "edit":
                self.conversation.edit(message.message)
            case "go_on":
                self.action_go_on()
            case "take_back":
                await self._take_back(message.message)
            case "pin":
                await self.conversation.pin(message.message)
            case _:
                step = -1 if message.what == "previous" else 1
                await self.conversation.show_alternative(message.message, step)

    def on_transcript_copied(self, message: Copied) -> None:
        """Confirm it, for nothing else shows it."""
        tell(self, f"Copied {message.what}.")
