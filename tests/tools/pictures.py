"""Draws the pictures of the README: the real app, a real engine, and what the real model answers.

    python -m tests.tools.pictures

Writes SVG files into assets/pictures. Nothing is touched up; another run may get other answers.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import ModelSettings, OllamaSettings, Settings, UISettings
from engine.engine import Engine
from engine.events import AnswerEnded, Event, ModelChanged
from tests.embedded_weights import models_folder, paths_under
from tests.homes import NO_SERVER
from tui.app import ScrubjayApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

    from engine.config import Paths

FOLDER = Path(__file__).parents[2] / "assets" / "pictures"
EARLIER = (
    "Say hello in three languages.",
    "Explain photosynthesis to a child.",
    "What is a list in Python?",
)
QUESTION = (
    "Answer from this text alone: Scrub jays hide food for the winter. A jay remembers what it hid,"
    " where it hid it and when. What does a jay remember?"
)
SECOND_QUESTION = "Show a Python function that adds two numbers, and say how it works."


def main() -> None:
    """Draw every picture."""
    models = models_folder()
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(_draw(paths_under(Path(home), models_dir=models)))


async def _draw(paths: Paths) -> None:
    async with _app(paths, "scrubjay-dark", (120, 34)) as (app, pilot):
        for question in EARLIER:
            await _ask(app, pilot, question)
            await pilot.press("ctrl+n")
        await _ask(app, pilot, QUESTION)
        await _ask(app, pilot, SECOND_QUESTION)
        await _keep(app, pilot, "conversation")
    async with _app(paths, "scrubjay-light", (150, 40)) as (app, pilot):
        await _ask(app, pilot, "What is a scrub jay?")
        await _keep(app, pilot, "inspector")


@asynccontextmanager
async def _app(
    paths: Paths, theme: str, size: tuple[int, int]
) -> AsyncIterator[tuple[ScrubjayApp, Pilot[None]]]:
    settings = Settings(
        model=ModelSettings(seed=1, temperature=0.0, max_tokens=200),
        ollama=OllamaSettings(host=NO_SERVER),
        ui=UISettings(theme=theme),
    )
    engine = await Engine.open(settings, paths)
    try:
        app = ScrubjayApp(engine)
        async with app.run_test(size=size) as pilot:
            await _until(engine, lambda event: isinstance(event, ModelChanged) and bool(event.info))
            yield app, pilot
    finally:
        await engine.close()


async def _ask(app: ScrubjayApp, pilot: Pilot[None], question: str) -> None:
    for character in question:
        await pilot.press({" ": "space"}.get(character, character))
    answered = asyncio.ensure_future(
        _until(app.engine, lambda event: isinstance(event, AnswerEnded))
    )
    await pilot.press("enter")
    await answered


async def _until(engine: Engine, wanted: Callable[[Event], bool]) -> None:
    """Wait for an event."""
    came = asyncio.Event()
    end = engine.events.subscribe(lambda event: came.set() if wanted(event) else None)
    try:
        async with asyncio.timeout(120):
            await came.wait()
    finally:
        end()


async def _keep(app: ScrubjayApp, pilot: Pilot[None], name: str) -> None:
    await pilot.pause(0.5)
    svg = app.export_screenshot(title="Scrubjay")
    # Textual's pictures ask a web site for their font; a reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
