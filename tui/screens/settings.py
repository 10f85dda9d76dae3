"""The settings screen: all that can be set, what it means and what it is, kept in the file."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from engine.config import SettingsError
from engine.events import Event, SettingsChanged
from engine.settings_file import Setting, all_settings
from tui.harmless import visible
from tui.screens.dialog import Dialog
from tui.widgets.fields import Field
from tui.widgets.rows import Row, RowView, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.app import ComposeResult

    from engine.engine import Engine

KEY_CELLS = 22


class SettingsScreen(Dialog[None]):
    """Lists the settings by section. Typing searches, Enter changes the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move('cursor', 1)", "Next", show=False, priority=True),
        Binding("up", "move('cursor', -1)", "Previous", show=False, priority=True),
        Binding("pagedown", "move('page', 1)", "Page down", show=False, priority=True),
        Binding("pageup", "move('page', -1)", "Page up", show=False, priority=True),
        Binding("enter", "change", "Change", priority=True),
        Binding("f8", "reset", "As by default", priority=True),
        Binding("f9", "cancel", "Close", show=False),
    ]

    DEFAULT_CSS = """
    SettingsScreen > Vertical { height: 90%; }
    SettingsScreen.-low > Vertical { height: 100%; }
    SettingsScreen RowView { min-height: 3; }
    SettingsScreen RowView > .rows--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
    }
    SettingsScreen #about {
        height: auto;
        max-height: 8;
        margin-top: 1;
        padding: 0 1;
        color: $text-muted;
    }
    SettingsScreen.-low #about { margin-top: 0; }
    SettingsScreen #value, SettingsScreen #value:focus {
        display: none;
        background: $primary-muted;
    }
    SettingsScreen.-editing #value { display: block; }
    SettingsScreen.-editing #search { display: none; }
    SettingsScreen #trouble { display: none; height: auto; color: $text-error; padding: 0 1; }
    SettingsScreen.-trouble #trouble { display: block; }
    SettingsScreen.-trouble #about { display: none; }
    """

    def __init__(self, engine: Engine, words: str = "") -> None:
        super().__init__()
        self._engine = engine
        self._words = words
        self._by_name = {f"{one.section}.{one.key}": one for one in all_settings()}
        self._editing: Setting | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """A search field or the value that is being written, the list, and the meaning."""
        with Vertical() as box:
            box.border_title = "Settings"
            yield Field(self._words, placeholder="Search for a name or a word", id="search")
            yield Field(id="value")
            yield RowView()
            yield Static("", id="about", markup=False)
            yield Static("", id="trouble", markup=False)

    def on_mount(self) -> None:
        """List them; follow what is set elsewhere."""
        self._unsubscribe = self._engine.events.subscribe(self._hear)
        self.query_one(RowView).can_focus = False
        self._end_editing()
        self._list()
        self.watch(self.query_one(RowView), "cursor", self._tell)

    def on_unmount(self) -> None:
        """Follow it no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def _hear(self, event: Event) -> None:
        if isinstance(event, SettingsChanged):
            self._list()
            self._tell()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Show what fits."""
        if message.input.id == "search":
            self._list()

    def _list(self) -> None:
        words = self.query_one("#search", Input).value.lower().split()
        rows: list[Row] = []
        section = ""
        for name, one in self._by_name.items():
            if not all(word in f"{name} {one.words}".lower() for word in words):
                continue
            if one.section != section:
                section = one.section
                rows.append(Row(1, partial(_heading, section)))
            rows.append(Row(1, partial(_row, one, self._value(one)), name))
        view = self.query_one(RowView)
        view.show(rows or [Row(1, _nothing)])
        if words:
            view.action_first()

    def _value(self, setting: Setting) -> Any:
        return getattr(getattr(self._engine.settings, setting.section), setting.key)

    @property
    def _chosen(self) -> Setting | None:
        return self._by_name.get(self.query_one(RowView).cursor or "")

    def _tell(self) -> None:
        """Say what the setting under the cursor is for."""
        self._trouble("")
        one = self._chosen
        about = self.query_one("#about", Static)
        about.update(Content("") if one is None else Content("\n").join(_about(one)))

    def _trouble(self, text: str) -> None:
        self.set_class(bool(text), "-trouble")
        self.query_one("#trouble", Static).update(Content(visible(text)))

    def action_move(self, how: str, by: int) -> None:
        """Move the cursor while the field keeps the focus."""
        if self._editing is None:
            view = self.query_one(RowView)
            view.action_page(by) if how == "page" else view.action_cursor(by)

    async def action_change(self) -> None:
        """Switch what has few values to the next; let others be written, and keep what was."""
        one = self._editing or self._chosen
        if one is None:
            return
        if self._editing is not None:
            if await self._set(one, self.query_one("#value", Input).value):
                self._end_editing()
        elif one.kind is bool:
            await self._set(one, str(not self._value(one)).lower())
        elif one.choices:
            place = one.choices.index(self._value(one)) + 1
            await self._set(one, one.choices[place % len(one.choices)])
        elif one.key == "theme":
            self.app.search_themes()
        else:
            self._edit(one)

    async def on_row_view_chosen(self) -> None:
        """A click changes as Enter does."""
        if self._editing is None:
            await self.action_change()

    async def action_reset(self) -> None:
        """Take the setting out of the file."""
        one = self._editing or self._chosen
        if one is not None and await self._set(one, None):
            self._end_editing()

    async def _set(self, one: Setting, written: str | None) -> bool:
        try:
            await self._engine.set(one.section, one.key, written)
        except SettingsError as error:
            self._trouble(str(error))
            return False
        return True

    def _edit(self, one: Setting) -> None:
        self._editing = one
        field = self.query_one("#value", Input)
        field.value = _written(self._value(one))
        field.placeholder = one.wanted
        field.cursor_position = len(field.value)
        self.add_class("-editing")
        box = self.query_one(Vertical)
        box.border_subtitle = f"{one.key}: enter keeps it · escape leaves it"
        field.focus()

    def _end_editing(self) -> None:
        self._editing = None
        self._trouble("")
        self.remove_class("-editing")
        box = self.query_one(Vertical)
        box.border_subtitle = "enter changes · f8 as by default · escape closes"
        self.query_one("#search", Input).focus()

    def action_cancel(self) -> None:
        """Leave a value as it was; close."""
        if self._editing is not None:
            self._end_editing()
        else:
            self.dismiss(None)


def _heading(section: str, width: int) -> list[Content]:
    return [Content.styled(section, "bold $primary")]


def _nothing(width: int) -> list[Content]:
    return [Content.styled("Nothing has that in it.", "$text-muted")]


def _row(one: Setting, value: Any, width: int) -> list[Content]:
    """A name and its value; a mark where it is not the default."""
    mark = "  " if value == one.default else "● "
    row = Content.assemble(mark, one.key.ljust(KEY_CELLS), one_line(_written(value)) or "–")
    return [row.truncate(width, ellipsis=True)]


def _about(one: Setting) -> Iterator[Content]:
    yield Content(one.words).stylize("$foreground")
    default = _written(one.default)
    yield Content(
        f"Default: {default or 'nothing'}. {one.wanted.capitalize()}. "
        f"{'Holds at once' if one.at_once else 'Holds from the next start on'}."
    )
    if one.variable in os.environ:
        yield Content.styled(f"{one.variable} in the environment goes before it.", "$text-warning")


def _written(value: Any) -> str:
    """A value, as `Engine.set` takes it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(value)
        case _:
            return str(value)
