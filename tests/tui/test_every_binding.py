"""Every key that the program binds, pressed where it is meant to be, with what it does.

A script for each class presses all of its keys in one run of the app. After each the screen must
look another way, or what the script names must have come true; and the binding itself must have
run, not another one with the same key. A binding that no script presses fails.
"""

from __future__ import annotations

import asyncio
import inspect
import pkgutil
import re
from contextlib import aclosing
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widgets import Input

import tui
from engine.config import OllamaSettings
from engine.llm.base import ModelError
from engine.pool import Lane
from engine.research.outcome import STATE, Outcome, Stage
from storage.articles import Draft
from storage.records import Role, ToolCall
from tests.engine.mcp.support import MISBEHAVING
from tests.scripted import ScriptedBackend
from tests.tui.chatting import ANSWER, FIRST_AT, QUESTION, Chat, chatting, keep_talk
from tests.tui.chatting import settings as plain
from tests.tui.test_coming_from import key_name
from tests.tui.test_compare import Pair
from tests.tui.test_consent import able, asked, chosen, reads
from tests.tui.test_servers import naming
from tui.app import ScrubjayApp
from tui.screens.article import ArticleScreen
from tui.screens.compare import CompareScreen
from tui.screens.dialog import Choices, Dialog
from tui.screens.hosts import HostsScreen
from tui.screens.memory_edit import MemoryScreen
from tui.screens.memory_forget import ForgetScreen
from tui.screens.parameters import ParametersScreen
from tui.widgets.composer import Composer
from tui.widgets.inspector import Inspector
from tui.widgets.memory_panel import MemoryPanel
from tui.widgets.session_list import SessionList

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from engine.config import Settings
    from engine.llm.base import ChatRequest, Chunk
    from engine.llm.hosts import Host
    from engine.pool import Job


def bound() -> dict[str, tuple[type, list[Binding]]]:
    """The classes of the program that bind keys, by their names."""
    found = {}
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        for name, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            bindings = list(Binding.make_bindings(kind.__dict__.get("BINDINGS", ())))
            if bindings and kind.__module__.startswith("tui."):
                found[name] = (kind, bindings)
    return found


class Keys:
    """Presses keys in a running app, and notes which bindings they ran."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.ran: list[tuple[DOMNode, str, str]] = []
        """The node that bound a key, the key, and the action."""

        self.opened: list[str] = []
        """The addresses that were given to the browser."""

        self._key = ""
        chat.app.open_url = lambda url, **_: self.opened.append(url)  # type: ignore[method-assign]

    async def press(self, *keys: str, until: Callable[[], object] | None = None) -> None:
        """Press keys, one after another; each must change what is seen, or the last one `until`."""
        for number, key in enumerate(keys, 1):
            await self.chat.pilot.pause()
            before, self._key = self._seen(), key
            await self.chat.pilot.press(key)
            if until is not None and number == len(keys):
                await self.chat.until(until)
            else:
                await self._until_it_differs(before)

    async def _until_it_differs(self, before: tuple[object, ...]) -> None:
        await self.chat.until(lambda: self._seen() != before)

    def note(self, node: DOMNode, action: str) -> None:
        self.ran.append((node, key_name(self._key), action))

    def _seen(self) -> tuple[object, ...]:
        app = self.chat.app
        rows = [
            tuple((segment.text, str(segment.style)) for segment in row)
            for row in app.screen._compositor.render_strips()
        ]
        return rows, app.screen, app.focused, app.clipboard


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> list[Keys]:
    """Let the keys that are put into this list hear of every action that a binding runs."""
    listening: list[Keys] = []
    run_action = ScrubjayApp.run_action

    async def noted(app: ScrubjayApp, action: Any, default: Any = None, *more: Any) -> bool:
        ran = await run_action(app, action, default, *more)
        if ran and default is not None and isinstance(action, str):
            for keys in listening:
                keys.note(default, action)
        return ran

    monkeypatch.setattr(ScrubjayApp, "run_action", noted)
    # The composer takes some keys before its bindings are asked.
    for name in ("send", "newline", "leave"):
        note_calls(monkeypatch, listening, Composer, name)
    return listening


def note_calls(
    monkeypatch: pytest.MonkeyPatch, listening: list[Keys], kind: type[Composer], action: str
) -> None:
    method = getattr(kind, f"action_{action}")

    def noted(composer: Composer) -> None:
        method(composer)
        for keys in listening:
            keys.note(composer, action)

    monkeypatch.setattr(kind, f"action_{action}", noted)


ARTICLE = Draft(
    url="https://jays.example/1",
    source="wikipedia",
    title="Scrub jay",
    text="A bird. " * 400,
    relevance=0.9,
)
LINK = "\n\nSee [open](https://docs.example/open).\n\n```sh\nls\n```\n"


async def read(chat: Chat) -> None:
    """Show a conversation of two questions, with all that an answer can have."""
    store = chat.engine._store
    session = await keep_talk(chat.engine, "Read a file", QUESTION, ANSWER, "And now?")
    await store.messages.append(
        session.id,
        role=Role.ASSISTANT,
        content=ANSWER + LINK,
        thinking="First this.",
        model="scripted:parrot",
        created_at=FIRST_AT + 9,
    )
    await chat.open(session.id)
    await chat.until_shown("See open")


async def said(chat: Chat, text: str) -> None:
    """Ask, and wait for the answer's end."""
    before = chat.screen.conversation.last
    await chat.say(text)
    await chat.until(lambda: chat.screen.conversation.last is not before)
    await chat.until(lambda: not chat.screen.conversation.answering)
    await chat.pilot.pause()


class Script(NamedTuple):
    """What presses keys, and the app that it presses them in."""

    press: Callable[[Keys], Awaitable[None]]
    backend: Callable[[], ScriptedBackend] = ScriptedBackend
    settings: Callable[[Path], Any] | None = None


async def chat_screen(keys: Keys) -> None:
    chat = keys.chat
    await read(chat)
    await keys.press("ctrl+b", "ctrl+b", "f3", "f3", "ctrl+o", "ctrl+o", "f4", "f4")
    await keys.press("ctrl+b", "escape", "ctrl+t", "escape", "f2", "escape", "f9", "escape")
    await keys.press("f1", "escape", "f8", "escape", "ctrl+f", "escape", "ctrl+p", "escape")
    chat.transcript.focus()
    await keys.press("question_mark", "escape", "ctrl+r")
    await chat.until(lambda: not chat.screen.conversation.answering)
    chat.composer.focus()
    await chat.say("Write on.")
    await chat.until_shown("It begins")
    chat.transcript.focus()
    await keys.press("escape", until=lambda: not chat.screen.conversation.answering)
    await keys.press("ctrl+n", until=lambda: chat.session_id is None)
    await keys.press("ctrl+q", until=lambda: chat.app._exit)


def endless() -> ScriptedBackend:
    return ScriptedBackend(["No."], ["It begins", asyncio.Event()])


async def composer(keys: Keys) -> None:
    chat = keys.chat
    edited: list[str] = []
    edit = edited_outside(edited)
    chat.screen.conversation._edit_outside = edit  # type: ignore[method-assign]
    await said(chat, "Who are you?")
    await said(chat, "And what do you remember?\n" * 99)
    await keys.press("pageup", "pagedown")
    await keys.press("a", "ctrl+j", "b", "shift+enter", "alt+enter")
    await keys.press("ctrl+g", until=lambda: edited)
    chat.composer.put("")
    await keys.press("up", "down")
    for key in ("escape", "tab"):
        chat.composer.put("/re")
        await keys.press("n")
        await chat.until_shown("/rename")
        await keys.press(key)
    chat.composer.put("Hello")
    await keys.press("enter", until=lambda: chat.composer.text == "")


def edited_outside(edited: list[str]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def edit() -> None:
        edited.append("yes")

    return edit


async def transcript(keys: Keys) -> None:
    chat = keys.chat
    await read(chat)
    view = chat.transcript
    view.focus()
    await keys.press("up", "k", "down", "j", "pageup", "pagedown", "home", "end", "g", "G")
    await keys.press("[", "alt+up", "]", "alt+down", "{", "{", "}", "(", "(", ")")
    await keys.press("G", "v", "j", "escape")
    await keys.press("c", "y", "t", "space", "space", "i", "i")
    await keys.press("p", until=lambda: view._layout.pinned)
    await keys.press("o", until=lambda: keys.opened)
    await chat.screen.action_find("file")
    await chat.until_shown("messages")
    view.focus()
    await keys.press("n", "n", "N")
    await keys.press("G", "[", "[", "e", "escape")
    view.focus()
    count = chat.screen.conversation.session.message_count  # type: ignore[union-attr]
    await keys.press("d", until=lambda: len(view._layout) == count - 2)
    view.focus()
    await keys.press("g")
    await keys.press("delete", until=lambda: not len(view._layout))


async def broken(keys: Keys) -> None:
    """What is for answers that broke off, and for branches."""
    chat = keys.chat
    view = chat.transcript
    await said(chat, "Who are you?")
    view.focus()
    await keys.press("m", until=lambda: view._layout.branches)
    await chat.until(lambda: not chat.screen.conversation.answering)
    await keys.press("r", until=lambda: (3, 3) in view._layout.branches.values())
    await chat.until(lambda: not chat.screen.conversation.answering)
    await keys.press("<", until=lambda: (2, 3) in view._layout.branches.values())
    await keys.press(">", until=lambda: (3, 3) in view._layout.branches.values())


async def calls(keys: Keys) -> None:
    chat = keys.chat
    session = await keep_talk(chat.engine, "Sums", "What is 6 * 7?")
    call = ToolCall(id="sum", name="calculator", arguments={"expression": "6 * 7"})
    append = chat.engine._store.messages.append
    await append(session.id, role=Role.ASSISTANT, content="", tool_calls=(call,))
    await append(session.id, role=Role.TOOL, content="42", tool_call_id=call.id)
    await chat.open(session.id)
    await chat.until_shown("calculator")
    chat.transcript.focus()
    await keys.press("t", until=lambda: "42" in chat.text)


def breaking() -> ScriptedBackend:
    error = ModelError("disconnected", "It broke off.")
    return ScriptedBackend(["I am ", error], ["a jay ", error], ["No idea.", error])


async def find_bar(keys: Keys) -> None:
    chat = keys.chat
    await read(chat)
    await chat.screen.action_find("file")
    await chat.until_shown("messages")
    await keys.press("enter", "down", "shift+enter", "up", "escape")


async def session_list(keys: Keys) -> None:
    chat = keys.chat
    for number in range(60):
        await keep_talk(chat.engine, f"Talk {number}", "a question", "an answer", at=FIRST_AT)
    chat.screen.action_toggle_sidebar()
    await chat.until_shown("Talk 59")
    sessions = chat.screen.query_one(SessionList)
    await keys.press("/")
    await keys.press("down", "up", "pagedown", "pageup", "escape")
    for rename in ("e", "f2"):
        await keys.press(rename, "escape")
    await keys.press("d", until=lambda: "undo delete" in chat.text)
    await keys.press("delete", "u", "u", "space", "escape", "p", "p")
    await keys.press("a", "A", "a", "A")
    await keys.press("x", until=lambda: "Exported to" in chat.text)
    await keys.press("f", until=lambda: chat.session_id is not None)
    await chat.until_shown("an answer")
    sessions.focus_rows()
    await keys.press("n", until=lambda: chat.session_id is None)


async def rows(keys: Keys) -> None:
    chat = keys.chat
    for number in range(60):
        await keep_talk(chat.engine, f"Talk {number}", "a question", "an answer", at=FIRST_AT)
    chat.screen.action_toggle_sidebar()
    await chat.until_shown("Talk 59")
    await keys.press("down", "j", "up", "k", "pagedown", "pageup", "end", "home")
    await keys.press("enter", until=lambda: chat.session_id is not None)


async def in_tab(keys: Keys, name: str) -> Any:
    """Go to a tab of the inspector."""
    chat = keys.chat
    chat.screen.action_toggle_inspector()
    await chat.until(lambda: chat.screen.query(Inspector))
    inspector = chat.screen.query_one(Inspector)
    inspector.tab = name
    await chat.until(lambda: name in inspector._panels and inspector._panels[name].is_attached)
    panel = inspector._panels[name]
    panel.focus()
    await chat.pilot.pause()
    return panel


async def inspector(keys: Keys) -> None:
    await read(keys.chat)
    await in_tab(keys, "Tokens")
    await keys.press("2", "1", "3", "4", "5", "left", "right")


async def tokens(keys: Keys) -> None:
    await read(keys.chat)
    await said(keys.chat, "Go on.")
    panel = await in_tab(keys, "Tokens")
    await keys.chat.until_shown("Last answer")
    panel.move_to("Answer")
    await keys.press("enter", "space")


async def request(keys: Keys) -> None:
    await said(keys.chat, "Who are you?")
    await in_tab(keys, "Request")
    await keys.chat.until_shown("Options")
    await keys.press("y", until=lambda: '"Who are you?"' in keys.chat.app.clipboard)


async def workers(keys: Keys) -> None:
    chat = keys.chat

    async def wait(_job: Job[None]) -> None:
        await asyncio.Event().wait()

    jobs = [chat.engine.pool.submit(f"wait {n}", Lane.UPKEEP, wait) for n in range(2)]
    panel = await in_tab(keys, "Workers")
    for number, key in enumerate(("x", "delete")):
        job = jobs[number]
        await chat.until_shown(job.name)
        panel.move_to(str(job.id))
        await keys.press(key, until=partial(is_over, job))


def is_over(job: Job[None]) -> bool:
    return job.state.over


async def memory(keys: Keys) -> None:
    chat = keys.chat
    memories = chat.engine.memory
    talk = await keep_talk(chat.engine, "Moving", "I live in Lima.", "Nice.")
    [message] = await chat.engine.library.page(talk.id, 0, 1)
    for number in range(40):
        await chat.engine._store.facts.add(f"box {number}", f"Box {number} holds books.")
    fact = await chat.engine._store.facts.add(
        "home", "The user lives in Berlin.", source_ids=[message.id]
    )
    home = await memories.edit(fact.id, "The user lives in Lima.")
    await said(chat, "Where do I live, in Lima?")
    await memories.wait()
    panel = await in_tab(keys, "Memory")
    assert isinstance(panel, MemoryPanel)
    await chat.until(lambda: panel.region_of(home.id) is not None)
    panel.move_to(home.id)
    await keys.press("space", "space", "h", "h", "p", "p", "e", "escape", "d", "escape")
    await keys.press("delete", "escape", "n", "escape", "/")
    await keys.press("L", "i", "m", "a", "enter", "escape")
    await keys.press("r", "r")
    panel.action_last()
    await chat.pilot.pause()
    while panel._kind_of_more is None:
        panel.action_cursor(-1)
    await keys.press("enter")
    recalled = panel.packed.recollections[0] if panel.packed else None
    assert recalled is not None
    panel.move_to(f"recalled {recalled.memory_id or message.id}")
    await keys.press("space")
    panel.move_to(home.id)
    await keys.press("enter", until=lambda: chat.session_id == talk.id)


async def memory_filter(keys: Keys) -> None:
    await keys.chat.engine._store.facts.add("box", "The box holds books.")
    panel = await in_tab(keys, "Memory")
    await keys.chat.until_shown("The box")
    for leave in ("enter", "down", "escape"):
        await keys.press("/", "b", leave)
        panel.focus()


async def research(keys: Keys) -> None:
    chat = keys.chat
    session = await keep_talk(chat.engine, "Jays", "What is a jay?", "A bird [1].")
    await chat.engine._store.articles.upsert(session.id, [ARTICLE])
    outcome = msgspec.to_builtins(Outcome(question="What is a jay?", stage=Stage.DONE))
    await chat.engine._store.sessions.set_state(session.id, STATE, outcome)
    await chat.open(session.id)
    await chat.until_shown("A bird")
    panel = await in_tab(keys, "Research")
    await chat.until(lambda: panel.region_of(ARTICLE.url) is not None)
    panel.move_to(ARTICLE.url)
    await keys.press("o", until=lambda: ARTICLE.url in keys.opened)
    await keys.press("enter", until=lambda: isinstance(chat.app.screen, ArticleScreen))


async def article(keys: Keys) -> None:
    chat = keys.chat
    chat.app.push_screen(ArticleScreen(ARTICLE))
    await chat.until_shown("Scrub jay")
    await keys.press("o", until=lambda: ARTICLE.url in keys.opened)


async def dialog(keys: Keys) -> None:
    keys.chat.screen.action_choose_model()
    await keys.chat.until(lambda: isinstance(keys.chat.app.screen, Dialog))
    await keys.press("escape", until=lambda: keys.chat.app.screen is keys.chat.screen)


async def consent(keys: Keys) -> None:
    chat = keys.chat
    for key in ("y", "n", "escape"):
        await chat.say("Read it.")
        await asked(chat)
        if key == "n":
            await keys.press("n", until=lambda: isinstance(chat.app.focused, Input))
            await chat.pilot.press("enter")
        else:
            await keys.press(key)
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.until(lambda: not chat.screen.conversation.answering)
    chat.screen.action_allow()
    await asked(chat)
    await keys.press("a")


class Reading(ScriptedBackend):
    """Calls a tool at each question, and says something to its result."""

    def __init__(self) -> None:
        super().__init__()
        self.info = able().info

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        asked = request.tools and request.messages[-1].role is Role.USER
        self.scripts = [[reads("a.md")] if asked else ["So."]]
        async with aclosing(super().chat(request)) as chunks:
            async for chunk in chunks:
                yield chunk


async def compare(keys: Keys) -> None:
    chat = keys.chat
    for key in ("1", "2", "enter", "escape"):
        await chat.say("/compare scripted:raven What colour?")
        await chat.until(lambda: isinstance(chat.app.screen, CompareScreen))
        await chat.until_shown("closes, the newest stays")
        if key == "enter":
            await keys.press("tab", "shift+tab")
        await keys.press(key, until=lambda: chat.app.screen is chat.screen)
        await chat.until(lambda: not chat.screen.conversation.answering)


async def model_picker(keys: Keys) -> None:
    chat = keys.chat
    chat.screen.action_choose_model()
    await chat.until_shown("scripted:raven")
    await keys.press("down", "up", "f8")
    await keys.press("enter", until=lambda: chat.app.screen is chat.screen)


async def parameters(keys: Keys) -> None:
    keys.chat.screen.action_set()
    await keys.chat.until(lambda: isinstance(keys.chat.app.screen, ParametersScreen))
    await keys.press("down", "up")


async def settings_screen(keys: Keys) -> None:
    chat = keys.chat
    chat.screen.action_settings()
    await chat.until_shown("system_prompt")
    await keys.press("down", "up", "pagedown", "pageup")
    await chat.pilot.press(*"sidebar")
    await chat.until(lambda: "system_prompt" not in chat.text)
    await keys.press("enter", "f8")
    await keys.press("f9", until=lambda: chat.app.screen is chat.screen)


async def help_screen(keys: Keys) -> None:
    keys.chat.screen.action_help()
    await keys.chat.until_shown("Search for a key")
    await keys.press("down", "up", "pagedown", "pageup")
    await keys.press("f1", until=lambda: keys.chat.app.screen is keys.chat.screen)


async def memory_screen(keys: Keys) -> None:
    chat = keys.chat
    for key in ("ctrl+s", "enter"):
        chat.screen.action_remember()
        await chat.until(lambda: isinstance(chat.app.screen, MemoryScreen))
        await keys.press("J", "a", "y")
        if key == "enter":
            await keys.press("ctrl+j")
        await keys.press(key, until=lambda: chat.app.screen is chat.screen)


async def forget_screen(keys: Keys) -> None:
    chat = keys.chat
    for key in ("n", "y", "a"):
        await chat.engine.memory.remember(f"The user likes {key} tea.")
        chat.screen.action_forget(f"The user likes {key} tea.")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        if not isinstance(chat.app.screen, ForgetScreen):
            await chat.pilot.press("enter")
            await chat.until(lambda: isinstance(chat.app.screen, ForgetScreen))
        await keys.press(key, until=lambda: chat.app.screen is chat.screen)


async def hosts_screen(keys: Keys) -> None:
    chat = keys.chat
    for key in ("r", "f8"):
        chat.screen.action_hosts()
        await chat.until_shown("can't be reached")
        screen = chat.app.screen
        assert isinstance(screen, HostsScreen)
        [host] = screen._hosts
        if key == "r":
            await keys.press("r", until=partial(is_looked_at, host, host._looked_at))
            await chat.pilot.press("escape")
            await chat.until(lambda: chat.app.screen is chat.screen)
        else:
            await keys.press("f8", until=lambda: chat.app.screen is chat.screen)


def is_looked_at(host: Host, before: float | None) -> bool:
    return host._looked_at != before


def with_a_dead_host(_folder: Path) -> Settings:
    return msgspec.structs.replace(plain(), ollama=OllamaSettings(host="127.0.0.1:1"))


async def privacy_screen(keys: Keys) -> None:
    keys.chat.screen.action_privacy()
    await keys.chat.until_shown("What leaves this computer")
    await keys.press("enter", until=lambda: keys.chat.app.screen is keys.chat.screen)


async def servers_screen(keys: Keys) -> None:
    chat = keys.chat
    chat.screen.action_servers()
    await chat.until_shown("● odd")
    await keys.press("x", until=lambda: "not started" in chat.text)
    await keys.press("r", until=lambda: "● odd" in chat.text)


async def choices(keys: Keys) -> None:
    chat = keys.chat
    for colour in ("green", "black"):
        await chat.engine.memory.remember(f"The user likes {colour} tea.")
    chat.screen.action_forget("tea")
    await chat.until(lambda: chat.app.screen.query(Choices))
    await keys.press("j", "k")


SCRIPTS: dict[str, list[Script]] = {
    "ArticleScreen": [Script(article)],
    "CompareScreen": [Script(compare, backend=Pair)],
    "ConsentScreen": [Script(consent, backend=Reading, settings=chosen)],
    "Choices": [Script(choices)],
    "Dialog": [Script(dialog)],
    "HelpScreen": [Script(help_screen)],
    "HostsScreen": [Script(hosts_screen, settings=with_a_dead_host)],
    "MemoryEditor": [Script(memory_screen)],
    "MemoryScreen": [Script(memory_screen)],
    "ForgetScreen": [Script(forget_screen)],
    "ModelPicker": [Script(model_picker, backend=Pair)],
    "ParametersScreen": [Script(parameters)],
    "PrivacyScreen": [Script(privacy_screen)],
    "ServersScreen": [Script(servers_screen, settings=lambda _: naming(odd=MISBEHAVING))],
    "SettingsScreen": [Script(settings_screen)],
    "Transcript": [Script(transcript), Script(calls), Script(broken, backend=breaking)],
    "Composer": [Script(composer)],
    "FindBar": [Script(find_bar)],
    "Inspector": [Script(inspector)],
    "MemoryFilter": [Script(memory_filter)],
    "MemoryPanel": [Script(memory)],
    "RequestPanel": [Script(request)],
    "ResearchPanel": [Script(research)],
    "RowView": [Script(rows)],
    "SessionList": [Script(session_list)],
    "TokensPanel": [Script(tokens)],
    "WorkersPanel": [Script(workers)],
    "ChatScreen": [Script(chat_screen, backend=endless)],
}

BOUND = bound()


def test_there_is_a_script_for_every_class_that_binds_keys() -> None:
    assert SCRIPTS.keys() == BOUND.keys()


def test_no_method_has_the_name_by_which_textual_finds_what_a_key_does() -> None:
    """It calls `_key_at` for `@`, say."""
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        for name, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, DOMNode) and kind.__module__.startswith("tui."):
                taken = [one for one in vars(kind) if re.match("_?key_", one)]
                assert not taken, name


async def test_keys_that_are_not_bound_do_nothing_in_the_list(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await keep_talk(chat.engine, "A talk", "a", "b")
        await chat.pilot.press("ctrl+b", "@", "£", "left", "insert")
        await chat.until_shown("A talk")


@pytest.mark.parametrize("name", BOUND)
async def test_every_key_runs_what_it_is_bound_to(
    name: str, noting: list[Keys], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where exports go
    kind, bindings = BOUND[name]
    ran: set[tuple[str, str]] = set()
    for number, script in enumerate(SCRIPTS[name]):
        chosen = script.settings(tmp_path) if script.settings else None
        folder = tmp_path / str(number)
        async with chatting(folder, script.backend(), size=(140, 40), chosen=chosen) as chat:
            await chat.ready()
            keys = Keys(chat)
            noting.append(keys)
            await script.press(keys)
        ran |= {(key, action) for node, key, action in keys.ran if isinstance(node, kind)}
        # Textual's app binds these itself, before any screen; the screen names them for the bar.
        ran |= {(key, f"app.{action}") for node, key, action in keys.ran if node is chat.app}
    wanted = {(key_name(one.key), one.action) for one in bindings}
    assert not wanted - ran, f"no script presses these, or they ran something else: {wanted - ran}"
