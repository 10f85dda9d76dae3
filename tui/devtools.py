"""For `make dev`: what is logged goes to Textual's console, too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App


def show_log(app: App[Any]) -> None:
    """Show what is logged from now on in the console that the app is connected to, if it is."""
    logging.getLogger().addHandler(_Console(app))


class _Console(logging.Handler):
    def __init__(self, app: App[Any]) -> None:
        super().__init__()
        self._app = app
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._app.log.logging(self.format(record))
