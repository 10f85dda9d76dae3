"""What it costs to decide what a model is shown, to count tokens, and to have a long conversation.

Packing a session of 10,000 messages with stored counts into a window, beside packing one of 10;
counting a text, beside the bare tokenizer in the same run; and the time that a turn takes outside
the model, late in a conversation beside early in it. Times are milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.config import ContextSettings, ModelSettings, Settings
from engine.context import tokens
from engine.context.budget import Material, pack
from engine.engine import Engine
from storage.records import Role
from storage.store import Store
from tests.embedded_weights import paths_under
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Self

    from engine.llm.base import ChatRequest, Chunk
    from storage.records import Session

WORDS = "The jay hides an acorn under the oak and remembers where it was and when. "
WINDOW = 8192


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.add_argument("--runs", type=int, default=200, help="packings that are timed (200)")
    parser.add_argument("--turns", type=int, default=2000, help="turns that are had (2000)")
    options = parser.parse_args()
    found = asyncio.run(_measure(options.runs)) | asyncio.run(_converse(options.turns))
    print(json.dumps(found, indent=2))


async def _measure(runs: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        async with await Store.open(Path(folder, "scrubjay.db")) as store:
            short = await _session(store, 10)
            long = await _session(store, 10_000)
            await _packings(store, short, 5)  # the tokenizer loads its vocabulary
            long_times, short_times = [], []
            for _ in range(runs // 10):
                long_times += await _packings(store, long, 10)
                short_times += await _packings(store, short, 10)
    ours, bare = _throughput()
    return {
        "runs": len(long_times),
        "window": WINDOW,
        "pack_10000_ms_p50": _percentile(long_times, 50),
        "pack_10000_ms_p95": _percentile(long_times, 95),
        "pack_10_ms_p50": _percentile(short_times, 50),
        "count_characters_per_second": round(ours),
        "tiktoken_characters_per_second": round(bare),
        "count_ratio": round(ours / bare, 3),
    }


class _Timed(ScriptedBackend):
    """Notes how long it was asked for an answer; what the engine does meanwhile is not its time."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        start = time.perf_counter()
        chunks = [chunk async for chunk in super().chat(request)]
        self.requests.clear()
        self.seconds += time.perf_counter() - start
        for chunk in chunks:
            yield chunk


class _Talk:
    """A conversation of its own, in a database of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._backend = _Timed()
        self._turns = 0

    async def __aenter__(self) -> Self:
        settings = Settings(
            model=ModelSettings(default="scripted:parrot"),
            context=ContextSettings(summarize_after=20, keep_last=10),
        )
        paths = paths_under(self._folder)
        self._engine = await Engine.open(settings, paths, backends=[self._backend])
        self._session = await self._engine.library.create()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.close()

    async def turn(self) -> float:
        """Ask something; how long that took outside the model."""
        text = f"Remark number {self._turns}. " + "filler words " * (self._turns % 40)
        self._turns += 1
        self._backend.seconds, start = 0.0, time.perf_counter()
        await (await self._engine.send(self._session.id, text)).wait()
        return (time.perf_counter() - start - self._backend.seconds) * 1000


async def _converse(turns: int) -> dict[str, object]:
    """Compare the last 100 turns of so many with the 100 after the first 100.

    They are had in turns, in two conversations, so that what else the machine does hits both.
    """
    early, late = [], []
    with tempfile.TemporaryDirectory() as folder:
        async with _Talk(Path(folder, "short")) as short, _Talk(Path(folder, "long")) as long:
            for _ in range(100):
                await short.turn()
            for _ in range(turns - 100):
                await long.turn()
            for _ in range(100):
                early.append(await short.turn())
                late.append(await long.turn())
    return {
        "turns": turns,
        "turn_early_ms_p50": round(statistics.median(early), 2),
        "turn_late_ms_p50": round(statistics.median(late), 2),
        "turn_ratio": round(statistics.median(late) / statistics.median(early), 2),
    }


async def _session(store: Store, messages: int) -> Session:
    session = await store.sessions.create()
    count = tokens.count_text(WORDS * 4)
    for n in range(messages):
        role = Role.ASSISTANT if n % 2 else Role.USER
        await store.messages.append(session.id, role=role, content=WORDS * 4, token_count=count)
    return await store.sessions.get(session.id) or session


async def _packings(store: Store, session: Session, times: int) -> list[float]:
    info = msgspec.structs.replace(INFO, window=WINDOW)
    backend = ScriptedBackend()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        packed = await pack(
            Material(
                system="Be brief.",
                end=session.message_count - 1,
                read=lambda first, last: store.messages.page(session.id, first, last),
            ),
            backend=backend,
            info=info,
        )
        found.append((time.perf_counter() - start) * 1000)
        assert packed.tokens <= WINDOW
    return found


def _throughput() -> tuple[float, float]:
    """Characters a second: our counter's, and the bare tokenizer's on the same text."""
    text = WORDS * 4000
    encoding = tokens._encoding()
    ours, bare = [], []
    for _ in range(7):
        start = time.perf_counter()
        tokens.count_text(text)
        middle = time.perf_counter()
        len(encoding.encode_ordinary(text))
        ours.append(len(text) / (middle - start))
        bare.append(len(text) / (time.perf_counter() - middle))
    return statistics.median(ours), statistics.median(bare)


def _percentile(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100)[percent - 1], 3)


if __name__ == "__main__":
    main()
