"""Help: every key as it is bound, and every command, searchable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from tui.bindings import keys_of
from tui.commands import COMMANDS
from tui.screens.dialog import Dialog
from tui.widgets.fields import Field
from tui.widgets.figures import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.dom import DOMNode
    from textual.screen import Screen

KEY_CELLS = 20

SECTIONS = {
    "ChatScreen": "Everywhere",
    "Composer": "Writing",
    "Transcript": "Reading",
    "FindBar": "Finding",
    "SessionList": "Conversations",
    "Inspector": "Inspector",
    "MemoryPanel": "Memory",
    "RequestPanel": "The last request",
}
"""The widgets whose keys are listed, by the name of their class, in this order."""


class Entry(NamedTuple):
    """A key or a command, and what it does."""

    section: str
    key: str
    words: str
    name: str = ""
    """By which the settings can give it another key."""


class HelpScreen(Dialog[None]):
    """Lists the bindings of a screen and of its widgets as they are, not as they were planned."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll(1)", "Down", show=False, priority=True),
        Binding("up", "scroll(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "scroll(10)", "Page down", show=False, priority=True),
        Binding("pageup", "scroll(-10)", "Page up", show=False, priority=True),
        Binding("f1", "cancel", "Close", show=False),
    ]

    DEFAULT_CSS = """
    HelpScreen > Vertical { height: 90%; }
    HelpScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    HelpScreen #entries { height: auto; padding: 0 1; }
    """

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._entries = [*_bindings(screen), *_commands()]
        self._fitting = self._entries

    def compose(self) -> ComposeResult:
        """A search field over the list."""
        with Vertical() as box:
            box.border_title = "Help"
            box.border_subtitle = "type to search · up and down scroll · escape closes"
            yield Field(placeholder="Search for a key or a word")
            with VerticalScroll(can_focus=False):
                yield Static(_listed(self._entries), id="entries")

    def on_resize(self) -> None:
        """Break the lines anew, once the list has its width."""
        self.call_after_refresh(self._list)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Show what fits."""
        words = message.value.lower().split()
        self._fitting = [
            entry
            for entry in self._entries
            if all(word in " ".join(entry).lower() for word in words)
        ]
        self._list()

    def _list(self) -> None:
        entries = self.query_one("#entries", Static)
        names = bool(self.query_one(Input).value.strip())
        entries.update(_listed(self._fitting, names=names, width=entries.content_size.width))

    def action_scroll(self, by: int) -> None:
        """Scroll while the search field keeps the focus."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def _bindings(screen: Screen[Any]) -> Iterator[Entry]:
    nodes: dict[str, DOMNode] = {}
    for node in (screen, *screen.query("*")):
        nodes.setdefault(type(node).__name__, node)
    for name, section in SECTIONS.items():
        if name in nodes:
            yield from _of(nodes[name], section, screen)


def _of(node: DOMNode, section: str, screen: Screen[Any]) -> Iterator[Entry]:
    """The keys of one node, those of the classes it is made from included; one row an action."""
    rows: dict[str, tuple[list[str], str, str]] = {}
    taken: set[str] = set()
    for cls in type(node).__mro__:
        own = list(Binding.make_bindings(cls.__dict__.get("BINDINGS", ())))
        for binding in own:
            if binding.key not in taken and binding.description:
                words = binding.tooltip or binding.description
                keys, _, _ = rows.setdefault(binding.action, ([], words, binding.id or ""))
                for key in keys_of(binding, screen.app._keymap):
                    shown = screen.app.get_key_display(binding.with_key(key))
                    if shown not in keys:
                        keys.append(shown)
        taken.update(binding.key for binding in own)
    for keys, words, name in rows.values():
        yield Entry(section, ", ".join(keys), words, name)


def _commands() -> Iterator[Entry]:
    for command in COMMANDS:
        if command.slash:
            words = f"{command.title}: {command.help[:1].lower()}{command.help[1:]}"
            yield Entry("Commands", f"{command.slash} {command.takes}".rstrip(), words)


def _listed(entries: list[Entry], *, names: bool = False, width: int = 0) -> Content:
    """The entries by section; with the names of bindings for whoever looks for something.

    What has no room in `width` cells goes on under its own column; 0 is endless.
    """
    if not entries:
        return Content.styled("Nothing has that in it.", "$text-muted")
    lines: list[Content] = []
    section = ""
    for entry in entries:
        if entry.section != section:
            section = entry.section
            lines += [*([Content("")] if lines else []), Content.styled(section, "bold $primary")]
        key = Content.styled(entry.key, "$text-accent")
        key = Content("  ") + key.pad_right(max(1, KEY_CELLS - key.cell_length))
        name = Content.styled(f"  {entry.name}" if names and entry.name else "", "$text-muted")
        room = width - key.cell_length
        rows = wrapped(entry.words, room) if room > 0 else [entry.words]
        lines.append(key + rows[0])
        lines += [Content(" " * key.cell_length) + row for row in rows[1:]]
        if width and lines[-1].cell_length + name.cell_length > width:
            lines.append(Content(" " * (key.cell_length - 2)) + name)
        else:
            lines[-1] += name
    return Content("\n").join(lines)
