"""What the engine tells whoever listens: a record for each thing that happened, in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from typing import Literal

    from engine.config import Settings
    from engine.context.budget import Packed
    from engine.llm.base import ModelInfo
    from engine.plugin_finder import Plugins
    from engine.pool import Job
    from engine.research.pipeline import Research
    from storage.articles import Draft
    from storage.records import Message, Session, ToolCall

log = logging.getLogger(__name__)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all events."""


class SessionChanged(Event, frozen=True, kw_only=True):
    """A session was made, renamed, retitled, or got a message; the record is the new state."""

    session: Session


class SessionDeleted(Event, frozen=True, kw_only=True):
    """A session left the list, deleted or archived. It can be restored."""

    session_id: str
    elsewhere: bool = False
    """Another program did it."""


class ChangedElsewhere(Event, frozen=True, kw_only=True):
    """Another program changed a session, or said something in it."""

    session_id: str
    session: Session
    last: tuple[Message, ...]
    """The last messages of the branch that is shown now, in order."""


class ConnectionChanged(Event, frozen=True, kw_only=True):
    """The server that keeps everything went out of reach, or is back."""

    lost: bool
    waiting: int = 0
    """Writes that wait on this machine until it is back."""


class MessageAdded(Event, frozen=True, kw_only=True):
    """A message was committed; for a retried answer, `replaces` is the one whose place it takes.

    With `inserted`, questions may wait in line behind it: they have moved one position on.
    """

    message: Message
    replaces: str | None = None
    inserted: bool = False


class BranchShown(Event, frozen=True, kw_only=True):
    """A session shows other messages than before, from some place on."""

    session_id: str


class AnswerRead(Event, frozen=True, kw_only=True):
    """The model has read `share` (0 to 1) of the prompt."""

    session_id: str
    message_id: str
    share: float


class AnswerDelta(Event, frozen=True, kw_only=True):
    """More of an answer has come."""

    session_id: str
    message_id: str
    text: str = ""
    thinking: str = ""


class AnswerEnded(Event, frozen=True, kw_only=True):
    """An answer was committed in its last form: complete, stopped or failed."""

    message: Message


class TurnEnded(Event, frozen=True, kw_only=True):
    """A turn is over; the next one in line of its session begins, if there is one."""

    session_id: str


class ContextPacked(Event, frozen=True, kw_only=True):
    """What the model is about to be shown for a turn, segment by segment."""

    session_id: str
    packed: Packed


class CallsBegun(Event, frozen=True, kw_only=True):
    """These calls of the model run now; their results follow as messages."""

    session_id: str
    calls: tuple[ToolCall, ...]


class ConsentNeeded(Event, frozen=True, kw_only=True):
    """A turn waits: these calls of the model run only if a person agrees."""

    session_id: str
    calls: tuple[ToolCall, ...]


class ResearchChanged(Event, frozen=True, kw_only=True):
    """A research turn came to another stage, or one of its sources did."""

    research: Research


class ArticleFound(Event, frozen=True, kw_only=True):
    """A source found an article; it is not ranked yet."""

    research: Research
    article: Draft


class ModelChanged(Event, frozen=True, kw_only=True):
    """The model that will answer next, or how it is: `info` is None while there is none.

    `state` is one of `looking`, `fetching`, `loading`, `ready`, `missing`, `failed`.
    """

    state: str
    info: ModelInfo | None
    detail: str = ""
    """A sentence for the status line: what is being fetched, or what to do."""

    share: float | None = None
    """How much of a download has come, from 0 to 1."""


class HostsChanged(Event, frozen=True, kw_only=True):
    """A model server was found to be there or gone, or is asked for more or less than before."""


class MemoriesChanged(Event, frozen=True, kw_only=True):
    """Something was remembered, changed or forgotten about a person."""

    entity_id: str | None


class ServersChanged(Event, frozen=True, kw_only=True):
    """A server of tools started, ended, or offers something else now."""


class JobChanged(Event, frozen=True, kw_only=True):
    """A job of the pool changed its state or its progress."""

    job: Job[Any]


class Notice(Event, frozen=True, kw_only=True):
    """Something the user should read: `severity` is `information`, `warning` or `error`."""

    text: str
    severity: Literal["information", "warning", "error"] = "information"


class PluginsLoaded(Event, frozen=True, kw_only=True):
    """It is known what plugins add."""

    plugins: Plugins


class SettingsChanged(Event, frozen=True, kw_only=True):
    """The user has set something else."""

    settings: Settings


Listener: TypeAlias = Callable[[Event], None]


class Events:
    """Hands each event to every listener, on the event loop, in order."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on. Returns the function that ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def emit(self, event: Event) -> None:
        """Hand `event` to the listeners. A listener that raises is logged and harms no other."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed on %s", type(event).__name__)
