"""What the actions of the chat screen have in common: the engine, and the conversation shown."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from textual.screen import Screen

from tui.remembering import Remembering

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.memory.memories import Kept
    from storage.records import Message
    from tui.widgets.conversation import Conversation


class ChatBase(Screen[None]):
    """A screen with a conversation on it."""

    conversation: Conversation

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._remembering = Remembering(self, engine)
        self._deleted: list[str | Message | Kept] = []
        """What can be undone, the last one last: sessions (by id) and messages that were taken
        away in this run, and memories that were written."""

    @abstractmethod
    def open(self, session_id: str, position: int | None = None) -> None:
        """Show a kept conversation."""

    @abstractmethod
    def _tell_session(self) -> None:
        """Let everything beside the conversation show what belongs to it."""

    @property
    def _own_model(self) -> str | None:
        session = self.conversation.session
        return session.model if session else None

    @property
    def _recalls(self) -> bool:
        own = self.conversation.parameters.recall
        return self._engine.settings.memory.recall if own is None else own

    @property
    def _session_id(self) -> str | None:
        session = self.conversation.session
        return session.id if session else None
