"""Work of which only the latest counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from textual.widget import Widget
    from textual.worker import Worker


def run_latest(
    widget: Widget, work: Callable[[], Coroutine[None, None, None]], group: str
) -> Worker[None]:
    """Run work in the place of what still runs in its group.

    It is begun by the worker: a coroutine that was made here, and replaced before its first step,
    would never be awaited, and Python would say so on the screen.
    """
    return widget.run_worker(work, group=group, exclusive=True)
