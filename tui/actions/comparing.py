"""Two models' answers to one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.llm.base import ModelError
from tui.actions.base import ChatBase
from tui.telling import tell

if TYPE_CHECKING:
    from storage.records import Message


class CompareActions(ChatBase):
    """Asks another model the same, and keeps the better answer."""

    def action_compare(self, written: str = "") -> None:
        """Let two models answer: the last question, or the one written behind `REF`."""
        if written:
            self.run_worker(self._compare(written), group="send")
            return
        from tui.screens.model_picker import ModelPicker

        def chosen(ref: str | None) -> None:
            if ref:
                self.action_compare(ref)

        picker = ModelPicker(self._engine.models, once="Compare with")
        self.app.push_screen(picker, chosen)

    async def _compare(self, written: str) -> None:
        conversation = self.conversation
        ref, *rest = written.split(maxsplit=1)
        question = "".join(rest)
        if conversation.answering:
            tell(self, "An answer is being written; stop it first.", "warning")
            return
        try:
            own = await self._engine.models.described(self._own_model)
            other = await self._engine.models.described(ref)
        except ModelError as error:
            conversation.composer.give_back(f"/compare {written}")
            tell(self, f"{error.failure.message} {error.failure.next_step}", "error")
            return
        if question and not await conversation.send(question):
            return
        asked = await conversation.last_question()
        if asked is None:
            tell(self, "There is no question yet; write one behind the model.")
            return
        from tui.screens.compare import CompareScreen

        def keep(message: Message | None) -> None:
            if message is not None:
                self.run_worker(conversation.bring_back(message), group="retry")

        refs = (own.ref, other.ref)
        self.app.push_screen(CompareScreen(self, self._engine, asked, refs), keep)
