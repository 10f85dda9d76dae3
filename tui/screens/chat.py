"""The chat screen: sidebar, conversation and inspector, and everything that can be done there."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal

from engine.arenas import share_arenas
from engine.events import (
    AnswerEnded,
    Event,
    Notice,
    ServersChanged,
    SessionChanged,
    SessionDeleted,
    SettingsChanged,
)
from engine.library import UNREAD
from engine.mcp.texts import prompt_commands, wanted_prompt
from storage.errors import StorageError
from tui.actions.answers import AnswerActions
from tui.actions.comparing import CompareActions
from tui.actions.links import LinkActions
from tui.actions.memory import MemoryActions
from tui.actions.models import ModelActions
from tui.actions.servers import ServerActions
from tui.actions.sessions import SessionActions
from tui.bindings import named
from tui.commands import SLASH, read_slash, run
from tui.telling import tell
from tui.widgets.composer import Composer
from tui.widgets.conversation import Conversation
from tui.widgets.key_bar import KeyBar
from tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from engine.config import Settings
    from engine.engine import Engine
    from tui.transcript.events import (
        LoadFailed,
    )
    from tui.widgets.inspector import Inspector
    from tui.widgets.session_list import SessionList

log = logging.getLogger(__name__)

FIRST_REST = 0.1
"""Seconds after the first frame until what it does not show is made; what is typed goes first."""

SECOND_REST = 0.05
"""Seconds from then until the search for a model begins."""

SIDEBAR_CELLS = 32
INSPECTOR_CELLS = 42
CONVERSATION_CELLS = 66
"""A pane has a column of its own where the conversation keeps at least so many cells beside it."""


def _key(
    keys: str, action: str, name: str, words: str, *, show: bool = True, priority: bool = False
) -> Binding:
    # A key with priority overtakes those before it that are still on their way to a widget, so only
    # those have it that Textual gives it to.
    return Binding(keys, action, name, tooltip=words, show=show, priority=priority)


class ChatScreen(
    AnswerActions,
    CompareActions,
    ModelActions,
    MemoryActions,
    SessionActions,
    LinkActions,
    ServerActions,
):
    """Where everything happens. Dialogs open over it."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "chat",
        [
            _key("escape", "stop", "Stop", "Stop the answer; what has come stays"),
            _key("escape", "back", "Back", "Close a pane, go back to writing"),
            _key("ctrl+n", "new", "New", "Begin an empty conversation"),
            _key("ctrl+b,f3", "toggle_sidebar", "Chats", "Go to past conversations; again hides"),
            _key(
                "ctrl+o,f4",
                "toggle_inspector",
                "Inspector",
                "Tokens, memory, research, workers, the last request; again hides",
            ),
            _key("ctrl+t", "choose_model", "Model", "Choose which model answers"),
            _key("ctrl+r", "retry", "Retry", "Ask for the last answer once more", show=False),
            _key("ctrl+f", "find", "Find", "Find words in this conversation", show=False),
            _key("f2", "rename", "Rename", "Give the conversation another title", show=False),
            _key("ctrl+p", "app.command_palette", "Menu", "Everything by name", priority=True),
            _key("f8", "hosts", "Hosts", "Where models run, and how fast", show=False),
            _key("f9", "settings", "Settings", "Everything that can be set", show=False),
            _key("f1", "help", "Help", "Every key and command"),
            _key("question_mark", "help", "Help", "Every key and command", show=False),
            _key("ctrl+q", "app.quit", "Quit", "Quit; everything is kept", priority=True),
        ],
    )

    AUTO_FOCUS = "Composer"

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._unsubscribe: Callable[[], None] | None = None
        self._settled = False
        self._sessions: SessionList | None = None
        self._inspector: Inspector | None = None

        settings = engine.settings.ui
        self._set_panes = {"sidebar": settings.sidebar, "inspector": settings.inspector}
        self._wanted: dict[str, bool | None] = {
            pane: None if wanted else False for pane, wanted in self._set_panes.items()
        }
        """What the user wants shown; None leaves it to the width."""

    def compose(self) -> ComposeResult:
        """The panes; what is inside the outer two comes after the first frame."""
        width = self.app.size.width
        with Horizontal(id="panes"):
            yield Container(id="sidebar", classes=self._classes_of("sidebar", width))
            yield Conversation(self._engine)
            yield Container(id="inspector", classes=self._classes_of("inspector", width))
        yield StatusLine(self._engine)
        yield KeyBar()

    def on_mount(self) -> None:
        """Listen to the engine; leave everything slow until the first frame is there."""
        self.conversation = self.query_one(Conversation)
        self._offer_commands()
        self._unsubscribe = self._engine.events.subscribe(self._hear)
        self.call_after_refresh(self.set_timer, FIRST_REST, self._settle)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    async def _settle(self) -> None:
        self._settled = True
        await self.conversation.settle()
        if not self.is_attached:  # the user has quit meanwhile
            return
        self._arrange()
        self.set_timer(SECOND_REST, self._find_model)

    def _offer_commands(self) -> None:
        self.query_one(Composer).commands = [
            *((f"{name} {one.takes}".rstrip(), one.help) for name, one in SLASH.items()),
            *prompt_commands(self._engine.servers),
        ]

    def _find_model(self) -> None:
        share_arenas()
        self._engine.models.find()
        self._engine.elsewhere.begin()
        self._engine.servers.start()
        self.run_worker(self._engine.plugins.load(), group="plugins")
        if self._engine.settings.memory.recall:
            self._engine.load_memory()

    def _hear(self, event: Event) -> None:
        match event:
            case Notice(text=text, severity=severity):
                tell(self, text, severity)
            case AnswerEnded(message=message) if message.session_id != self._session_id:
                self.run_worker(self._mark_unread(message.session_id, True), group="unread")
            case ServersChanged():
                self._offer_commands()
            case SettingsChanged(settings=settings):
                self._follow(settings)
            case SessionDeleted(session_id=session_id, elsewhere=False):
                self._deleted.append(session_id)
            case SessionChanged(session=session) if session.id in self._deleted:
                self._deleted.remove(session.id)
            case _:
                pass

    def _follow(self, settings: Settings) -> None:
        """Show what the settings now want shown."""
        for pane, wanted in (
            ("sidebar", settings.ui.sidebar),
            ("inspector", settings.ui.inspector),
        ):
            if wanted != (self._set_panes[pane]):
                self._set_panes[pane] = wanted
                self._wanted[pane] = None if wanted else False
        self._arrange()
        if settings.memory.recall:
            self._engine.load_memory()
        self._tell_session()

    # Panes

    def _classes_of(self, pane: str, width: int) -> str:
        """Whether a pane is shown, and whether it lies over the conversation for want of room."""
        cells = SIDEBAR_CELLS if pane == "sidebar" else INSPECTOR_CELLS
        if pane == "inspector" and "-shown" in (beside := self._classes_of("sidebar", width)):
            width -= 0 if "-overlay" in beside else SIDEBAR_CELLS
        fits = width - cells >= CONVERSATION_CELLS
        wanted = self._wanted[pane]
        shown = fits if wanted is None else wanted
        return " ".join([*(["-shown"] if shown else []), *([] if fits else ["-overlay"])])

    def on_resize(self, event: events.Resize) -> None:
        """Give panes a column, or take it, as the width allows."""
        for pane, wanted in self._wanted.items():
            # What was opened over a narrow screen is not what is wanted on a wide one.
            if wanted and self._pane(pane).has_class("-overlay"):
                self._wanted[pane] = None
        self._arrange()

    def _arrange(self) -> None:
        for pane in self._wanted:
            container = self._pane(pane)
            classes = self._classes_of(pane, self.app.size.width)
            if container.classes != set(classes.split()):
                container.set_classes(classes)
            if self._settled and container.has_class("-shown") and not container.children:
                self._fill(container)

    def _fill(self, container: Container) -> None:
        """Mount what a pane shows, when it is first shown."""
        if container.id == "sidebar":
            from tui.widgets.session_list import SessionList

            self._sessions = SessionList(self._engine)
            container.mount(self._sessions)
        else:
            from tui.widgets.inspector import Inspector

            self._inspector = Inspector(self._engine)
            container.mount(self._inspector)
        self._tell_session()

    def _pane(self, name: str) -> Container:
        return self.query_one(f"#{name}", Container)

    def _toggle(self, name: str) -> None:
        """Show a pane and go there; hide it when it is the one in use."""
        pane = self._pane(name)
        if self.focused is not None and pane in self.focused.ancestors:
            self._wanted[name] = False
            self._arrange()
            self.conversation.composer.focus()
        elif pane.has_class("-shown"):
            self._enter(name)
        else:
            self._wanted[name] = True
            self._arrange()
            self.call_after_refresh(self._enter, name)

    def _enter(self, name: str) -> None:
        if name == "sidebar" and self._sessions is not None:
            self._sessions.focus_rows()
        elif name == "inspector" and self._inspector is not None:
            self._inspector.focus_panel()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Close a pane that lies over the conversation when the focus leaves it."""
        for name in self._wanted:
            pane = self._pane(name)
            if pane.has_class("-overlay") and pane not in event.widget.ancestors_with_self:
                self._close_overlay(name)

    def _close_overlay(self, name: str) -> None:
        pane = self._pane(name)
        if pane.has_class("-overlay") and pane.has_class("-shown"):
            self._wanted[name] = None
            self._arrange()

    @property
    def focus_chain(self) -> list[Widget]:
        """Where tab leads: from the composer to what is above it, and then through the panes."""
        chain = super().focus_chain
        inside = [widget for widget in chain if self.conversation in widget.ancestors]
        if self.conversation.composer in inside:
            first = chain.index(inside[0])
            chain.remove(self.conversation.composer)
            chain.insert(first, self.conversation.composer)
        return chain

    # What a person does

    def action_new(self) -> None:
        """Begin an empty conversation."""
        # At once: what is typed before it is there shall be no keys for the conversation left.
        self.set_focus(self.conversation.composer)
        self._switch(self.conversation.new)

    def action_toggle_sidebar(self) -> None:
        """Go to the conversations; hide them from there."""
        self._toggle("sidebar")

    def action_toggle_inspector(self) -> None:
        """Go to the inspector; hide it from there."""
        self._toggle("inspector")

    def action_back(self) -> None:
        """Close what lies over the conversation, and go and write."""
        for name in self._wanted:
            self._close_overlay(name)
        self.conversation.composer.focus()

    def action_change_theme(self, name: str = "") -> None:
        """Change the colours, and keep them; show the themes if none is named."""
        if not name:
            self.app.search_themes()
        elif name in self.app.available_themes:
            self.app.theme = name
        else:
            tell(self, f"There is no theme {name!r}.", "warning")

    def action_hosts(self) -> None:
        """Show where models run."""
        from tui.screens.hosts import HostsScreen

        self.app.push_screen(HostsScreen(self._engine.models))

    def action_privacy(self) -> None:
        """Show what leaves this computer."""
        from tui.screens.privacy import PrivacyScreen

        self.app.push_screen(PrivacyScreen(self._engine))

    def action_settings(self, words: str = "") -> None:
        """Show everything that can be set, or what has these words."""
        from tui.screens.settings import SettingsScreen

        self.app.push_screen(SettingsScreen(self._engine, words))

    def action_help(self) -> None:
        """Show every key and command."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self))

    async def action_quit(self) -> None:
        """Quit; what is unfinished is kept."""
        await self.app.action_quit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape stops the answer that is being written; else it leads back to the composer."""
        match action:
            case "stop":
                return self._in_conversation and self.conversation.answering
            case "back":
                return not isinstance(self.focused, Composer)
            case _:
                return True

    @property
    def _in_conversation(self) -> bool:
        return self.focused is not None and self.conversation in self.focused.ancestors

    def open(self, session_id: str, position: int | None = None, words: Sequence[str] = ()) -> None:
        """Show a kept conversation, at a message where words were found if they are given."""
        self._switch(partial(self.conversation.open, session_id, position, words))

    def _switch(self, show: Callable[[], Awaitable[None]]) -> None:
        for name in self._wanted:
            self._close_overlay(name)
        self.run_worker(show, group="open", exclusive=True)

    # What widgets tell

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        """Do a command, or send the text."""
        slash = read_slash(message.text)
        if wanted := wanted_prompt(self._engine.servers, message.text):
            self.run_worker(self._put_prompt(wanted), group="prompt")
        elif slash is None:
            self.run_worker(self.conversation.send(message.text), group="send")
        elif slash.command is None:
            self.conversation.composer.give_back(message.text)
            text = f"There is no command {slash.word}. To send it as it is, put a blank before it."
            tell(self, text, "warning")
        else:
            self.call_later(run, self, slash.command, slash.argument)

    async def _mark_unread(self, session_id: str, unread: bool) -> None:
        with suppress(StorageError):  # whoever opens it will see what there is
            await self._engine.library.mark_unread(session_id, unread)

    def on_conversation_shown(self, message: Conversation.Shown) -> None:
        """Let the other panes show the same session; showing it is reading it."""
        if message.session is not None and message.session.state.get(UNREAD):
            self.run_worker(self._mark_unread(message.session.id, False), group="unread")
        self._tell_session()
        if message.last is not None:
            self.query_one(StatusLine).show_last(message.last)
        self.refresh_bindings()

    def _tell_session(self) -> None:
        status = self.query_one(StatusLine)
        status.session_id = self._session_id
        status.forgetful = self.conversation.parameters.recall is False
        status.model = session.model if (session := self.conversation.session) else None
        if self._sessions is not None:
            self._sessions.current = self._session_id
        if self._inspector is not None:
            self._inspector.recalls = self._recalls
            self._inspector.session_id = self._session_id

    def on_conversation_waiting(self, message: Conversation.Waiting) -> None:
        """Say that the conversation can't go on without the user."""
        self.query_one(StatusLine).undecided = message.calls

    def on_conversation_busy(self) -> None:
        """There is something to stop, or not any more."""
        self.query_one(StatusLine).refresh()
        self.refresh_bindings()

    def on_session_list_opened(self, message: SessionList.Opened) -> None:
        """Show what was chosen in the sidebar."""
        self.open(message.session_id, message.position, message.words)

    def on_session_list_new_requested(self) -> None:
        """Begin an empty conversation."""
        self.action_new()

    def on_inspector_jump(self, message: Inspector.Jump) -> None:
        """Show where something was said."""
        self.open(message.session_id, message.position)

    def on_transcript_load_failed(self, message: LoadFailed) -> None:
        """Say why there are gaps."""
        tell(self, f"Messages could not be read: {message.error}", "error")
