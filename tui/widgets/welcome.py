"""An empty conversation: which model runs, how to get a better one, and where words are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from engine.events import Event, ModelChanged
from tui.bindings import key_of
from tui.harmless import visible
from tui.widgets.status_line import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.engine import Engine

BAR_CELLS = 40


class Welcome(Static):
    """Three lines for somebody who has just arrived."""

    DEFAULT_CSS = """
    Welcome {
        width: 1fr;
        height: 1fr;
        padding: 1 3;
        content-align: center middle;
        overflow: hidden;
    }
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._unsubscribe: Callable[[], None] | None = None

    def on_mount(self) -> None:
        """Follow the model."""
        self._unsubscribe = self._engine.events.subscribe(self._hear)

    def on_unmount(self) -> None:
        """Follow it no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def _hear(self, event: Event) -> None:
        if isinstance(event, ModelChanged):
            self.refresh()

    def render(self) -> Content:
        """The lines, for the present state of the model."""
        width = max(1, min(72, self.size.width))
        folder = _short_path(self._engine.paths.data_dir)
        kept = f"Every conversation stays on this computer, in {folder}."
        paragraphs = [
            Content.styled("Scrubjay", "bold $primary"),
            *self._model(),
            Content.styled(visible(kept), "$foreground 60%"),
        ]
        wrapped = [
            [line.center(width) for line in paragraph.wrap(width)] for paragraph in paragraphs
        ]
        height = self.size.height
        if sum(map(len, wrapped)) > height:
            del wrapped[0]  # the name is the first thing that can be spared
        between = [Content("")] if sum(map(len, wrapped)) + len(wrapped) - 1 <= height else []
        lines = [line for paragraph in wrapped for line in (*paragraph, *between)]
        return Content("\n").join(lines[: len(lines) - len(between)])

    def _model(self) -> list[Content]:
        """Which model answers, and what there is to know about it."""
        models = self._engine.models
        choose = key_of("chat.choose_model")
        if (info := models.current) is not None:
            where = {"embedded": "inside this program", "ollama": "on your Ollama server"}
            place = where.get(info.provider, "on your server")
            answers = Content.assemble((visible(info.name), "bold"), f" answers, {place}.")
            others = f"{choose} chooses another model."
            if info.provider == "embedded":
                others = f"{info.note} {choose} fetches others.".lstrip()
            return [answers, Content(visible(others))]
        state = models.state
        if state.state in ("fetching", "loading"):
            detail = Content(visible(f"{state.detail[:1].upper()}{state.detail[1:]}."))
            bar = progress(state.share or 0.0, min(BAR_CELLS, max(8, self.size.width - 12)))
            patience = "You can write already: what you send is answered as soon as it is here."
            return [detail, bar, Content(patience)]
        if state.state in ("failed", "missing"):
            return [
                Content.styled(visible(state.detail), "$text-error"),
                Content(
                    f"{choose} chooses a model, or fetches one; what you send meanwhile is kept."
                ),
            ]
        return [Content("Looking for a model…")]


def _short_path(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
