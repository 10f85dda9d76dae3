"""The keys that work here and now, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from textual import events
    from textual.binding import Binding
    from textual.screen import Screen


class KeyBar(Widget):
    """What the footer of Textual shows, drawn as one line instead of a widget a key.

    It is drawn again at every change of focus, so it has to be cheap; keys that do not fit are left
    out from the end.
    """

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        padding: 0 1;
        background: $footer-background;
        color: $footer-description-foreground;
        text-wrap: nowrap;
    }
    """

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[int, str]] = []
        """Where each key's words end, in cells, and the key."""

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """The keys, those of the focused widget first."""
        self._keys = []
        shown: list[Content] = []
        used = 0
        for binding in self._one_an_action():
            key = self.app.get_key_display(binding)
            words = Content.assemble((key, "$footer-key-foreground"), f" {binding.description}")
            width = words.cell_length + 2
            if used + width > self.size.width:
                break
            used += width
            shown.append(words)
            self._keys.append((used, binding.key))
        return Content("  ").join(shown)

    def _one_an_action(self) -> list[Binding]:
        """One binding an action."""
        found: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                found.setdefault(active.binding.action, active.binding)
        return list(found.values())

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        at = event.get_content_offset(self)
        if at is None:
            return
        for end, key in self._keys:
            if at.x < end:
                self.app.simulate_key(key)
                return
