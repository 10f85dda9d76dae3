"""A PostgreSQL server beside an SQLite file: the same work, done by both in one run.

`python -m tests.benchmarks.storage --store postgres --json` runs it. The server is the tests' own,
on this machine, and forces each commit to the disk as SQLite does; `--url` names another.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.elsewhere import Elsewhere
from engine.events import ChangedElsewhere, Event, Events
from storage import copying
from storage.postgres.address import Address
from storage.records import Role
from storage.store import Store
from tests.benchmarks.storage import PER_SESSION, Words, make_messages, note, p95, timed
from tests.postgres_server import programs, running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable
    from pathlib import Path

MESSAGES = 100_000
"""By default; a million takes the server ten minutes to index."""

AT_ONCE = 200
HEARD_SECONDS = 0.5
"""Within this, what is said on one machine has to be seen on another."""


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Every figure, of both."""
    count = options.messages or MESSAGES
    with ExitStack() as stack:
        if options.url:
            address = Address.of(options.url)
        else:
            found = programs()
            if found is None:
                raise SystemExit("There is no PostgreSQL here; name one with --url.")
            address = stack.enter_context(running(found, durable=True)).database()
        path = folder / f"shared-{count}.db"
        if not path.exists():
            note(f"{count} messages in a file")
            await make_messages(path, Words(6), count, per_session=PER_SESSION)
        note("copying them to the server")
        async with await Store.open(path) as here, await Store.open(address) as there:
            began = time.perf_counter()
            await copying.copy(here, there)
            copied = count / (time.perf_counter() - began)
        figures: dict[str, dict[str, Any]] = {
            "copied and compared, messages/s": {"sqlite to postgres": copied}
        }
        for name, place in (("sqlite", path), ("postgres", address)):
            note(name)
            for what, value in (await of_store(place, options.runs)).items():
                figures.setdefault(what, {})[name] = value
    heard = figures["heard by another p95, ms"]
    heard["target"] = f"<= {HEARD_SECONDS * 1e3:g}"
    heard["met"] = heard["postgres"] <= HEARD_SECONDS * 1e3
    return figures


async def of_store(place: Path | Address, runs: int) -> dict[str, float]:
    """The figures of one store."""
    words, chance = Words(3), random.Random(7)
    figures: dict[str, float] = {}

    async def repeated(what: str, work: Callable[[], Awaitable[object]], times: int = runs) -> None:
        seconds = [await timed(work) for _ in range(times)]
        figures[f"{what} p50, ms"] = statistics.median(seconds) * 1e3
        figures[f"{what} p95, ms"] = p95(seconds) * 1e3

    async with await Store.open(place) as one, await Store.open(place) as other:
        session = await one.sessions.create()
        append = partial(one.messages.append, session.id, role=Role.USER, content=words.text(60))
        await repeated("append", append, 3 * runs)
        listed = await one.sessions.list(limit=1000)
        long = [found for found in listed if found.message_count >= PER_SESSION]

        async def page() -> None:
            start = chance.randrange(PER_SESSION - 50)
            await one.messages.page(chance.choice(long).id, start, start + 50)

        await repeated("page of 50", page, 3 * runs)
        texts = [
            message.content
            for found in chance.sample(long, min(40, len(long)))
            for message in await one.messages.tail(found.id, 5)
        ]

        async def search() -> None:
            said = chance.choice(texts).split()
            start = chance.randrange(len(said) - 1)
            length = chance.randint(2, max(2, len(said[start + 1])))
            await one.search.sessions(f"{said[start]} {said[start + 1][:length]}")

        async def recall() -> None:
            said = chance.choice(texts).split()
            await one.search.messages(" ".join(chance.sample(said, min(8, len(said)))))

        await repeated("prefix search", search)
        await repeated("recall by 8 words", recall)
        await repeated("first page of sessions", one.sessions.list)
        await repeated("figures", one.figures)
        figures["200 appends by two at once, s"] = await timed(partial(both, one, other))
        delays = await heard(one, other, runs)
        figures["heard by another p50, ms"] = statistics.median(delays) * 1e3
        figures["heard by another p95, ms"] = p95(delays) * 1e3
        figures["heard by another at most, ms"] = max(delays) * 1e3
    return figures


async def both(one: Store, other: Store) -> None:
    """Many appends to one session at once, by two programs."""
    session = await one.sessions.create()
    await asyncio.gather(
        *(
            (one, other)[number % 2].messages.append(
                session.id, role=Role.USER, content=f"{number}"
            )
            for number in range(AT_ONCE)
        )
    )
    kept = await other.messages.tail(session.id, 2 * AT_ONCE)
    assert {message.content for message in kept} == {str(number) for number in range(AT_ONCE)}
    assert len(kept) == AT_ONCE


async def heard(one: Store, other: Store, runs: int) -> list[float]:
    """Seconds from when a message is to be appended until another's screen is told of it."""
    session = await one.sessions.create()
    events = Events()
    seen: asyncio.Queue[str] = asyncio.Queue()

    def take(event: Event) -> None:
        if isinstance(event, ChangedElsewhere):
            for message in event.last:
                seen.put_nowait(message.content)

    events.subscribe(take)
    elsewhere = Elsewhere(other, events)
    elsewhere.begin()
    await asyncio.sleep(1)
    delays: list[float] = []
    for number in range(runs):
        began = time.perf_counter()
        await one.messages.append(session.id, role=Role.USER, content=f"said {number}")
        while await seen.get() != f"said {number}":
            pass
        delays.append(time.perf_counter() - began)
        await asyncio.sleep(random.Random(number).uniform(0.01, 0.1))
    await elsewhere.close()
    return delays
