"""The composer: where a person writes, and what they wrote before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.bindings import named
from tui.widgets.completions import MOST, Completion
from tui.widgets.fields import Area
from tui.widgets.pastes import Pastes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events

NEWLINE_KEYS = ("ctrl+j", "shift+enter", "alt+enter")

NAME = re.compile(r'(?:^|(?<=[\s(\[]))@(?:"([^"]*)|([^\s"]*))$')
"""The name of a file that is being written, up to the cursor."""


class Composer(Area):
    """A text area that sends its text and grows with it. It is never locked.

    Attributes:
        commands: The name and the help of each slash command.
        editing: Whether an earlier question is being written anew.
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        "composer",
        [
            Binding("enter", "send", "Send"),
            Binding(",".join(NEWLINE_KEYS), "newline", "New line", show=False),
            Binding("escape", "leave", "Close the list; leave the question as it was", show=False),
            Binding(
                "up",
                "cursor_up",
                "Line up; on the first line: earlier prompts that begin so",
                show=False,
            ),
            Binding("down", "cursor_down", "Line down; on the last: a later prompt", show=False),
            Binding(
                "tab",
                "complete",
                "Complete a command or a file; show a paste whole; go to the next pane",
                show=False,
            ),
            Binding("pageup", "cursor_page_up", "Page up in the conversation", show=False),
            Binding("pagedown", "cursor_page_down", "Page down in the conversation", show=False),
            Binding("ctrl+g", "edit_outside", "Write in $EDITOR", show=False),
        ],
    )

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
        """The earlier prompts with this beginning are asked for; answer with `offer_history`."""

        def __init__(self, prefix: str) -> None:
            super().__init__()
            self.prefix = prefix

    class FilesWanted(Message):
        """A file's name is being written; answer with `offer_files`."""

        def __init__(self, typed: str) -> None:
            super().__init__()
            self.typed = typed

    class Offered(Message):
        """What completes the word has changed."""

        def __init__(self, offered: Sequence[Completion], chosen: int) -> None:
            super().__init__()
            self.offered = offered
            self.chosen = chosen

    class EditingLeft(Message):
        """The earlier question stays as it was after all."""

    class PageWanted(Message):
        """The reader wants to see the page before (-1) or behind (1) without leaving."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class EditorWanted(Message):
        """The text is to be written in another program; answer with `put`."""

    def __init__(self, *, id: str | None = None, enter_sends: bool = True) -> None:
        other = f"{NEWLINE_KEYS[0]} {'new line' if enter_sends else 'sends'}"
        super().__init__(
            id=id,
            placeholder=f"Ask anything · {other} · / commands · @ files",
            highlight_cursor_line=False,
            tab_behavior="focus",
        )
        self.commands: Sequence[tuple[str, str]] = ()
        sending = ("enter",) if enter_sends else NEWLINE_KEYS
        breaking = NEWLINE_KEYS if enter_sends else ("enter",)
        self._actions = {
            **dict.fromkeys(sending, self.action_send),
            **dict.fromkeys(breaking, self.action_newline),
        }
        self.editing = False
        self._pastes = Pastes()
        self._offered: Sequence[Completion] = ()
        self._chosen = 0
        self._history: Sequence[str] | None = None
        self._place = 0
        self._written = ""

    def render_line(self, y: int) -> Strip:
        """A row; an empty one where nothing fits, for the placeholder can't be wrapped to that."""
        if self.content_size.width < 1:
            return Strip.blank(self.size.width)
        return super().render_line(y)

    @property
    def message(self) -> str:
        """What would be sent: the text with every paste in its place."""
        return self._pastes.whole(self.text)

    @property
    def pastes(self) -> dict[str, str]:
        """What the labels in the text stand for."""
        return self._pastes.used_in(self.text)

    async def _on_key(self, event: events.Key) -> None:
        # The text area would take these keys for itself before its bindings are asked. A priority
        # binding is no way out: it overtakes what was typed just before and is still in line.
        if event.key in self._actions:
            event.stop()
            event.prevent_default()
            self._actions[event.key]()

    def action_send(self) -> None:
        """Hand the text over and start afresh; of an offered list, take what is chosen."""
        if self._offered and self._offered[self._chosen].text != self.text:
            completion = self._offered[self._chosen]
            self._accept()
            if not (self.text.startswith("/") and completion.final and self.text[-1] != " "):
                return
        text = self.message
        if not text.strip():
            return
        self.put("")
        self.forget_history()
        self.post_message(self.Submitted(text))

    def give_back(self, text: str) -> None:
        """Put a text that could not be sent before what has been written since."""
        text = self._pastes.shortened(text)
        self.text = f"{text}\n{self.text}" if self.text else text
        self.move_cursor(self.document.end)

    def put(self, text: str, pastes: Mapping[str, str] | None = None) -> None:
        """Replace the text; the cursor goes to its end.

        Args:
            text: What stands there from now on.
            pastes: What labels within it stand for.
        """
        self._pastes.restore(pastes or {})
        self.text = text
        self.move_cursor(self.document.end)

    def action_newline(self) -> None:
        """Begin a new line."""
        self.replace("\n", *self.selection, maintain_selection_offset=False)

    def action_edit_outside(self) -> None:
        """Write on in an editor of the user's."""
        self.post_message(self.EditorWanted())

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
        if self._offered and not select:
            self._choose(-1)
        elif select or self._cursor_row > 0:
            super().action_cursor_up(select)
        elif self._history is None:
            self.post_message(self.HistoryWanted(self.text))
        else:
            self._step(-1)

    def action_cursor_down(self, select: bool = False) -> None:
        """Move down; from the last line, to the prompt behind."""
        if self._offered and not select:
            self._choose(1)
        elif select or self._history is None or self._is_not_last_row:
            super().action_cursor_down(select)
        else:
            self._step(1)

    def action_cursor_page_up(self) -> None:
        """Page up in the conversation; in the text, where that has more rows than are seen."""
        if self._is_tall:
            super().action_cursor_page_up()
        else:
            self.post_message(self.PageWanted(-1))

    def action_cursor_page_down(self) -> None:
        """Page down in the conversation; in the text, where that has more rows than are seen."""
        if self._is_tall:
            super().action_cursor_page_down()
        else:
            self.post_message(self.PageWanted(1))

    @property
    def _is_tall(self) -> bool:
        return self.wrapped_document.height > self.content_size.height

    @property
    def _is_not_last_row(self) -> bool:
        return self._cursor_row < self.wrapped_document.height - 1

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
        if place == len(self._history):
            self.put(self._written, self._pastes.texts)
        else:
            # Labels of what is written stay known, for the way back to it.
            self.put(self._pastes.shortened(self._history[place]), self._pastes.texts)
        if by < 0:
            self.move_cursor((0, 0))

    # Completing

    def on_text_area_changed(self) -> None:
        """Offer what fits the word that is being written."""
        typed = self._before_cursor()
        if typed is not None and (match := NAME.search(typed)):
            self.post_message(self.FilesWanted(match[1] or match[2] or ""))
        else:
            self._offer(self._fitting())

    def offer_files(self, typed: str, names: Sequence[str]) -> None:
        """Offer files, unless something else has been typed meanwhile."""
        before = self._before_cursor()
        match = NAME.search(before) if before is not None else None
        if match is None or (match[1] or match[2] or "") != typed:
            return
        self._offer(
            [
                Completion(
                    f'@"{name}"' if " " in name else f"@{name}",
                    name=name,
                    final=not name.endswith("/"),
                )
                for name in names[:MOST]
            ]
        )

    def _before_cursor(self) -> str | None:
        """The line up to the cursor; None while something is selected."""
        if not self.selection.is_empty:
            return None
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    def _fitting(self) -> list[Completion]:
        text = self.text
        if not text.startswith("/") or any(character.isspace() for character in text):
            return []
        return [
            Completion(name.partition(" ")[0], help, name, final=" " not in name)
            for name, help in self.commands
            if name.startswith(text)
        ]

    def _offer(self, offered: Sequence[Completion]) -> None:
        if offered or self._offered:
            self._offered, self._chosen = offered, 0
            self.post_message(self.Offered(offered, 0))

    def _choose(self, by: int) -> None:
        self._chosen = (self._chosen + by) % len(self._offered)
        self.post_message(self.Offered(self._offered, self._chosen))

    def action_leave(self) -> None:
        """Write on without completing, or leave an earlier question as it was."""
        if self._offered:
            self._offer(())
        else:
            self.post_message(self.EditingLeft())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is for the screen unless there is something to leave."""
        return bool(self._offered) or self.editing if action == "leave" else True

    def take_offered(self, place: int) -> None:
        """Complete the word with one of what is offered."""
        if place < len(self._offered):
            self._chosen = place
            self._accept()
            self.focus()

    def _accept(self) -> None:
        completion = self._offered[self._chosen]
        if completion.text.startswith("/"):
            self.put(completion.text if completion.final else f"{completion.text} ")
        elif (before := self._before_cursor()) is not None and (match := NAME.search(before)):
            row, column = self.cursor_location
            text = completion.text
            if completion.final:
                text += " "
            else:
                text = text.removesuffix('"')  # the name goes on within its folder
            self.replace(text, (row, match.start()), (row, column), maintain_selection_offset=False)
        self._offer(())

    def action_complete(self) -> None:
        """Take what is offered; show a paste whole; or move on to the next pane."""
        row, column = self.cursor_location
        if self._offered:
            self._accept()
        elif place := self._pastes.at(self.document.get_line(row), column):
            label = self.document.get_line(row)[slice(*place)]
            self.replace(
                self._pastes.whole(label),
                (row, place[0]),
                (row, place[1]),
                maintain_selection_offset=False,
            )
        else:
            self.screen.focus_next()

    # Pasting

    def on_paste(self, event: events.Paste) -> None:
        """Bring the line ends to one kind, and a large paste to its label."""
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        event.text = self._pastes.shortened(text)

    def action_delete_left(self) -> None:
        """Delete what stands before the cursor: a character, or a whole label."""
        row, column = self.cursor_location
        line = self.document.get_line(row)
        if self.selection.is_empty and (place := self._pastes.at(line, column)):
            self.delete((row, place[0]), (row, place[1]), maintain_selection_offset=False)
        else:
            super().action_delete_left()
