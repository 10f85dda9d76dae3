"""The consent dialog: the exact call that a model wants to make, and what the user says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from engine.consent import Decision
from tui.figures import in_json
from tui.harmless import exact, visible
from tui.screens.dialog import Dialog
from tui.widgets.fields import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from storage.records import ToolCall


class ConsentScreen(Dialog[dict[str, Decision]]):
    """Asks about one call after another. Gives the decisions made, by the calls' ids.

    No key approves that a person writing a message might be about to press: the dialog takes none
    of the letters before `ARM_SECONDS` have passed.
    """

    ARM_SECONDS: ClassVar[float] = 0.4

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide('once')", "Allow once"),
        Binding("a", "decide('always')", "Allow in this chat"),
        Binding("n", "decide('deny')", "Deny"),
        Binding("escape", "cancel", "Decide later"),
    ]

    DEFAULT_CSS = """
    ConsentScreen > Vertical { border: round $warning; border-title-color: $warning; }
    ConsentScreen VerticalScroll { height: auto; max-height: 45vh; margin: 1 0; }
    ConsentScreen #keys { color: $text-muted; margin: 0 0 1 0; }
    ConsentScreen Input { display: none; }
    ConsentScreen.-reason Input { display: block; }
    """

    AUTO_FOCUS = "VerticalScroll"

    def __init__(
        self, calls: Sequence[ToolCall], scopes: Sequence[str], origins: Sequence[str]
    ) -> None:
        super().__init__()
        self._calls = calls
        self._scopes = scopes
        """What "always" would mean for each call, in words."""

        self._origins = origins
        """Which other program runs each call; empty: this one."""

        self._decisions: dict[str, Decision] = {}
        self._armed = False

    def compose(self) -> ComposeResult:
        """The call, what can be said to it, and a line for the reason of a no."""
        with Vertical() as box:
            box.border_title = "The model wants to use a tool"
            with VerticalScroll():
                yield Static(id="call", markup=False)
            yield Static(id="keys", markup=False)
            yield Field(placeholder="Why not? The model is told. Enter denies.")

    def on_mount(self) -> None:
        """Show the first call; take no answer before it can have been read."""
        self._show()
        self.set_timer(self.ARM_SECONDS, self._arm)

    def _arm(self) -> None:
        self._armed = True

    @property
    def _call(self) -> ToolCall:
        return self._calls[len(self._decisions)]

    def _show(self) -> None:
        call, place = self._call, len(self._decisions)
        scope, origin = self._scopes[place], self._origins[place]
        arguments = in_json(call.arguments)
        self.query_one("#call", Static).update(
            Content.assemble(
                (visible(call.name), "bold"),
                (f"  by the server {visible(origin)}" if origin else "", "$text-warning"),
                "\n",
                exact(arguments),
            )
        )
        keys = {
            "y": "allow once",
            "a": f"allow every {exact(scope)} in this conversation",
            "n": "deny",
            "esc": "decide later",
        }
        told = [Content.assemble((f"{key:5}", "bold"), words) for key, words in keys.items()]
        self.query_one("#keys", Static).update(Content("\n").join(told))
        box = self.query_one(Vertical)
        box.border_subtitle = (
            f"{len(self._decisions) + 1} of {len(self._calls)}" if len(self._calls) > 1 else ""
        )

    def action_decide(self, how: str) -> None:
        """Take a decision on the call that is shown."""
        if not self._armed:
            return
        if how == "deny":
            self.add_class("-reason")
            self.query_one(Input).focus()
        else:
            self._settle(Decision(approve=True, always=how == "always"))

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Deny, with the reason if there is one."""
        message.input.clear()
        self.remove_class("-reason")
        self.query_one(VerticalScroll).focus()
        self._settle(Decision(approve=False, reason=message.value.strip()))

    def action_cancel(self) -> None:
        """Keep the decisions made so far; the rest waits."""
        self.dismiss(self._decisions)

    def _settle(self, decision: Decision) -> None:
        self._decisions[self._call.id] = decision
        if len(self._decisions) == len(self._calls):
            self.dismiss(self._decisions)
        else:
            self._show()
