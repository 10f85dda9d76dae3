"""A dialog to write a memory: its text, and for a skill its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from tui.screens.dialog import Dialog
from tui.widgets.fields import Area, Field

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult


class Written(NamedTuple):
    """What shall be remembered."""

    text: str
    name: str


class MemoryEditor(Area):
    """A text area whose Enter keeps the text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.keep", "Keep"),
        Binding("ctrl+j", "newline", "New line"),
    ]

    def action_newline(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("enter", "ctrl+j"):
            event.prevent_default()  # a binding says what it does
        else:
            await super()._on_key(event)


class MemoryScreen(Dialog[Written]):
    """Gives what was written, or None when nothing shall change."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "keep", "Keep", show=False)]

    DEFAULT_CSS = """
    MemoryScreen TextArea, MemoryScreen TextArea:focus {
        height: auto;
        min-height: 3;
        max-height: 12;
        margin: 1 0;
        padding: 0 1;
        border: none;
        background: $surface;
    }
    MemoryScreen #trouble { height: auto; padding: 0 1; color: $text-error; display: none; }
    """

    def __init__(
        self, title: str, text: str = "", *, name: str | None = None, ask_name: bool = False
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._name_before = name or ""
        self._ask_name = ask_name

    def compose(self) -> ComposeResult:
        """The name, if it has one, and the text."""
        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = "enter keeps it · ctrl+j new line · escape closes"
            if self._ask_name:
                yield Field(self._name_before, placeholder="What the skill is called", id="name")
            yield MemoryEditor(
                self._text,
                placeholder="How it is done" if self._ask_name else "A sentence to remember",
                highlight_cursor_line=False,
                tab_behavior="focus",
            )
            yield Static(id="trouble", markup=False)

    def on_mount(self) -> None:
        """Write where something is missing."""
        editor = self.query_one(MemoryEditor)
        editor.move_cursor(editor.document.end)
        if self._ask_name and not self._name_before:
            self.query_one(Input).focus()
        else:
            editor.focus()

    def on_input_submitted(self) -> None:
        """Go on to the text."""
        self.query_one(MemoryEditor).focus()

    def action_keep(self) -> None:
        """Give what was written, if it is all there."""
        text = self.query_one(MemoryEditor).text.strip()
        name = " ".join(self.query_one(Input).value.split()) if self._ask_name else ""
        if text and (name or not self._ask_name):
            self.dismiss(Written(text, name))
            return
        trouble = self.query_one("#trouble", Static)
        trouble.update("Nothing is written yet." if not text else "A skill needs a name.")
        trouble.display = True
