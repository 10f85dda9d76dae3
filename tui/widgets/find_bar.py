"""The find bar: words to find in the conversation that is shown."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from storage.errors import StorageError
from tui.bindings import named
from tui.latest import run_latest
from tui.widgets.fields import Field

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.transcript import Transcript

PAUSE_SECONDS = 0.15
"""A search begins when nothing has been typed for so long."""


class FindBar(Horizontal):
    """Finds as one types; Enter goes on to the next match."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "find",
        [
            Binding("enter,down", "step(1)", "Next match", priority=True),
            Binding("shift+enter,up", "step(-1)", "Previous match", priority=True),
            Binding("escape", "close", "Close"),
        ],
    )

    DEFAULT_CSS = """
    FindBar { height: 1; margin: 0 2; background: $panel; }
    FindBar Input, FindBar Input:focus { width: 1fr; height: 1; border: none; background: $panel; }
    FindBar Static { width: auto; padding: 0 1; color: $text-muted; }
    """

    class Closed(Message):
        """The reader has done with it."""

    def __init__(self, transcript: Transcript, text: str = "") -> None:
        super().__init__()
        self._transcript = transcript
        self._input = Field(text, placeholder="Find in this conversation", compact=True)
        self._count = Static(markup=False)

    def compose(self) -> ComposeResult:
        """The words, and how often they are there."""
        yield self._input
        yield self._count

    def on_mount(self) -> None:
        """Be ready to type."""
        self._input.focus()

    async def on_unmount(self) -> None:
        """Take the marks away."""
        if self._transcript.is_attached:
            await self._transcript.find("")

    def on_input_changed(self, message: Input.Changed) -> None:
        """Find what has been typed."""
        message.stop()
        run_latest(self, partial(self._find, message.value), "find")

    async def _find(self, text: str) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            found = await self._transcript.find(text)
        except StorageError as error:
            self._count.update(error.message)
            return
        if not text:
            self._count.update("")
        elif not found.matches:
            self._count.update("not found")
        else:
            where = "1 message" if found.messages == 1 else f"{found.messages:,} messages"
            self._count.update(f"{found.matches:,} in {where}")
            await self._transcript.action_find_previous()

    async def action_step(self, by: int) -> None:
        """Go to the next match, or to the one before."""
        if by > 0:
            await self._transcript.action_find_next()
        else:
            await self._transcript.action_find_previous()

    def action_close(self) -> None:
        """Go back to writing."""
        self.post_message(self.Closed())
