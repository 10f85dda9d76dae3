"""A screen with one widget on it, over a real engine and store, and the means to read it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.app import App
from textual.message import Message
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.app import ComposeResult
    from textual.pilot import Pilot

    from tui.widgets.rows import RowView

W = TypeVar("W", bound=Widget)
M = TypeVar("M", bound=Message)


class PaneApp(App[None], Generic[W]):
    """Shows one widget and keeps the messages that it posts."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, pane: W, width: int) -> None:
        super().__init__()
        self.pane = pane
        self.heard: list[Message] = []
        pane.styles.width = width

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_session_list_opened(self, message: Message) -> None:
        self.heard.append(message)

    def on_session_list_new_requested(self, message: Message) -> None:
        self.heard.append(message)

    def on_inspector_jump(self, message: Message) -> None:
        self.heard.append(message)

    def heard_of(self, kind: type[M]) -> list[M]:
        return [message for message in self.heard if isinstance(message, kind)]


@asynccontextmanager
async def shown(
    pane: W, *, width: int = 34, height: int = 24
) -> AsyncIterator[tuple[W, Pilot[None]]]:
    app = PaneApp(pane, width)
    async with app.run_test(size=(width, height)) as pilot:
        yield pane, pilot


def heard(pilot: Pilot[None], kind: type[M]) -> list[M]:
    app = pilot.app
    assert isinstance(app, PaneApp)
    return app.heard_of(kind)


async def until(pilot: Pilot[None], true: Callable[[], object], seconds: float = 15) -> None:
    """Wait for a condition; fail when it has not come true by the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the condition did not come true"
        await pilot.pause()
        await asyncio.sleep(0.005)


def lines(view: RowView) -> list[str]:
    """What is seen of a list, line by line."""
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]
