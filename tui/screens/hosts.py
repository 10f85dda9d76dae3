"""The model hosts: every server that the settings name, how it is, and what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from engine.events import Event, HostsChanged
from tui.bindings import key_of
from tui.figures import duration
from tui.screens.dialog import Dialog
from tui.widgets.figures import note
from tui.widgets.rows import MUTED, Row, RowView, fit, one_line, text_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from engine.llm.hosts import Host
    from engine.models import Models
    from engine.pool import Job

PAUSE = 0.1
"""Seconds; what happens within so long is shown together."""

KIND_CELLS, HOW_CELLS, LATENCY_CELLS, RUNNING_CELLS, SPEED_CELLS = 8, 10, 8, 8, 11
"""How wide the columns behind a host's name are."""


class HostsScreen(Dialog[None]):
    """Lists the hosts with their models. While it is open, they are looked at now and again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "look", "Look now"),
        Binding("f8", "cancel", "Close", show=False),
    ]

    DEFAULT_CSS = """
    HostsScreen > Vertical { max-width: 100; }
    HostsScreen RowView { height: auto; max-height: 100%; }
    """

    def __init__(self, models: Models) -> None:
        super().__init__()
        self._models = models
        self._hosts: list[Host] = []
        self._watch: Job[Any] | None = None
        self._touched = False
        self._unsubscribe: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """The list."""
        with Vertical() as box:
            box.border_title = "Model hosts"
            box.border_subtitle = "r looks now · escape closes"
            yield RowView()

    def on_mount(self) -> None:
        """Follow the hosts."""
        view = self.query_one(RowView)
        view.show([text_row(Content.styled("Asking the hosts…", MUTED))])
        view.focus()
        self._unsubscribe = self._models.events.subscribe(self._hear)
        self.action_look()

    def on_unmount(self) -> None:
        """Leave them alone."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._watch is not None:
            self._watch.cancel()

    def action_look(self) -> None:
        """Look at the hosts now, and then now and again."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._models.watch_hosts()

    def on_resize(self) -> None:
        """Lines are made for a width."""
        self._touch()

    def _hear(self, event: Event) -> None:
        if isinstance(event, HostsChanged):
            self._touch()

    def _touch(self) -> None:
        if not self._touched:
            self._touched = True
            self.set_timer(PAUSE, self._list)

    async def _list(self) -> None:
        self._touched = False
        self._hosts = await self._models.hosts()
        words = f"`hosts` in the settings ({key_of('chat.settings')}) names more of them."
        for view in self.query(RowView):  # none, when the dialog was closed meanwhile
            rows = [_row(host, view.row_width) for host in self._hosts]
            view.show([_heading(view.row_width), *rows, note(words, view.row_width)])


def _columns(name: Content, kind: str, how: Content, figures: list[str], width: int) -> Content:
    """A line: a name, what it is and how, and three figures on the right."""
    latency, running, speed = figures
    room = width - KIND_CELLS - HOW_CELLS - LATENCY_CELLS - RUNNING_CELLS - SPEED_CELLS
    name = name.truncate(room - 1, ellipsis=True)
    return Content.assemble(
        name.pad_right(room - name.cell_length),
        (kind.ljust(KIND_CELLS), MUTED),
        how.pad_right(HOW_CELLS - how.cell_length),
        latency.rjust(LATENCY_CELLS),
        running.rjust(RUNNING_CELLS),
        speed.rjust(SPEED_CELLS),
    )


def _heading(width: int) -> Row:
    figures = ["latency", "running", "speed"]
    return text_row(_columns(Content("  host"), "kind", Content(""), figures, width).stylize(MUTED))


def _row(host: Host, width: int) -> Row:
    """A host and its figures; below, what it has loaded and what else it has, or what is amiss."""
    sign, how, style = {
        True: ("●", "reachable", "$text-success"),
        False: ("✗", "gone", "$text-error"),
        None: ("○", "not asked", MUTED),
    }[host.reachable]
    name = Content.assemble((f"{sign} ", style), (one_line(host.name), "bold"))
    figures = [
        "–" if host.latency is None else duration(host.latency),
        str(host.running),
        "–" if host.tokens_per_second is None else f"{host.tokens_per_second:.1f} tok/s",
    ]
    lines = [_columns(name, host.kind, Content.styled(how, style), figures, width)]
    if host.failure is not None:
        lines.append(Content.styled(fit(f"  {one_line(str(host.failure))}", width), "$text-error"))
    loaded = [one_line(info.name) for info in host.models if info.loaded]
    rest = [one_line(info.name) for info in host.models if not info.loaded]
    if host.reachable:
        for label, names in (("loaded", loaded), ("has", rest)):
            if names:
                text = fit(f"  {label:<7} {', '.join(names)}", width)
                lines.append(Content(text) if label == "loaded" else Content.styled(text, MUTED))
        if not host.models:
            lines.append(Content.styled("  It has no models.", MUTED))
    return text_row(*lines, "", key=f"{host.kind} {host.name}")
