"""An engine over a real store with a scripted model, and the means to watch it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from engine.config import MemorySettings, ModelSettings, Settings
from engine.engine import Engine
from engine.events import Event
from tests.embedded_weights import paths_under
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

E = TypeVar("E", bound=Event)

SETTINGS = Settings(
    model=ModelSettings(default="scripted:parrot"), memory=MemorySettings(recall=True)
)


@asynccontextmanager
async def running_engine(
    folder: Path, backend: ScriptedBackend | None = None, settings: Settings = SETTINGS
) -> AsyncIterator[Engine]:
    engine = await Engine.open(
        settings, paths_under(folder), backends=[backend or ScriptedBackend()]
    )
    try:
        yield engine
    finally:
        await engine.close()


class Watch:
    """The events of an engine, in order."""

    def __init__(self, engine: Engine) -> None:
        self.events: list[Event] = []
        self._more = asyncio.Event()
        engine.events.subscribe(self._take)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], fits: Callable[[E], bool] = lambda _: True) -> E:
        """The first event of that kind that fits, once it has come; 10 seconds at most."""
        async with asyncio.timeout(10):
            while True:
                for event in self.of(kind):
                    if fits(event):
                        return event
                self._more.clear()
                await self._more.wait()

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()
