"""What it costs to decide what a model is shown, and to count tokens.

Packing a session of 10,000 messages with stored counts into a window, beside packing one of 10;
and counting a text, beside the bare tokenizer in the same run. Times are milliseconds.
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

from engine.context import tokens
from engine.context.budget import Material, pack
from storage.records import Role
from storage.store import Store
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from storage.records import Session

WORDS = "The jay hides an acorn under the oak and remembers where it was and when. "
WINDOW = 8192


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.add_argument("--runs", type=int, default=200, help="packings that are timed (200)")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_measure(options.runs)), indent=2))


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
