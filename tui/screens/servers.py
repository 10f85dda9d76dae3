"""The servers of tools: how each is, what it offers, and what it wrote beside the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.events import ServersChanged
from engine.mcp.servers import ServerState
from engine.models import takes_tools
from tui.harmless import visible
from tui.screens.dialog import Choices, Dialog
from tui.widgets.rows import MUTED, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.app import ComposeResult
    from textual.widgets import OptionList

    from engine.engine import Engine
    from engine.events import Event
    from engine.mcp.servers import Server

MARKS = {
    ServerState.OFF: ("–", MUTED),
    ServerState.IDLE: ("–", MUTED),
    ServerState.STARTING: ("…", "$text-warning"),
    ServerState.READY: ("●", "$text-success"),
    ServerState.FAILED: ("✗", "$text-error"),
}

LINES_SHOWN = 8

NONE = """\
No server is named in the settings yet. This, in {file}, names one:

[mcp.servers.time]
command = "uvx"
args = ["mcp-server-time"]"""


class ServersScreen(Dialog[None]):
    """A list of servers, and under it what is known of the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "restart", "Start again"),
        Binding("x", "stop", "Stop"),
    ]

    DEFAULT_CSS = """
    ServersScreen > Vertical { height: 90%; }
    ServersScreen Choices, ServersScreen Choices:focus { max-height: 40%; margin: 1 0; }
    ServersScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    ServersScreen Static { height: auto; padding: 0 1; }
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._servers = list(engine.servers)
        self._models = engine.models
        self._file = engine.paths.settings_file
        self._events = engine.events
        self._unsubscribe: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """The list and what is known; without servers, how to name one."""
        with Vertical() as box:
            box.border_title = "Servers of tools (MCP)"
            box.border_subtitle = (
                "r starts it again · x stops it · tab goes below"
                if self._servers
                else "escape closes"
            )
            if self._servers:
                yield Choices(*(_row(server) for server in self._servers))
            with VerticalScroll():
                yield Static(id="known", markup=False)

    def on_mount(self) -> None:
        """Show them, and follow what happens to them."""
        self._unsubscribe = self._events.subscribe(self._hear)
        self._show()

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def on_option_list_option_highlighted(self, _message: OptionList.OptionHighlighted) -> None:
        """Show what is known of it."""
        self._show()

    def action_restart(self) -> None:
        """End the server under the cursor if it runs, and start it."""
        if (server := self._server) is not None:
            self.run_worker(_restart(server), group="servers")

    def action_stop(self) -> None:
        """End the server under the cursor."""
        if (server := self._server) is not None:
            self.run_worker(server.stop(), group="servers")

    def _hear(self, event: Event) -> None:
        if not (self.query(Choices) and self.query("#known")):
            return  # the dialog is being closed
        if isinstance(event, ServersChanged) and self._servers:
            choices = self.query_one(Choices)
            for place, server in enumerate(self._servers):
                choices.replace_option_prompt_at_index(place, _row(server))
            self._show()

    @property
    def _server(self) -> Server | None:
        if not self._servers:
            return None
        return self._servers[self.query_one(Choices).highlighted or 0]

    def _show(self) -> None:
        server = self._server
        if server is None:
            known = Content(NONE.format(file=self._file))
        else:
            known = Content("\n").join([*self._no_use(), *_lines(server)])
        self.query_one("#known", Static).update(known)

    def _no_use(self) -> Iterator[Content]:
        """That the model can't use any of it, if so: without a word it would seem broken."""
        model = self._models.current
        if model is not None and not takes_tools(model):
            yield Content.assemble(
                (f"{one_line(model.ref)} is offered no tools; ctrl+t has others.", "$text-warning")
            )


async def _restart(server: Server) -> None:
    await server.stop()
    server.start()


def _row(server: Server) -> Content:
    mark, style = MARKS[server.state]
    state = str(server.state)
    if server.state is ServerState.READY:
        count = len(server.offers.tools)
        state = f"{count} tool{'' if count == 1 else 's'}"
    return Content.assemble((f"{mark} ", style), (server.name, "bold"), (f"  {state}", MUTED))


def _lines(server: Server) -> Iterator[Content]:
    yield Content.assemble((one_line(server.place), MUTED))
    if server.state is ServerState.STARTING:
        yield Content("It is starting.")
    if server.state is ServerState.FAILED:
        yield Content.assemble((f"It {visible(server.trouble)}.", "$text-error"))
    if server.state is ServerState.OFF:
        yield Content.assemble(("The settings turn it off.", MUTED))
    for note in server.notes:
        yield Content.assemble((note, "$text-warning"))
    offers = server.offers
    if offers.tools:
        yield _heading("Tools", "in its words; each call waits for your consent")
        for tool in offers.tools:
            yield _item(tool.name, tool.description)
    if offers.resources:
        yield _heading("To read", f"@{server.name}:ADDRESS in a message attaches it")
        for resource in offers.resources:
            yield _item(resource.uri, resource.title)
    if offers.prompts:
        yield _heading("Prompts", f"/{server.name}:NAME puts it before you")
        for prompt in offers.prompts:
            yield _item(f"{prompt.name} {prompt.takes}".rstrip(), prompt.description)
    if server.lines:
        yield _heading("What it wrote", "the last lines")
        for line in list(server.lines)[-LINES_SHOWN:]:
            yield Content.assemble((one_line(line), MUTED))


def _heading(title: str, words: str) -> Content:
    return Content.assemble("\n", (title, "bold $primary"), (f"  {words}", MUTED))


def _item(name: str, words: str) -> Content:
    return Content.assemble((one_line(name), "$text-accent"), (f"  {one_line(words)}", MUTED))
