"""What leaves this computer, as things are now, and what is kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.place import waiting_in
from engine.privacy import leaving
from tui.harmless import visible
from tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from engine.engine import Engine


class PrivacyScreen(Dialog[None]):
    """Shows the engine's own list; there is nothing to choose in it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "cancel", "Close", show=False)]

    DEFAULT_CSS = """
    PrivacyScreen VerticalScroll { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
    PrivacyScreen #told { height: auto; padding: 0 1; }
    """

    AUTO_FOCUS = "VerticalScroll"

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def compose(self) -> ComposeResult:
        """The list over what is kept."""
        with Vertical() as box:
            box.border_title = "What leaves this computer"
            box.border_subtitle = "escape closes"
            with VerticalScroll():
                yield Static(Content("\n").join(self._told()), id="told", markup=False)

    def _told(self) -> Iterator[Content]:
        model = self._engine.models.current
        for entry in leaving(self._engine.settings, model.ref if model else None):
            mark, style = ("✓", "$text-success") if entry.stays else ("→", "$text-warning")
            place = "stays on this computer" if entry.stays else visible(entry.where)
            yield Content.styled(visible(entry.what), "bold")
            yield Content.assemble((f"{mark} ", style), (place, style))
            yield Content.styled(f"  {visible(entry.when)}", "$text-muted")
            yield Content("")
        yield Content("Nothing else is sent: no telemetry, no look for updates, no account.")
        yield Content("")
        paths = self._engine.paths
        yield Content.styled("Kept here, for your account alone and not encrypted", "bold")
        if self._engine.settings.storage.url:
            yield Content(f"  what waits for the server in {visible(str(waiting_in(paths)))}")
        else:
            yield Content(f"  conversations and memories in {visible(str(paths.database_file))}")
        yield Content(f"  the log, without anybody's words, in {visible(str(paths.log_file))}")
        yield Content(f"  pages that research fetched in {visible(str(paths.cache_dir))}")
        yield Content("")
        yield Content.styled(
            "What you delete is gone for good after `scrubjay purge`, which also lists backups.",
            "$text-muted",
        )
