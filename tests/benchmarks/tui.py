"""What the transcript costs in an app without a terminal: processor time, waiting and memory.

`python -m tests.benchmarks.tui --json` fills a real database, then measures in fresh processes, in
turns so that other load meets all of them: opening a session until it is painted, the
peak memory of the process, one streamed word until it is painted, and the processor time of a whole
streamed answer. Figures are medians; times are seconds, memory is bytes. A figure that is promised
stands beside its limit. `naive` is the usual way in Textual: one Markdown widget a message in a
scrolling container, and for the streamed answer one with MarkdownStream in an otherwise empty app.
`tests.benchmarks.terminal` measures what a person waits for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, ComposeResult

from storage.records import Finish, Message, Role
from storage.store import Store
from tests.benchmarks.filling import ANSWER, SIZE, Talk, fill, limited, show

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tui.transcript import Transcript

TALKS = {number: Talk(number, number) for number in (10, 200, 1_000, 10_000, 100_000)}
"""Sessions by their number of messages."""

OPENED = (10, 10_000, 100_000)
"""Messages in the sessions that are compared."""

NAIVE = 200
"""Messages in the session that is opened as a widget a message."""

TURNS = 20
"""Each session is opened so often in one process, one after the other in turns."""

WORDS = 20
"""Words streamed one by one in each process."""

APART = 0.05
"""Seconds between two of them: none waits for the frame of the one before."""

RATE = 200
"""Tokens a second in a streamed answer, at four characters a token."""

STREAMED = {
    "1500": ("stream", 1_500),
    "naive_1500": ("naive_stream", 1_500),
    "400": ("stream", 400),
    "4000": ("stream", 4_000),
}
"""Answers that are streamed: how, and how many tokens."""

BEFORE = 1_000
"""Messages before the answer that is streamed."""

ONCE = frozenset({"4000", "naive_200"})
"""What takes too long for every round."""


def main() -> None:
    """Measure, and print what came of it; or, in a child process, one measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="fresh processes of each kind")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, path, number = options.child
        print(json.dumps(asyncio.run(CHILDREN[kind](Path(path), int(number)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.db"
        asyncio.run(fill(path, TALKS.values()))
        figures = measure(path, options.runs)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(path: Path, runs: int) -> dict[str, Any]:
    """The medians, and their ratios."""
    opened = medians([in_child("open", path, 0) for _ in range(runs)])
    alone = {f"{number}": ("alone", number) for number in OPENED}
    alone["naive_200"] = ("naive", NAIVE)
    rounds = [set(alone), *[set(alone) - ONCE] * (runs - 1)]
    used = {name: medians(found) for name, found in in_turns(alone, path, rounds).items()}
    rounds = [set(STREAMED), *[set(STREAMED) - ONCE] * (runs - 1)]
    cpu = {
        name: medians(found)["cpu_seconds_per_token"]
        for name, found in in_turns(STREAMED, path, rounds).items()
    }
    naive = used["naive_200"]
    return {
        "runs": runs,
        "terminal": f"{SIZE[0]}x{SIZE[1]}",
        "open_ratio_10000_to_10": limited(opened["10000"] / opened["10"], 1.5),
        "open_ratio_100000_to_10": limited(opened["100000"] / opened["10"], 2.0),
        "peak_ratio_10000_to_10": limited(peak_ratio(used, "10000"), 1.3),
        "peak_ratio_100000_to_10": limited(peak_ratio(used, "100000"), 1.3),
        "stream_cpu_ratio_to_naive": limited(cpu["1500"] / cpu["naive_1500"], 0.3),
        "stream_cpu_ratio_4000_to_400": limited(cpu["4000"] / cpu["400"], 1.5),
        "open_ratio_naive_200_to_100000": round(naive["open_seconds"] / opened["100000"], 1),
        "word_ratio_naive_200_to_100000": round(
            naive["word_seconds"] / used["100000"]["word_seconds"], 1
        ),
        **{f"open_seconds_{name}": round(seconds, 5) for name, seconds in opened.items()},
        "open_seconds_naive_200": round(naive["open_seconds"], 5),
        **{
            f"{figure}_{name}": round(values[figure], 5)
            for figure in ("word_seconds", "peak_bytes")
            for name, values in used.items()
        },
        **{f"cpu_seconds_per_token_{name}": round(value, 6) for name, value in cpu.items()},
    }


def peak_ratio(used: dict[str, dict[str, float]], name: str) -> float:
    """The peak memory with this session open, against the smallest."""
    return used[name]["peak_bytes"] / used["10"]["peak_bytes"]


def in_turns(
    kinds: dict[str, tuple[str, int]], path: Path, rounds: list[set[str]]
) -> dict[str, list[dict[str, float]]]:
    """What fresh processes measure, one of each kind after the other in every round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    for wanted in rounds:
        for name, (kind, number) in kinds.items():
            if name in wanted:
                found[name].append(in_child(kind, path, number))
    return found


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: statistics.median(run[name] for run in found) for name in found[0]}


def in_child(kind: str, path: Path, number: int) -> dict[str, float]:
    """One measurement in a fresh process."""
    argv = [sys.executable, "-m", "tests.benchmarks.tui", "--child", kind]
    output = subprocess.run(
        [*argv, str(path), str(number)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    result: dict[str, float] = json.loads(output)
    return result


class Ours(App[None]):
    """The transcript."""

    CSS = "Transcript { height: 1fr; }"

    def compose(self) -> ComposeResult:
        from tui.transcript import Transcript

        yield Transcript()


class Naive(App[None]):
    """A Markdown widget a message."""

    def compose(self) -> ComposeResult:
        from textual.containers import VerticalScroll

        yield VerticalScroll()


async def painted(app: App[None]) -> None:
    """Until everything that was asked for is on the screen."""
    done = asyncio.Event()
    app.call_after_refresh(done.set)
    await done.wait()


async def measure_opening(path: Path, number: int) -> dict[str, float]:
    """Opening sessions of each length, in turns; the first one also loads the code for it."""
    from tui.transcript import Transcript

    app = Ours()
    seconds: dict[int, list[float]] = {messages: [] for messages in OPENED}
    async with await Store.open(path) as store, app.run_test(size=SIZE):
        transcript = app.query_one(Transcript)
        await open_session(app, transcript, store, OPENED[0])
        for _ in range(TURNS):
            for messages in OPENED:
                seconds[messages].append(await open_session(app, transcript, store, messages))
    return {f"{messages}": statistics.median(found) for messages, found in seconds.items()}


async def open_session(app: App[None], transcript: Transcript, store: Store, number: int) -> float:
    """The seconds until a session of so many messages is painted."""
    session = TALKS[number].id
    await painted(app)
    begun = time.perf_counter()
    await transcript.open(await count(store, session), partial(store.messages.page, session))
    await painted(app)
    return time.perf_counter() - begun


def answering(
    app: App[None], transcript: Transcript, number: int
) -> Callable[[str], Awaitable[None]]:
    """Begin an answer; returns what more of it is given to."""
    answer = Message(
        id="f" * 32,
        session_id=TALKS[number].id,
        parent_id=None,
        position=number,
        role=Role.ASSISTANT,
        content="",
        finish=Finish.STREAMING,
        created_at=time.time(),
    )
    transcript.append(answer)

    async def feed(text: str) -> None:
        transcript.feed(answer.id, text)

    return feed


async def measure_alone(path: Path, number: int) -> dict[str, float]:
    """A session opened in a process of its own, and a word that streams into it."""
    from tui.transcript import Transcript

    app = Ours()
    async with await Store.open(path) as store, app.run_test(size=SIZE):
        transcript = app.query_one(Transcript)
        await open_session(app, transcript, store, number)
        return {
            "word_seconds": await seconds_of_a_word(app, answering(app, transcript, number)),
            "peak_bytes": peak_bytes(),
        }


async def measure_naive(path: Path, number: int) -> dict[str, float]:
    """The same with a Markdown widget a message."""
    from textual.containers import VerticalScroll
    from textual.widgets import Markdown

    session = TALKS[number].id
    app = Naive()
    async with await Store.open(path) as store, app.run_test(size=SIZE):
        scroll = app.query_one(VerticalScroll)
        await painted(app)
        begun = time.perf_counter()
        messages = await store.messages.page(session, 0, await count(store, session))
        await scroll.mount_all([Markdown(message.content) for message in messages])
        scroll.scroll_end(animate=False)
        await painted(app)
        opened = time.perf_counter() - begun

        answer = Markdown()
        await scroll.mount(answer)

        async def feed(text: str) -> None:
            await answer.append(text)
            scroll.scroll_end(animate=False)

        return {
            "open_seconds": opened,
            "word_seconds": await seconds_of_a_word(app, feed),
            "peak_bytes": peak_bytes(),
        }


async def count(store: Store, session_id: str) -> int:
    """Messages in the session, as the session list knows them."""
    session = await store.sessions.get(session_id)
    assert session is not None
    return session.message_count


async def seconds_of_a_word(app: App[None], feed: Callable[[str], Awaitable[None]]) -> float:
    """The median time from a word's arrival until it is painted."""
    await feed(ANSWER.format(n=0))
    await painted(app)
    seconds = []
    for n in range(WORDS):
        await asyncio.sleep(APART)
        begun = time.perf_counter()
        await feed(f"word{n} ")
        await painted(app)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


async def measure_stream(path: Path, tokens: int) -> dict[str, float]:
    """The processor time of an answer that streams into a session of a thousand messages."""
    from tui.transcript import Transcript

    app = Ours()
    async with await Store.open(path) as store, app.run_test(size=SIZE):
        transcript = app.query_one(Transcript)
        await open_session(app, transcript, store, BEFORE)
        return await stream(app, tokens, answering(app, transcript, BEFORE))


async def measure_naive_stream(path: Path, tokens: int) -> dict[str, float]:
    """The same with Textual's MarkdownStream, in an otherwise empty app."""
    from textual.containers import VerticalScroll
    from textual.widgets import Markdown

    app = Naive()
    async with app.run_test(size=SIZE):
        answer = Markdown()
        scroll = app.query_one(VerticalScroll)
        await scroll.mount(answer)
        scroll.anchor()
        writer = Markdown.get_stream(answer)
        try:
            return await stream(app, tokens, writer.write)
        finally:
            await writer.stop()


async def stream(
    app: App[None], tokens: int, feed: Callable[[str], Awaitable[None]]
) -> dict[str, float]:
    """Feed an answer token by token at an even rate."""
    text = "\n".join(ANSWER.format(n=n) for n in range(tokens // 80))[: tokens * 4]
    text = text.ljust(tokens * 4, ".")
    await feed("Well, ")
    await painted(app)
    begun, used = time.perf_counter(), time.process_time()
    for token in range(tokens):
        await feed(text[token * 4 : token * 4 + 4])
        if (wait := begun + (token + 1) / RATE - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
    await painted(app)
    return {"cpu_seconds_per_token": (time.process_time() - used) / tokens}


def peak_bytes() -> float:
    """The most memory this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


CHILDREN: dict[str, Callable[[Path, int], Any]] = {
    "open": measure_opening,
    "alone": measure_alone,
    "naive": measure_naive,
    "stream": measure_stream,
    "naive_stream": measure_naive_stream,
}


if __name__ == "__main__":
    main()
