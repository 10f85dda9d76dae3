"""What is remembered and forgotten by command."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from tui.actions.base import ChatBase
from tui.telling import tell

if TYPE_CHECKING:
    from engine.memory.memories import Kind


class MemoryActions(ChatBase):
    """Facts and skills that a person tells, and whether the conversation recalls."""

    def action_remember(self, text: str = "") -> None:
        """Remember something; ask what, if nothing is said."""
        if text:
            self.run_worker(self._remember(text), group="memories")
        else:
            self._remembering.write("fact", self._remember)

    def action_skill(self, written: str = "") -> None:
        """Teach a skill, `NAME: HOW`; ask how it is done, if only its name is said."""
        name, _, how = (part.strip() for part in written.partition(":"))
        if name and how:
            self.run_worker(self._remember(how, name, "skill"), group="memories")
        else:
            remember = partial(self._remember, kind="skill")
            self._remembering.write("skill", remember, name=name)

    async def _remember(self, text: str, name: str = "", kind: Kind = "fact") -> None:
        kept = await self._remembering.remember(
            text, kind=kind, name=name, session_id=self._session_id
        )
        if kept is not None:
            self._deleted.append(kept)

    def action_forget(self, text: str = "") -> None:
        """Forget what fits, if that is meant."""
        if text:
            self.run_worker(self._remembering.forget_matching(text), group="memories")
        else:
            self.conversation.composer.put("/forget ")
            self.conversation.composer.focus()

    async def action_recall(self, wanted: str = "") -> None:
        """Let this conversation remember, or not; if neither is said, the other way round."""
        if wanted not in ("", "on", "off"):
            tell(self, "/recall on, or /recall off.", "warning")
            return
        on = wanted == "on" if wanted else not self._recalls
        recall = None if on == self._engine.settings.memory.recall else on
        parameters = structs.replace(self.conversation.parameters, recall=recall)
        await self.conversation.set_parameters(parameters)
        self._tell_session()
        self.refresh_bindings()
        tell(
            self,
            "This conversation remembers again."
            if on
            else "Nothing is brought back from memory in this conversation. /recall on ends that.",
        )
