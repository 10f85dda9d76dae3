"""The composer: where a person writes, and what they wrote before."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

NEWLINE_KEYS = ("ctrl+j", "shift+enter", "alt+enter")

PLACEHOLDER = "Ask anything · ctrl+j new line · / commands"


class Composer(TextArea):
    """A text area that sends its text with Enter and grows with it. It is never locked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send"),
        Binding(",".join(NEWLINE_KEYS), "newline", "New line", show=False),
        Binding("up", "cursor_up", "Line up; on the first line: an earlier prompt", show=False),
        Binding("down", "cursor_down", "Line down; on the last line: a later prompt", show=False),
        Binding("tab", "complete", "Complete a command, or go to the next pane", show=False),
    ]

    DEFAULT_CSS = """
    Composer, Composer:focus {
        height: auto;
        max-height: 33vh;
        border: round $border-blurred;
        background: $background;
        border-subtitle-color: $text-muted;
        border-subtitle-background: $background;
        scrollbar-size-vertical: 1;
    }
    Composer:focus { border: round $border; }
    """

    class Submitted(Message):
        """The text is to be sent, or to be obeyed if it is a command."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class HistoryWanted(Message):
        """The earlier prompts are asked for; answer by calling `offer_history`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, placeholder=PLACEHOLDER, highlight_cursor_line=False, tab_behavior="focus"
        )
        self.cursor_blink = False  # a blinking cursor is a timer that never rests
        self.commands: Sequence[tuple[str, str]] = ()
        """The name and the help of each slash command."""

        self._history: Sequence[str] | None = None
        self._place = 0
        self._written = ""

    async def _on_key(self, event: events.Key) -> None:
        # The text area would take these keys for itself before its bindings are asked. A priority
        # binding is no way out: it overtakes what was typed just before and is still in line.
        action = {"enter": self.action_send, **dict.fromkeys(NEWLINE_KEYS, self.action_newline)}
        if event.key in action:
            event.stop()
            event.prevent_default()
            action[event.key]()

    def action_send(self) -> None:
        """Hand the text over and start afresh."""
        text = self.text
        if not text.strip():
            return
        self.text = ""
        self.forget_history()
        self.post_message(self.Submitted(text))

    def give_back(self, text: str) -> None:
        """Put a text that could not be sent before what has been written since."""
        self.text = f"{text}\n{self.text}" if self.text else text
        self.move_cursor(self.document.end)

    def put(self, text: str) -> None:
        """Replace the text; the cursor goes to its end."""
        self.text = text
        self.move_cursor(self.document.end)

    def action_newline(self) -> None:
        """Begin a new line."""
        self.replace("\n", *self.selection, maintain_selection_offset=False)

    def action_complete(self) -> None:
        """Complete the command that is being written; move on when there is none."""
        fitting = self._fitting()
        if fitting:
            self.put(f"{fitting[0][0]} ")
        else:
            self.screen.focus_next()

    # History

    def forget_history(self) -> None:
        """There is another session, or a prompt more."""
        self._history = None
        self._place = 0

    def offer_history(self, prompts: Sequence[str]) -> None:
        """Step back into `prompts`, the oldest first."""
        self._history = prompts
        self._place = len(prompts)
        self._written = self.text
        self._step(-1)

    def action_cursor_up(self, select: bool = False) -> None:
        """Move up; from the first line, to the prompt before."""
        if select or self._cursor_row > 0:
            super().action_cursor_up(select)
        elif self._history is None:
            self.post_message(self.HistoryWanted())
        else:
            self._step(-1)

    def action_cursor_down(self, select: bool = False) -> None:
        """Move down; from the last line, to the prompt behind."""
        if select or self._history is None or self._cursor_row < self.wrapped_document.height - 1:
            super().action_cursor_down(select)
        else:
            self._step(1)

    @property
    def _cursor_row(self) -> int:
        """The row of the cursor, wrapped lines counted."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _step(self, by: int) -> None:
        assert self._history is not None
        place = self._place + by
        if not 0 <= place <= len(self._history):
            return
        if self._place == len(self._history):
            self._written = self.text
        self._place = place
        self.put(self._written if place == len(self._history) else self._history[place])
        if by < 0:
            self.move_cursor((0, 0))

    # Commands

    def on_text_area_changed(self) -> None:
        """Show the commands that fit what is being written."""
        fitting = self._fitting()
        shown = [Content.styled(name, "$text-primary bold") for name, _ in fitting]
        if len(fitting) == 1:
            shown.append(Content(fitting[0][1]))
        self.border_subtitle = Content("  ").join(shown)

    def _fitting(self) -> list[tuple[str, str]]:
        text = self.text
        if not text.startswith("/") or any(character.isspace() for character in text):
            return []
        return [command for command in self.commands if command[0].startswith(text)]

    def on_paste(self, event: events.Paste) -> None:
        """Bring the line ends to one kind; then the text area pastes."""
        event.text = event.text.replace("\r\n", "\n").replace("\r", "\n")
