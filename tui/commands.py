"""Everything that can be done, by name: for the command palette and as slash commands."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from textual import actions
from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.bindings import keys_of as keys_of_binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.binding import Binding
    from textual.screen import Screen
    from textual.widget import Widget


class Command(NamedTuple):
    """Something that the chat screen can do: its method `action_` + `action`."""

    action: str
    title: str
    help: str
    slash: str = ""
    takes: str = ""
    """What may follow the slash command, in capitals."""


COMMANDS = (
    Command("new", "New conversation", "Begin an empty conversation", "/new"),
    Command("choose_model", "Choose the model", "Which model answers from now on", "/model", "REF"),
    Command("set", "Set parameters", "Temperature, window and more, here", "/set", "NAME VALUE"),
    Command("persona", "Choose a persona", "Whose instructions it gets here", "/persona", "NAME"),
    Command("rename", "Rename the conversation", "Give it another title", "/rename", "TITLE"),
    Command("tag", "Tag the conversation", "Or take the tag off", "/tag", "NAME"),
    Command("delete", "Delete the conversation", "Take it out of the list", "/delete"),
    Command("undo", "Undo", "Bring back what was deleted or taken back last", "/undo"),
    Command("retry", "Answer again", "Ask for the last answer once more", "/retry"),
    Command("retry_with", "Answer again with another model", "Once", "/again", "REF"),
    Command("compare", "Compare two models", "Side by side", "/compare", "REF QUESTION"),
    Command("go_on", "Continue the answer", "Where it was stopped", "/continue"),
    Command("edit_last", "Edit the last question", "Ask it in other words", "/edit"),
    Command("take_back", "Take the last question back", "With its answer; /undo", "/back"),
    Command("stop", "Stop the answer", "Keep what has come of it", "/stop"),
    Command("allow", "Decide on tool calls", "Those that wait for your consent", "/allow"),
    Command(
        "research",
        "Research a question",
        "Look everywhere at once, and cite what was found",
        "/research",
        "QUESTION",
    ),
    Command("remember", "Remember something", "Keep a fact; /undo", "/remember", "TEXT"),
    Command("forget", "Forget something", "Shows what fits, and asks", "/forget", "TEXT"),
    Command("skill", "Teach a skill", "How something is done", "/skill", "NAME: HOW"),
    Command("recall", "Recall on or off", "Remember in this conversation", "/recall", "on|off"),
    Command("find", "Find in the conversation", "Words in what is shown", "/find", "WORDS"),
    Command("pin", "Pin the last message", "The model goes on seeing it; again lets go", "/pin"),
    Command("export", "Export the conversation", "To a file", "/export", "FORMAT FILE"),
    Command("import_file", "Import conversations", "From a file", "/import", "FILE"),
    Command("copy_answer", "Copy the last answer", "To the clipboard, as Markdown", "/copy"),
    Command("toggle_sidebar", "Conversations", "Go to the sidebar, or hide it"),
    Command("toggle_inspector", "Inspector", "Tokens, memory, research, workers; or hide them"),
    Command("hosts", "Model hosts", "Where models run, and how fast", "/hosts"),
    Command(
        "settings", "Settings", "All, with what they mean; kept in the file", "/settings", "WORDS"
    ),
    Command("servers", "Servers of tools", "How MCP servers are, and what they offer", "/mcp"),
    Command("change_theme", "Change the theme", "Light, dark and others", "/theme", "NAME"),
    Command("privacy", "Privacy", "What leaves this computer, and when", "/privacy"),
    Command("help", "Help", "Every key and command, searchable", "/help"),
    Command("quit", "Quit", "Everything is kept", "/quit"),
)

PANES = {
    "Transcript": "Message",
    "SessionList": "In the list",
    "MemoryPanel": "Memory",
    "WorkersPanel": "Workers",
    "RequestPanel": "Request",
}
"""The widgets whose keys are in the palette, by the names of their classes: some come late."""

SLASH = {command.slash: command for command in COMMANDS if command.slash}


class Slash(NamedTuple):
    """What was written as a command; `command` is None when there is none of that name."""

    word: str
    command: Command | None
    argument: str


def read_slash(text: str) -> Slash | None:
    """The slash command in `text`; None when the text is for the model.

    `/usr/bin` and a slash behind a blank are for the model.
    """
    found = re.fullmatch(r"(/[a-z]+)(?:\s+(.*))?", text.rstrip(), re.DOTALL)
    if found is None:
        return None
    return Slash(found[1], SLASH.get(found[1]), (found[2] or "").strip())


def keys_of(screen: Screen[Any], action: str) -> str:
    """The key that does `action` on a screen, as people write it; empty when there is none."""
    for active in screen.active_bindings.values():
        if active.binding.action.rpartition(".")[2] == action:
            return active.binding.key
    return ""


class Commands(Provider):
    """The commands, in the palette, and what keys can do in the panes that are shown."""

    async def discover(self) -> Hits:
        """All of them."""
        for command in COMMANDS:
            yield DiscoveryHit(command.title, self._runner(command), help=self._help(command))
        for title, widget, binding in self._in_panes():
            work = partial(press, widget, binding)
            yield DiscoveryHit(title, work, help=self._help_of_key(binding))

    async def search(self, query: str) -> Hits:
        """Those that fit what was typed."""
        matcher = self.matcher(query)
        for command in COMMANDS:
            score = max(matcher.match(command.title), matcher.match(command.slash))
            if score > 0:
                title = matcher.highlight(command.title)
                yield Hit(score, title, self._runner(command), help=self._help(command))
        for name, widget, binding in self._in_panes():
            if (score := matcher.match(name)) > 0:
                work = partial(press, widget, binding)
                yield Hit(score, matcher.highlight(name), work, help=self._help_of_key(binding))

    def _in_panes(self) -> Iterator[tuple[str, Widget, Binding]]:
        """What can be done now in each pane, beside moving about in it."""
        for widget in self.screen.query("*"):
            section = PANES.get(type(widget).__name__)
            if section is None or not widget.region:
                continue
            # Several keys for one action are one entry.
            bindings = {binding.action: binding for _, binding in widget._bindings if binding.show}
            for binding in bindings.values():
                _, name, parameters = actions.parse(binding.action)
                if widget.check_action(name, parameters):
                    yield f"{section}: {binding.description}", widget, binding

    def _help_of_key(self, binding: Binding) -> str:
        key = keys_of_binding(binding, self.app._keymap)[0]
        return f"{binding.tooltip or binding.description} ({key})"

    def _runner(self, command: Command) -> Callable[[], object]:
        return partial(run, self.screen, command)

    def _help(self, command: Command) -> str:
        ways = [way for way in (keys_of(self.screen, command.action), command.slash) if way]
        return f"{command.help} ({', '.join(ways)})" if ways else command.help


async def press(widget: Widget, binding: Binding) -> None:
    """Do what a key does in a widget."""
    widget.focus()
    await widget.app.run_action(binding.action, widget)


def run(screen: Screen[Any], command: Command, argument: str = "") -> object:
    """Do it; what it returns, Textual awaits if it can be awaited."""
    method = getattr(screen, f"action_{command.action}")
    return method(argument) if argument and command.takes else method()
