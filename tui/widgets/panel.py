"""A tab of the inspector: rows that are built anew when something changes, while they are seen."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from tui.widgets.rows import Row, RowView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.context.budget import Packed
    from engine.engine import Engine
    from engine.events import Event


class Panel(RowView):
    """Figures about the engine and one session.

    Attributes:
        session_id: The session that is shown.
        packed: What the model was last shown in it; None when that is not known.
        seen: Whether the panel is on the screen. An unseen one does nothing.
        pause: Seconds; what happens within so long is shown together.
    """

    pause = 0.1

    def __init__(self, engine: Engine, *, id: str) -> None:
        super().__init__(id=id)
        self.engine = engine
        self.session_id: str | None = None
        self.packed: Packed | None = None
        self.seen = False
        self._touched = False
        self._width = 0

    @abstractmethod
    def build(self, width: int) -> Iterable[Row]:
        """The rows as they are now, for a pane of `width` cells."""

    def show_session(self, session_id: str | None, packed: Packed | None) -> None:
        """Show another session, or another turn of it."""
        self.session_id = session_id
        self.packed = packed
        self.touch()

    def take(self, event: Event) -> None:
        """Hear what happened; called whether the panel is seen or not."""

    def appeared(self) -> None:
        """Called when the panel comes into view."""

    def vanished(self) -> None:
        """Called when the panel goes out of view."""

    def touch(self) -> None:
        """Build the rows anew in a moment. May be called often, and from any task."""
        if self.seen and not self._touched:
            self._touched = True
            self.call_later(self.set_timer, self.pause, self.rebuild)

    def rebuild(self) -> None:
        """Build the rows anew now."""
        self._touched = False
        if self.seen and self._width:
            self.show(list(self.build(self._width)))

    def on_show(self) -> None:
        """Come into view."""
        if not self.seen:
            self.seen = True
            self.appeared()
            self.rebuild()

    def on_hide(self) -> None:
        """Go out of view."""
        self.seen = False
        self.vanished()

    def on_resize(self) -> None:
        """Lines are made for a width."""
        if self.row_width != self._width:
            self._width = self.row_width
            self.rebuild()
