"""What can complete the word that is being written: a few rows over the composer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui.harmless import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

MOST = 6
"""So many are seen at a time."""

NAME_CELLS = 24


class Completion(NamedTuple):
    """One way to complete a word."""

    text: str
    """What will stand there instead of the word."""

    help: str = ""
    name: str = ""
    """What is shown; the text, unless that is given."""

    final: bool = True
    """Whether the word is whole then; a folder's name goes on."""


class Completions(Widget):
    """Shows what the composer offers. The composer keeps the keyboard; a click chooses too."""

    DEFAULT_CSS = """
    Completions {
        display: none;
        height: auto;
        padding: 0 2;
        background: $surface;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    ALLOW_SELECT = False

    class Clicked(Message):
        """One of them was clicked: its place in the list."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self) -> None:
        super().__init__()
        self._offered: Sequence[Completion] = ()
        self._chosen = 0
        self._first = 0
        """The place of the one in the first row."""

    def show(self, offered: Sequence[Completion], chosen: int) -> None:
        """Show these, one of them as the chosen one; nothing when there are none."""
        self._offered, self._chosen = offered, chosen
        self._first = min(max(self._first, chosen - MOST + 1), chosen)
        self.display = bool(offered)
        self.refresh(layout=True)

    def render(self) -> Content:
        """A row each: the name, and what it is for; under them, how many there are besides."""
        seen = list(enumerate(self._offered))[self._first : self._first + MOST]
        rows = [self._row(completion, place == self._chosen) for place, completion in seen]
        if len(self._offered) > MOST:
            words = f"  {self._chosen + 1} of {len(self._offered)} · up and down show the others"
            rows.append(Content.styled(words, "$text-muted"))
        return Content("\n").join(rows)

    def _row(self, completion: Completion, chosen: bool) -> Content:
        mark = ("› ", "$text-accent bold") if chosen else ("  ", "")
        name = visible(completion.name or completion.text).replace("\n", " ")
        gap = " " * max(2, NAME_CELLS - Content(name).cell_length) if completion.help else ""
        return Content.assemble(
            mark,
            (name, "$text-primary bold" if chosen else "$text-primary"),
            (f"{gap}{completion.help}", "$text-muted"),
        )

    def on_click(self, event: events.Click) -> None:
        """Choose the row that was clicked."""
        at = event.get_content_offset(self)
        if at is not None and at.y < min(MOST, len(self._offered)):
            self.post_message(self.Clicked(self._first + at.y))
