"""The chat screen: sidebar, conversation and inspector, and everything that can be done there."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.screen import Screen

from engine.events import (
    AnswerEnded,
    Event,
    Notice,
    SessionChanged,
    SessionDeleted,
    SettingsChanged,
)
from engine.library import UNREAD, tags_of
from engine.llm.base import ModelError
from engine.memory.memories import Kept
from engine.parameters import PERSONAS, ParameterError, changed, in_words, personas
from storage.errors import StorageError
from storage.records import Role
from tui.bindings import named
from tui.commands import SLASH, read_slash, run
from tui.harmless import visible
from tui.remembering import Remembering
from tui.widgets.composer import Composer
from tui.widgets.conversation import Conversation
from tui.widgets.key_bar import KeyBar
from tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Literal

    from textual import events
    from textual.app import ComposeResult

    from engine.config import Settings
    from engine.engine import Engine
    from engine.memory.memories import Kind
    from engine.parameters import Parameters
    from storage.articles import Article
    from storage.records import Message
    from tui.transcript.events import (
        Asked,
        CitationOpened,
        Copied,
        LinkOpened,
        LinksListed,
        LoadFailed,
        RetryRequested,
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


class ChatScreen(Screen[None]):
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
            _key("f9", "settings", "Settings", "Everything that can be set", show=False),
            _key("f1", "help", "Help", "Every key and command"),
            _key("question_mark", "help", "Help", "Every key and command", show=False),
            _key("ctrl+q", "app.quit", "Quit", "Quit; everything is kept", priority=True),
        ],
    )

    AUTO_FOCUS = "Composer"

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._unsubscribe: Callable[[], None] | None = None
        self._settled = False
        self._sessions: SessionList | None = None
        self._inspector: Inspector | None = None
        self._remembering = Remembering(self, engine)
        self._deleted: list[str | Message | Kept] = []
        """What can be undone, the last one last: sessions (by id) and messages that were taken
        away in this run, and memories that were written."""

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
        self.query_one(Composer).commands = [
            (f"{name} {command.takes}".rstrip(), command.help) for name, command in SLASH.items()
        ]
        self._unsubscribe = self._engine.events.subscribe(self._hear)
        self.call_after_refresh(self.set_timer, FIRST_REST, self._settle)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    async def _settle(self) -> None:
        self._settled = True
        await self.conversation.settle()
        self._arrange()
        self.set_timer(SECOND_REST, self._find_model)

    def _find_model(self) -> None:
        self._engine.models.find()
        self._engine.elsewhere.begin()
        if self._engine.settings.memory.recall:
            self._engine.load_memory()

    def _hear(self, event: Event) -> None:
        match event:
            case Notice(text=text, severity=severity):
                self._say(text, severity)
            case AnswerEnded(message=message) if message.session_id != self._session_id:
                self.run_worker(self._mark_unread(message.session_id, True), group="unread")
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

    def _say(self, text: str, severity: str = "information") -> None:
        known: dict[str, Literal["information", "warning", "error"]] = {
            "warning": "warning",
            "error": "error",
        }
        level = known.get(severity, "information")
        timeout = 4 if level == "information" else 12
        self.notify(visible(text), severity=level, timeout=timeout, markup=False)

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

    def action_stop(self) -> None:
        """Stop the answer; what has come of it stays."""
        self.run_worker(self.conversation.stop(), group="stop")

    def action_allow(self) -> None:
        """Decide on the tool calls that wait for consent."""
        self.run_worker(self.conversation.decide(), group="allow")

    def action_back(self) -> None:
        """Close what lies over the conversation, and go and write."""
        for name in self._wanted:
            self._close_overlay(name)
        self.conversation.composer.focus()

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
            self._say("An answer is being written; stop it first.", "warning")
            return
        try:
            own = await self._engine.models.described(self._own_model)
            other = await self._engine.models.described(ref)
        except ModelError as error:
            conversation.composer.give_back(f"/compare {written}")
            self._say(f"{error.failure.message} {error.failure.next_step}", "error")
            return
        if question and not await conversation.send(question):
            return
        asked = await conversation.last_question()
        if asked is None:
            self._say("There is no question yet; write one behind the model.")
            return
        from tui.screens.compare import CompareScreen

        def keep(message: Message | None) -> None:
            if message is not None:
                self.run_worker(conversation.bring_back(message), group="retry")

        refs = (own.ref, other.ref)
        self.app.push_screen(CompareScreen(self, self._engine, asked, refs), keep)

    def action_go_on(self) -> None:
        """Let the last answer go on where it was stopped."""
        self.run_worker(self.conversation.go_on(), group="retry")

    async def action_edit_last(self) -> None:
        """Ask the last question in other words."""
        if question := await self.conversation.last_question():
            self.conversation.edit(question)
        else:
            self._say("There is no question to edit yet.")

    async def action_take_back(self) -> None:
        """Take the last question back, and its answer with it."""
        if question := await self.conversation.last_question():
            await self._take_back(question)
        else:
            self._say("There is no question to take back yet.")

    async def _take_back(self, message: Message) -> None:
        if await self.conversation.take_back(message):
            self._deleted.append(message)
            self._say("Took it back, with what followed. /undo brings it back.")

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
            self._say("There is no answer to copy yet.")
            return
        self.app.copy_to_clipboard(last.content)
        self._say("Copied the last answer.")

    async def action_export(self, wanted: str = "") -> None:
        """Write the conversation to a file: Markdown, or the format that is named."""
        from engine import export

        session = self.conversation.session
        if session is None:
            self._say("There is nothing to export.")
            return
        format, file = export.wanted(wanted, session)
        try:
            await export.save(export.pieces(self._engine.library, session, format), file)
        except FileExistsError:
            self._say(f"{file} is there already; name another after /export.", "warning")
        except OSError as error:
            self._say(f"{file} can't be written: {error.strerror}.", "error")
        except StorageError as error:
            self.conversation.report(error)
        else:
            self._say(f"Exported to {file.absolute()}")

    def action_import_file(self, name: str = "") -> None:
        """Take in conversations from a file; the Workers tab shows how far it has come."""
        if name:
            self._engine.import_file(Path(name).expanduser())
        else:
            self.conversation.composer.put("/import ")
            self.conversation.composer.focus()

    def action_research(self, question: str = "") -> None:
        """Look a question up everywhere at once; what happens is seen in the inspector."""
        if question:
            self.run_worker(self.conversation.research(question), group="send")
        else:
            self.conversation.composer.put("/research ")
            self.conversation.composer.focus()

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
            self._say("/recall on, or /recall off.", "warning")
            return
        on = wanted == "on" if wanted else not self._recalls
        recall = None if on == self._engine.settings.memory.recall else on
        parameters = structs.replace(self.conversation.parameters, recall=recall)
        await self.conversation.set_parameters(parameters)
        self._tell_session()
        self.refresh_bindings()
        self._say(
            "This conversation remembers again."
            if on
            else "Nothing is brought back from memory in this conversation. /recall on ends that."
        )

    def action_rename(self, title: str = "") -> None:
        """Give the conversation another title; ask for it if none is given."""
        session = self.conversation.session
        if session is None:
            self._say("A conversation gets its title with its first message.")
        elif title:
            self.run_worker(self._rename(session.id, title), group="rename")
        else:
            from tui.screens.rename import RenameScreen

            def rename(title: str | None) -> None:
                if title:
                    self.action_rename(title)

            self.app.push_screen(RenameScreen(session.title), rename)

    async def _rename(self, session_id: str, title: str) -> None:
        try:
            await self._engine.library.rename(session_id, title)
        except StorageError as error:
            self.conversation.report(error)

    async def action_delete(self) -> None:
        """Take the conversation out of the list; it can be brought back."""
        session = self.conversation.session
        if session is None:
            self._say("There is nothing to delete.")
            return
        try:
            for turn in reversed(self._engine.turns(session.id)):
                await turn.stop()
            await self._engine.library.delete(session.id)
        except StorageError as error:
            self.conversation.report(error)
            return
        self._say(f"Deleted “{session.title}”. /undo brings it back.")

    async def action_undo(self) -> None:
        """Bring back what was deleted or taken back last; forget what was remembered since."""
        if not self._deleted:
            self._say("Nothing was deleted in this run.")
            return
        last = self._deleted[-1]
        if isinstance(last, Kept):
            self._deleted.pop()
            await self._remembering.take_back(last)
            return
        if not isinstance(last, str):
            self._deleted.pop()
            await self.conversation.open(last.session_id)
            await self.conversation.bring_back(last)
            return
        try:
            session = await self._engine.library.restore(last)
        except StorageError as error:
            self.conversation.report(error)
            return
        self.open(session.id)

    def action_tag(self, tag: str = "") -> None:
        """Put a tag on the conversation, or take it off; `tag:NAME` in a search finds it."""
        session = self.conversation.session
        if session is None:
            self._say("A conversation can be tagged once it has begun.")
        elif tag:
            self.run_worker(self._tag(session.id, tag), group="tag")
        else:
            tags = ", ".join(tags_of(session))
            self._say(f"Its tags: {tags}." if tags else "/tag NAME puts a tag on it.")

    async def _tag(self, session_id: str, tag: str) -> None:
        try:
            session = await self._engine.library.tag(session_id, tag)
        except StorageError as error:
            self.conversation.report(error)
        else:
            tags = ", ".join(tags_of(session))
            self._say(f"Its tags: {tags}." if tags else "It has no tags now.")

    def action_choose_model(self, ref: str = "") -> None:
        """Choose which model answers from now on; show those that there are if none is named."""
        if ref:
            self.run_worker(self._choose(ref), group="model", exclusive=True)
        else:
            from tui.screens.model_picker import ModelPicker

            def chosen(ref: str | None) -> None:
                if ref:
                    self.run_worker(self.conversation.use_model(ref), group="model")

            self.app.push_screen(ModelPicker(self._engine.models), chosen)

    async def _choose(self, ref: str) -> None:
        try:
            info = await self._engine.models.choose(ref)
        except ModelError as error:
            self._say(f"{error.failure.message} {error.failure.next_step}", "error")
        else:
            await self.conversation.use_model(ref)
            self._say(f"{info.ref} answers from now on.")

    def action_set(self, written: str = "") -> None:
        """Set a parameter of this conversation, `NAME VALUE`; show them all if none is named."""
        name, _, value = written.partition(" ")
        if name:
            self._set(name, value)
            return
        from tui.screens.parameters import ParametersScreen

        def keep(parameters: Parameters | None) -> None:
            if parameters is not None:
                self._keep_parameters(parameters)

        known = personas(self._engine.paths.config_dir)
        self.app.push_screen(ParametersScreen(self.conversation.parameters, known), keep)

    def _set(self, name: str, value: str) -> None:
        try:
            parameters = changed(self.conversation.parameters, name, value)
        except ParameterError as error:
            self._say(str(error), "warning")
        else:
            self._keep_parameters(parameters)

    def _keep_parameters(self, parameters: Parameters) -> None:
        self.run_worker(self.conversation.set_parameters(parameters), group="parameters")
        self._say(
            f"Here: {in_words(parameters)}." if in_words(parameters) else "As in the settings."
        )

    def action_persona(self, name: str = "") -> None:
        """Let this conversation have a persona, or `none`; show those that there are."""
        folder = self._engine.paths.config_dir / PERSONAS
        known = personas(self._engine.paths.config_dir)
        if name == "none" or name in known:
            self._set("persona", "" if name == "none" else name)
        elif name:
            there = f"There are {', '.join(known)}." if known else "There is none yet."
            file = folder / f"{name}.md"
            self._say(f"There is no persona {name!r}. {there} {file} would make it.", "warning")
        elif known:
            self._say(f"/persona NAME, of {', '.join(known)}; /persona none for no other.")
        else:
            self._say(f"No persona is written yet. Its instructions go into {folder}/NAME.md.")

    def action_change_theme(self, name: str = "") -> None:
        """Change the colours, and keep them; show the themes if none is named."""
        if not name:
            self.app.search_themes()
        elif name in self.app.available_themes:
            self.app.theme = name
        else:
            self._say(f"There is no theme {name!r}.", "warning")

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

    @property
    def _in_conversation(self) -> bool:
        return self.focused is not None and self.conversation in self.focused.ancestors

    def open(self, session_id: str, position: int | None = None) -> None:
        """Show a kept conversation."""
        self._switch(partial(self.conversation.open, session_id, position))

    def _switch(self, show: Callable[[], Awaitable[None]]) -> None:
        for name in self._wanted:
            self._close_overlay(name)
        self.run_worker(show, group="open", exclusive=True)

    # What widgets tell

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        """Do a command, or send the text."""
        slash = read_slash(message.text)
        if slash is None:
            self.run_worker(self.conversation.send(message.text), group="send")
        elif slash.command is None:
            self.conversation.composer.give_back(message.text)
            text = f"There is no command {slash.word}. To send it as it is, put a blank before it."
            self._say(text, "warning")
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
        self.open(message.session_id, message.position)

    def on_session_list_new_requested(self) -> None:
        """Begin an empty conversation."""
        self.action_new()

    def on_inspector_jump(self, message: Inspector.Jump) -> None:
        """Show where something was said."""
        self.open(message.session_id, message.position)

    def on_transcript_retry_requested(self, message: RetryRequested) -> None:
        """Answer again; only the last answer can be replaced."""
        last = self.conversation.last
        if last is not None and message.message.id == last.id:
            self.action_retry()
        else:
            self._say("Only the last answer can be given again.")

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
        self._say(f"Copied {message.what}.")

    def on_transcript_link_opened(self, message: LinkOpened) -> None:
        """Open an address of the web in the browser; show any other."""
        self._open_link(message.address)

    def _open_link(self, address: str) -> None:
        if address.startswith(("https://", "http://", "mailto:")):
            self.app.open_url(address)
            self._say(f"Opening {address}")
        else:
            self._say(f"Not opened, because it is no address of the web: {address}")

    def on_transcript_links_listed(self, message: LinksListed) -> None:
        """Let the reader choose one."""
        self.run_worker(self._list_links(message), group="links", exclusive=True)

    async def _list_links(self, message: LinksListed) -> None:
        from tui.screens.links import LinksScreen

        cited = await self._citations(message.message)

        def opened(chosen: str | int | None) -> None:
            if isinstance(chosen, int):
                self._read(cited[chosen])
            elif chosen:
                self._open_link(chosen)

        self.app.push_screen(LinksScreen(message.links, cited), opened)

    def on_transcript_citation_opened(self, message: CitationOpened) -> None:
        """Show the article that the number stands for."""
        self.run_worker(self._open_citation(message), group="links", exclusive=True)

    async def _open_citation(self, message: CitationOpened) -> None:
        cited = await self._citations(message.message)
        if message.number in cited:
            self._read(cited[message.number])
        else:
            self._say(f"No article has the number {message.number}.", "warning")

    async def _citations(self, message: Message) -> Mapping[int, Article]:
        try:
            return await self._engine.library.citations(message.id)
        except StorageError as error:
            self.conversation.report(error)
            return {}

    def _read(self, article: Article) -> None:
        from tui.screens.article import ArticleScreen

        self.app.push_screen(ArticleScreen(article))

    def on_transcript_load_failed(self, message: LoadFailed) -> None:
        """Say why there are gaps."""
        self._say(f"Messages could not be read: {message.error}", "error")
