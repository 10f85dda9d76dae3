"""One run: a warm-up, the schedule for some minutes, and what has to be true in the end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any
from unittest import mock

from engine.config import (
    EmbeddedSettings,
    MemorySettings,
    ModelSettings,
    OllamaSettings,
    Settings,
)
from engine.engine import Engine
from engine.llm import embedded_child
from engine.llm.embedded import Embedded
from tests.embedded_weights import paths_under
from tests.engine.research.server import serving
from tests.engine.research.support import research_at, threads
from tests.soak import checks
from tests.soak.faults import Faults
from tests.soak.ledger import Ledger
from tests.soak.parrot import REF, Parrot
from tests.soak.pilot import Pilot
from tests.soak.schedule import Step, schedule
from tests.soak.services import Services
from tests.tui.chatting import Chat
from tui.app import ScrubjayApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

WARM_SECONDS, WARM_STEPS = 60.0, 100
"""What the memory holds is compared with what it held after so long, and so much work."""

WARM_UP = [
    Step(number, act, fault, f"warm-up {number}")
    for number, (act, fault) in enumerate(
        [("send", ""), ("research", "frozen"), ("ask_embedded", "locked"), ("inspect", "")]
    )
]
"""Has everything imported."""


class Run:
    """One app, from its start to its end.

    Attributes:
        problems: What may not be and is.
        done: What the pilot did, and what came of it.
        faults: What failed.
        memory: In bytes, at the end of the first minute and of the last.
    """

    def __init__(self, folder: Path, models: Path, seed: int, *, as_a_program: bool) -> None:
        """Args:
        folder: What the app keeps lies there.
        models: The embedded model's weights.
        seed: Decides on everything.
        as_a_program: Whether this process may be stopped and make worker processes.
        """
        self.problems: list[str] = []
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.memory: list[int] = []
        self._paths = paths_under(folder, models_dir=models)
        self._seed = seed
        self._as_a_program = as_a_program

    async def run(self, steps: Iterable[Step], seconds: float | None = None) -> None:
        """Take the steps, all of them or for so long; then look at what is kept."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.problems.append(f"on the loop: {context}")
        )
        parrot, services, ledger = Parrot(self._seed), Services(self._seed), Ledger(self._seed)
        async with (
            serving(parrot, remembers=False) as server,
            serving(services, remembers=False) as sources,
        ):
            settings = Settings(
                model=ModelSettings(default=REF, max_tokens=16),
                ollama=OllamaSettings(host=server.url),
                embedded=EmbeddedSettings(context_length=512),
                memory=MemorySettings(recall=True),
                research=research_at(sources.url),
            )
            async with self._app(settings) as chat:
                store = chat.engine._store
                pilot = Pilot(chat, store, ledger)
                faults = Faults(
                    self._paths.database_file,
                    server,
                    sources,
                    chat.pilot,
                    freeze=self._as_a_program,
                )
                await self._take(steps, seconds, pilot, faults)
                await pilot.rest()
                self.memory.append(checks.memory())
                wrong, ends = await ledger.compare(store)
        self.problems += [*pilot.problems, *wrong, *await checks.left_tasks()]
        self.problems += checks.left_files(self._paths.data_dir)
        self.done["questions kept"] = sum(ledger.times.values())
        self.done["questions given back"] = len(ledger.times) - self.done["questions kept"]
        self.done.update({f"answers {end}": count for end, count in ends.items()})
        self.faults.update(faults.happened)
        self.faults.update({f"model {name}": n for name, n in parrot.faults.items()})
        self.faults.update({f"service {name}": n for name, n in services.faults.items()})

    async def _take(
        self, steps: Iterable[Step], seconds: float | None, pilot: Pilot, faults: Faults
    ) -> None:
        began = time.monotonic()
        for step in steps:
            now = time.monotonic()
            if seconds is not None and now > began + seconds:
                break
            if not self.memory and step.number >= WARM_STEPS and now > began + WARM_SECONDS:
                await faults.over()
                await pilot.rest()
                self.memory.append(checks.memory())
            if step.fault:
                await faults.begin(step.fault, step.bad_luck)
            await pilot.do(step)
            self.done["steps"] += 1
            self.done[step.act] += 1
        await faults.over()

    @asynccontextmanager
    async def _app(self, settings: Settings) -> AsyncIterator[Chat]:
        """The app on an in-memory terminal, with the real clients of both kinds of models."""
        embedded = Embedded(settings.embedded, self._paths, silence_seconds=3)
        engine = await Engine.open(settings, self._paths, backends=[embedded])
        # One that is stopped while it loads must be found out before the pilot loses patience.
        patience = mock.patch.object(embedded_child, "START_SECONDS", 20.0)
        patience.start()
        try:
            if not self._as_a_program:
                (await engine.research_desk()).make_workers = threads
            app = ScrubjayApp(engine)
            async with app.run_test(size=(120, 40), notifications=True) as pilot:
                chat = Chat(app, pilot, engine)
                await chat.ready()
                yield chat
        finally:
            await engine.close()
            patience.stop()


def soak(
    folder: Path,
    models: Path,
    seed: int,
    *,
    seconds: float | None = None,
    steps: Iterable[Step] | None = None,
    as_a_program: bool = False,
) -> dict[str, Any]:
    """Run the app by a seed's schedule, after a warm-up that has everything imported.

    Args:
        folder: An empty one.
        models: The embedded model's weights.
        seed: Decides on everything.
        seconds: How long; by default until all steps are taken.
        steps: By default the seed's, which have no end.
        as_a_program: Whether this process is nothing but the soak.

    Returns:
        What was done, which faults there were, and every problem.
    """
    warm_up = Run(folder / "warm-up", models, seed, as_a_program=as_a_program)
    run = Run(folder / "run", models, seed, as_a_program=as_a_program)
    resource_tracker.ensure_running()  # what multiprocessing needs stays as long as the process
    with (
        checks.overheard(run.problems),
        checks.own_temporary_folder(folder / "tmp", run.problems),
    ):
        asyncio.run(warm_up.run(WARM_UP))
        before = checks.Held.now()
        asyncio.run(run.run(schedule(seed) if steps is None else steps, seconds))
        run.problems += checks.Held.now().left_since(before)
    run.problems += checks.grown(run.memory)
    return {
        "seed": seed,
        "seconds": seconds,
        "done": dict(sorted(run.done.items())),
        "faults": dict(sorted(run.faults.items())),
        "memory_mb": [round(size / 1e6, 1) for size in run.memory],
        "memory_growth": round(run.memory[-1] / run.memory[0], 3) if run.memory[1:] else None,
        "problems": run.problems,
    }
