"""What every part of a conversation works with: its session, the transcript, and the composer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from textual.containers import Vertical

from engine.parameters import Parameters, parameters_of
from storage.errors import StorageError
from tui.telling import tell_error

if TYPE_CHECKING:
    from engine.engine import Engine
    from storage.records import Message, Session
    from tui.transcript import Transcript
    from tui.widgets.composer import Composer


class Talk(Vertical):
    """One session at a time, or a new one that begins with the first message.

    Attributes:
        session: What is shown; None for a new conversation.
        last: Its last message, as far as it is known.
    """

    composer: Composer

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._transcript: Transcript | None = None
        self._session_id: str | None = None
        self._new_parameters = Parameters()
        self.session: Session | None = None
        self.last: Message | None = None

    @abstractmethod
    async def _reload(self) -> None:
        """Show the session afresh, if messages have moved."""

    @property
    def transcript(self) -> Transcript:
        """The transcript; there is one as soon as there can be a session."""
        assert self._transcript is not None
        return self._transcript

    @property
    def answering(self) -> bool:
        """Whether an answer is being written here."""
        return self._session_id is not None and self._engine.turn(self._session_id) is not None

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
            tell_error(self, error)

    async def use_model(self, ref: str) -> None:
        """Let a model answer here from now on, in later runs too."""
        if self._session_id is not None:
            try:
                await self._engine.library.use_model(self._session_id, ref)
            except StorageError as error:
                tell_error(self, error)
