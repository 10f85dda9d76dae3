"""The inspector: what goes on behind the conversation, in live tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from engine.events import ContextPacked, Event
from tui.bindings import named
from tui.widgets.memory_panel import MemoryPanel
from tui.widgets.request_panel import RequestPanel
from tui.widgets.research_panel import ResearchPanel
from tui.widgets.rows import MUTED, RowView
from tui.widgets.tokens_panel import TokensPanel
from tui.widgets.workers_panel import WorkersPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult

    from engine.engine import Engine
    from tui.widgets.panel import Panel

PANELS: dict[str, Callable[[Engine], Panel]] = {
    "Tokens": TokensPanel,
    "Memory": MemoryPanel,
    "Research": ResearchPanel,
    "Workers": WorkersPanel,
    "Request": RequestPanel,
}
"""The tabs, in order."""

GAP = " "
"""Between two names on the bar of tabs."""


class Inspector(Vertical):
    """Tokens, memory, research, workers and the last request of the session that is open.

    A tab's panel is made when it is first looked at, and works only while it is seen.
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        "inspector",
        [
            Binding("1", "tab('Tokens')", "Tokens", show=False),
            Binding("2", "tab('Memory')", "Memory", show=False),
            Binding("3", "tab('Research')", "Research", show=False),
            Binding("4", "tab('Workers')", "Workers", show=False),
            Binding("5", "tab('Request')", "Request", show=False),
            Binding("left", "turn(-1)", "Previous tab", show=False),
            Binding("right", "turn(1)", "Next tab", show=False),
        ],
    )

    session_id: reactive[str | None] = reactive(None)
    """The session that is shown."""

    recalls: reactive[bool] = reactive(True, init=False)
    """Whether anything is brought back from memory in that session."""

    tab: reactive[str] = reactive("Tokens", init=False)
    """The tab that is shown: a key of `PANELS`."""

    class Jump(Message):
        """The reader wants to see where something was said; without a position, how it ended."""

        def __init__(self, session_id: str, position: int | None) -> None:
            super().__init__()
            self.session_id = session_id
            self.position = position

    def __init__(self, engine: Engine, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._engine = engine
        self._panels: dict[str, Panel] = {}
        self._bar = TabBar(list(PANELS))
        self.set_reactive(Inspector.recalls, engine.settings.memory.recall)

    def compose(self) -> ComposeResult:
        """The bar of tabs, and the panel of the tab that is shown first."""
        yield self._bar
        yield self._make(self.tab)

    def on_mount(self) -> None:
        """Follow the engine."""
        self._tell()
        self._unsubscribe = self._engine.events.subscribe(self._take)

    def on_unmount(self) -> None:
        """Stop following the engine."""
        self._unsubscribe()

    def focus_panel(self) -> None:
        """Put the keyboard on the tab that is shown."""
        self._panels[self.tab].focus()

    def action_tab(self, name: str) -> None:
        """Show a tab."""
        self.tab = name

    def action_turn(self, by: int) -> None:
        """Show the next tab, or the one before."""
        names = list(PANELS)
        self.tab = names[(names.index(self.tab) + by) % len(names)]

    def validate_tab(self, name: str) -> str:
        """There are only these tabs.

        Raises:
            ValueError: There is none of that name.
        """
        if name not in PANELS:
            raise ValueError(f"there is no tab {name!r}")
        return name

    def watch_tab(self, before: str, now: str) -> None:
        """Show the panel of the tab; make it, the first time."""
        self._bar.active = now
        had_focus = before in self._panels and self._panels[before].has_focus
        if now not in self._panels:
            self.mount(self._make(now))
        for name, panel in self._panels.items():
            panel.display = name == now
        self._tell()
        if had_focus:
            self._panels[now].focus()

    def watch_session_id(self) -> None:
        """Show another session."""
        self._tell()

    def watch_recalls(self) -> None:
        """Say that nothing is brought back, or that it is again."""
        self._tell()

    def _make(self, tab: str) -> Panel:
        self._panels[tab] = PANELS[tab](self._engine)
        return self._panels[tab]

    def _tell(self) -> None:
        panel = self._panels.get(self.tab)
        if isinstance(panel, MemoryPanel):
            panel.recalls = self.recalls
        if panel is not None:
            packed = self._engine.packed(self.session_id) if self.session_id else None
            panel.show_session(self.session_id, packed)

    def _take(self, event: Event) -> None:
        if isinstance(event, ContextPacked) and event.session_id == self.session_id:
            self._tell()
        for panel in self._panels.values():
            panel.take(event)

    @on(RowView.Chosen)
    def _chosen(self, event: RowView.Chosen) -> None:
        event.stop()

    @on(MemoryPanel.Led)
    def _led(self, event: MemoryPanel.Led) -> None:
        event.stop()
        self.post_message(self.Jump(event.session_id, event.position))


class TabBar(Widget):
    """The names of the tabs; a click shows one."""

    DEFAULT_CSS = """
    TabBar {
        height: 2;
        padding: 0 1;
    }
    """

    active: reactive[str] = reactive("")

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names
        self.set_reactive(TabBar.active, names[0])

    def render(self) -> Content:
        """The names, and a line under the one that is shown."""
        names = [
            (f"{name}{GAP}", "bold $text-primary" if name == self.active else MUTED)
            for name in self._names
        ]
        rule = "━" * self.content_size.width
        line = Content.styled(rule, "$foreground 20%")
        start = sum(len(name) + len(GAP) for name in self._names[: self._names.index(self.active)])
        line = line.stylize("$primary", start, start + len(self.active))
        return Content.assemble(*names, "\n", line)

    def on_click(self, event: events.Click) -> None:
        """Show the tab that was clicked."""
        x = event.x - 1
        for name in self._names:
            if 0 <= x < len(name) and isinstance(self.parent, Inspector):
                self.parent.tab = name
            x -= len(name) + len(GAP)
