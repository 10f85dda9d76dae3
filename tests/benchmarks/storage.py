"""How fast storage is, against SQLite used bare and used the naive way, in one run.

`python -m tests.benchmarks.storage --json` prints each figure beside its target. *Naive* is a
connection for each operation, a commit for each row, no index but the primary key, everything one
after the other. *Bare* is one open connection of the sqlite3 module with the same pragmas, called
directly. Runs alternate, so that other load on the machine meets both. The million messages take a
few minutes to make; `--folder` keeps them for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from storage.ids import new_id
from storage.records import Role
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")
Figures = dict[str, dict[str, Any]]

SYLLABLES = "ba ko ti mo ra se lu ne vi da po gu ci ha en or ist al un ex tra con pre ing er ly"
PER_SESSION = 200
"""Messages in each session of the many."""

LONG = 100_000
"""Messages in the one long session."""


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--store",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="postgres: a server beside a file, with the same work",
    )
    parser.add_argument("--url", help="of a server, instead of the tests' own")
    parser.add_argument("--messages", type=int, help="to search through; by default a million")
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--vectors", type=int, default=100_000, help="of 384 dimensions")
    parser.add_argument("--runs", type=int, default=100, help="of each operation")
    parser.add_argument("--folder", type=Path, help="keeps the databases, or has them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        print(asyncio.run(stream_growth(options.stream)))
        return
    measured = measure
    if options.store == "postgres":
        from tests.benchmarks import storage_shared  # it imports this module

        measured = storage_shared.measure
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        figures = asyncio.run(measured(options, options.folder))
    else:
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measured(options, Path(folder)))
    if options.json or options.store == "postgres":
        print(json.dumps(figures, indent=2))
    else:
        for name, figure in figures.items():
            print(f"{name:34} {figure['value']:>10.2f}   target {figure['target']}")


async def measure(options: argparse.Namespace, folder: Path) -> Figures:
    """Every figure."""
    figures: Figures = {}
    figures |= await against_naive(folder, options.episodes, options.runs // 10)
    figures |= await appending(folder, options.runs * 3)
    figures |= await paging(folder, options.runs * 3)
    figures |= await searching(folder, options.messages or 1_000_000, options.runs)
    figures |= await vectors(folder, options.vectors, options.runs)
    figures |= await loop_delay(folder)
    return figures


def figure(value: float, *, at_least: float | None = None, at_most: float | None = None) -> Any:
    """A figure with its target."""
    if at_least is not None:
        return {"value": value, "target": f">= {at_least:g}", "met": value >= at_least}
    assert at_most is not None
    return {"value": value, "target": f"<= {at_most:g}", "met": value <= at_most}


async def against_naive(folder: Path, count: int, runs: int) -> Figures:
    """Parallel searches, mixed reads and writes, a batch of updates, and a stream of everything."""
    note(f"{count} episodes")
    words = Words(2)
    path, naive_path = folder / "episodes.db", folder / "episodes-naive.db"
    if not naive_path.exists():
        await make_episodes(path, naive_path, words, count)
    naive = Naive(naive_path)
    async with await Store.open(path) as store:
        search, add = store.episodes.search, store.episodes.add
        # Always others: SQLite spares itself what changes nothing.
        scores = itertools.count(1)
        ids = [episode.id async for episode in aislice(store.episodes.stream(), 100)]

        async def searches() -> None:
            await asyncio.gather(*(search(query) for query in queries[:5]))

        async def mixed() -> None:
            await asyncio.gather(
                *(search(query) for query in queries[:6]), *(add(text) for text in texts)
            )

        async def updates() -> None:
            async with store.episodes.batch() as batch:
                for episode_id in ids:
                    batch.rate(episode_id, success=True, score=next(scores))

        def naive_searches() -> None:
            for query in queries[:5]:
                naive.search(query)

        def naive_mixed() -> None:
            for query in queries[:6]:
                naive.search(query)
            for text in texts:
                naive.add(text)

        def naive_updates() -> None:
            for episode_id in ids:
                naive.rate(episode_id, next(scores))

        seconds: dict[str, list[float]] = {}
        for _ in range(max(3, runs)):
            queries = [words.rare() + " " + words.rare() for _ in range(6)]
            texts = [words.text(20) for _ in range(3)]
            for name, ours, theirs in (
                ("searches", searches, naive_searches),
                ("mixed", mixed, naive_mixed),
                ("updates", updates, naive_updates),
            ):
                seconds.setdefault(name, []).append(await timed(ours))
                seconds.setdefault(f"naive {name}", []).append(timed_call(theirs))
    ratio = {
        name: statistics.median(seconds[f"naive {name}"]) / statistics.median(seconds[name])
        for name in ("searches", "mixed", "updates")
    }
    growth = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.storage", "--stream", str(path)],
        capture_output=True,
        check=True,
        text=True,
    )
    return {
        "five searches, times naive": figure(ratio["searches"], at_least=8),
        "six reads + three writes, times naive": figure(ratio["mixed"], at_least=8),
        "batch of 100 updates, times naive": figure(ratio["updates"], at_least=50),
        "streaming all episodes, MB more": figure(float(growth.stdout), at_most=10),
    }


async def stream_growth(path: Path) -> float:
    """By how many MB the process grows, at its largest, while every episode goes through."""
    import psutil

    process = psutil.Process()
    async with await Store.open(path) as store:
        await store.episodes.search(limit=1)
        before = process.memory_info().rss
        peak = before
        number = 0
        async for _ in store.episodes.stream():
            number += 1
            if number % 500 == 0:
                peak = max(peak, process.memory_info().rss)
    return (peak - before) / 1e6


async def appending(folder: Path, runs: int) -> Figures:
    """A message, committed, against a bare insert and commit of the same text."""
    note("appending")
    words = Words(3)
    path, bare_path = folder / "append.db", folder / "append-bare.db"
    async with await Store.open(path) as store:
        session = await store.sessions.create()
        with closing(sqlite3.connect(bare_path, isolation_level=None)) as bare:
            bare.execute("PRAGMA journal_mode = WAL")
            bare.execute("PRAGMA synchronous = FULL")
            bare.execute("CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY, content TEXT)")
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(runs):
                text = words.text(60)

                async def append(text: str = text) -> None:
                    await store.messages.append(session.id, role=Role.USER, content=text)

                def insert(text: str = text) -> None:
                    bare.execute("BEGIN IMMEDIATE")
                    bare.execute("INSERT INTO messages VALUES (?, ?)", (new_id(), text))
                    bare.execute("COMMIT")

                ours.append(await timed(append))
                theirs.append(timed_call(insert))
    return {
        "append p95, times a bare commit": figure(p95(ours) / p95(theirs), at_most=4),
        "append p50, ms": figure(statistics.median(ours) * 1e3, at_most=20),
    }


async def paging(folder: Path, runs: int) -> Figures:
    """A page of 50 messages of a long session, against the bare query."""
    note(f"a session of {LONG} messages")
    path = folder / "long.db"
    if not path.exists():
        await make_messages(path, Words(4), LONG, per_session=LONG)
    moments = random.Random(5)
    async with await Store.open(path) as store:
        [session] = await store.sessions.list(limit=1)
        with closing(sqlite3.connect(path, isolation_level=None)) as bare:
            sql = (
                "SELECT * FROM messages WHERE session_id = ? AND shown AND position BETWEEN ? AND ?"
            )
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(runs):
                start = moments.randrange(LONG - 50)

                async def page(start: int = start) -> None:
                    assert len(await store.messages.page(session.id, start, start + 50)) == 50

                def query(start: int = start) -> None:
                    bare.execute(sql, (session.id, start, start + 49)).fetchall()

                ours.append(await timed(page))
                theirs.append(timed_call(query))
    return {
        "page of 50 p95, ms over a bare query": figure((p95(ours) - p95(theirs)) * 1e3, at_most=5)
    }


async def searching(folder: Path, count: int, runs: int) -> Figures:
    """Two words, the last unfinished, through many messages."""
    note(f"{count} messages")
    path = folder / "many.db"
    if not path.exists():
        await make_messages(path, Words(6), count, per_session=PER_SESSION)
    moments = random.Random(7)
    async with await Store.open(path) as store:
        sessions = await store.sessions.list(limit=1000)
        texts = []
        for session in moments.sample(sessions, min(40, len(sessions))):
            texts += [message.content for message in await store.messages.tail(session.id, 5)]
        await store.search.sessions("warming up")
        found: list[float] = []
        recalled: list[float] = []
        for _ in range(runs):
            words = moments.choice(texts).split()
            place = moments.randrange(len(words) - 1)
            first, second = words[place], words[place + 1]
            typed = f"{first} {second[: max(2, moments.randint(2, len(second)))]}"
            found.append(await timed(partial(store.search.sessions, typed)))
            question = " ".join(moments.sample(words, min(8, len(words))))
            recalled.append(await timed(partial(store.search.messages, question)))
        figures = await timed(store.figures)
        first_page = await timed(store.sessions.list)
    return {
        "prefix search p50, ms": figure(statistics.median(found) * 1e3, at_most=50),
        "prefix search p95, ms": figure(p95(found) * 1e3, at_most=50),
        "recall by 8 words p95, ms": figure(p95(recalled) * 1e3, at_most=50),
        "figures, ms": figure(figures * 1e3, at_most=5),
        "first page of sessions, ms": figure(first_page * 1e3, at_most=10),
    }


async def vectors(folder: Path, count: int, runs: int) -> Figures:
    """The ten nearest of many vectors."""
    # The target is for one core, and numpy's libraries look here once.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    import numpy as np

    note(f"{count} vectors")
    chance = np.random.default_rng(8)
    path = folder / "vectors.db"
    if not path.exists():
        async with await Store.open(path) as store:
            index = await store.vectors("benchmark", 384)
            for start in range(0, count, 5_000):
                block = chance.normal(size=(min(5_000, count - start), 384)).astype(np.float32)
                await index.add({str(start + number): row for number, row in enumerate(block)})
                await index.flush()
    async with await Store.open(path) as store:
        began = time.perf_counter()
        index = await store.vectors("benchmark", 384)
        loading = time.perf_counter() - began
        seconds = []
        for _ in range(runs):
            wanted = chance.normal(size=384).astype(np.float32)
            seconds.append(await timed(partial(index.search, wanted)))
    return {
        "vector search p95, ms": figure(p95(seconds) * 1e3, at_most=25),
        "vectors loaded, s": figure(loading, at_most=5),
    }


async def loop_delay(folder: Path) -> Figures:
    """How late a 1 ms ticker is while 1,000 messages are written and 100 searches run."""
    note("the event loop's delay")
    words = Words(9)
    moments = random.Random(10)
    async with await Store.open(folder / "many.db") as store:
        session = await store.sessions.create()
        done = asyncio.Event()
        late: list[float] = []

        async def tick() -> None:
            while not done.is_set():
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                late.append(time.perf_counter() - began - 0.001)

        async def write() -> None:
            for _ in range(1_000):
                await store.messages.append(session.id, role=Role.USER, content=words.text(60))

        async def search() -> None:
            for _ in range(100):
                typed = f"{words.rare()} {words.rare()[: moments.randint(2, 4)]}"
                await store.search.sessions(typed)

        ticker = asyncio.create_task(tick())
        await asyncio.gather(write(), search())
        done.set()
        await ticker
        await store.sessions.delete(session.id)
        await store.sessions.purge_deleted(before=time.time() + 1)
    late.sort()
    return {"loop delay p99, ms": figure(late[int(len(late) * 0.99)] * 1e3, at_most=20)}


class Naive:
    """SQLite as it is often used: a connection for everything, LIKE, a commit a row."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def search(self, query: str) -> list[Any]:
        """The newest episodes that hold one of the words."""
        first, second = query.split()
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(
                "SELECT * FROM episodes WHERE text LIKE ? OR text LIKE ?"
                " ORDER BY created_at DESC LIMIT 10",
                (f"%{first}%", f"%{second}%"),
            ).fetchall()

    def add(self, text: str) -> None:
        """Insert one episode."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(
                "INSERT INTO episodes VALUES (?, ?, 0, ?)", (new_id(), text, time.time())
            )
            connection.commit()

    def rate(self, episode_id: str, score: float) -> None:
        """Update one episode."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("UPDATE episodes SET score = ? WHERE id = ?", (score, episode_id))
            connection.commit()


async def make_episodes(path: Path, naive_path: Path, words: Words, count: int) -> None:
    """The same episodes in both databases."""
    with closing(sqlite3.connect(naive_path)) as naive:
        naive.execute(
            "CREATE TABLE episodes (id TEXT PRIMARY KEY, text TEXT, score REAL, created_at REAL)"
        )
        async with await Store.open(path) as store:
            for _ in range(0, count, 5_000):
                async with store.episodes.batch() as batch:
                    added = [batch.add(words.text(20)) for _ in range(min(5_000, count))]
                naive.executemany(
                    "INSERT INTO episodes VALUES (?, ?, ?, ?)",
                    [(one.id, one.text, one.score, one.created_at) for one in added],
                )
        naive.commit()


async def make_messages(path: Path, words: Words, count: int, *, per_session: int) -> None:
    """Sessions of so many messages, in one transaction each: for the measured ones to come to."""
    async with await Store.open(path):
        pass
    moments = random.Random(11)
    when = time.time() - count
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        for _ in range(count // per_session):
            session_id = new_id()
            parent: str | None = None
            rows = []
            for position in range(per_session):
                when += 1
                message_id = new_id()
                role = "user" if position % 2 == 0 else "assistant"
                text = words.text(moments.randint(5, 55))
                rows.append((message_id, session_id, parent, position, role, text, when, when))
                parent = message_id
            connection.execute("BEGIN")
            connection.execute(
                "INSERT INTO sessions (id, title, title_origin, created_at, updated_at)"
                " VALUES (?, ?, 'model', ?, ?)",
                (session_id, words.text(5), when, when),
            )
            connection.executemany(
                "INSERT INTO messages (id, session_id, parent_id, position, role, content,"
                " thinking, finish, created_at, finished_at)"
                " VALUES (?, ?, ?, ?, ?, ?, '', 'complete', ?, ?)",
                rows,
            )
            connection.execute("COMMIT")


class Words:
    """50,000 made-up words, used as often as Zipf's law has it."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        syllables = SYLLABLES.split()
        made = random.Random(1)
        words: dict[str, None] = {}
        while len(words) < 50_000:
            words["".join(made.choices(syllables, k=made.randint(1, 4)))] = None
        self._words = list(words)
        self._weights = list(
            itertools.accumulate(1 / (rank + 3) for rank in range(len(self._words)))
        )

    def text(self, count: int) -> str:
        """So many words."""
        return " ".join(self._chance.choices(self._words, cum_weights=self._weights, k=count))

    def rare(self) -> str:
        """A word that is not among the most common."""
        return self._chance.choice(self._words[200:5_000])


async def aislice(items: AsyncIterator[T], count: int) -> AsyncIterator[T]:
    """The first so many."""
    async for item in items:
        yield item
        count -= 1
        if not count:
            return


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def timed_call(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def p95(seconds: list[float]) -> float:
    """The time that 95 % keep."""
    return statistics.quantiles(seconds, n=20)[-1]


def note(text: str) -> None:
    """Say on stderr what is being made and measured."""
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
