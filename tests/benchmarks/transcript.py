"""What a long conversation costs on the screen, against a short one and a widget a message.

`python -m tests.benchmarks.transcript --json` fills a real database, then measures in fresh
processes, in turns so that other load on the machine meets all of them: opening a session until it
is painted, one streamed word until it is painted, the peak memory of the process, and the
processor time of streaming a whole answer. Figures are medians; times are seconds, memory is bytes.
`naive` is the usual way in Textual, one Markdown widget a message in a scrolling container.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, ComposeResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from storage.records import Message
    from storage.store import Store

SIZE = (120, 40)
"""Cells of the terminal."""

SHORT, LONG, NAIVE = 10, 10_000, 200
"""Messages in the sessions."""

WORDS = 30
"""Words streamed one by one in each process."""

APART = 0.1
"""Seconds between two of them: none waits for the frame of the one before."""

RATE = 400
"""Tokens a second in the streamed answers, at four characters a token."""

TOKENS_SHORT, TOKENS_LONG = 400, 4_000
"""Tokens of the streamed answers."""

QUESTION = (
    "How do I read a file line by line in Python, and does it close by itself? (question {n})"
)

ANSWER = """\
Use a **context manager**, which closes the file whatever happens; iterating over it gives one
line after the other, so that even a huge file never has to fit into memory. Number {n}:

- `open()` gives the lines,
- `with` closes the file.

```python
with open("notes-{n}.txt", encoding="utf-8") as file:
    for line in file:
        print(line.rstrip())
```
"""


def main() -> None:
    """Measure, and print what came of it; or, in a child process, one measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="fresh processes of each kind")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, path, number = options.child
        print(json.dumps(asyncio.run(CHILDREN[kind](Path(path), int(number)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.db"
        asyncio.run(fill(path))
        figures = measure(path, options.runs)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:36} {value}")


def measure(path: Path, runs: int) -> dict[str, float | int | str]:
    """The medians, and their ratios."""
    kinds = {"short": ("ours", SHORT), "long": ("ours", LONG), "naive": ("naive", NAIVE)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    for _ in range(runs):
        for name, (kind, number) in kinds.items():
            found[name].append(in_child(kind, path, number))

    def median(name: str, figure: str) -> float:
        return statistics.median(run[figure] for run in found[name])

    figures: dict[str, float | int | str] = {
        "runs": runs,
        "terminal": f"{SIZE[0]}x{SIZE[1]}",
        "messages_short": SHORT,
        "messages_long": LONG,
        "messages_naive": NAIVE,
    }
    for figure, digits in (("open_seconds", 4), ("word_seconds", 4), ("peak_bytes", 0)):
        values = {name: median(name, figure) for name in kinds}
        for name, value in values.items():
            figures[f"{figure}_{name}"] = round(value, digits) if digits else int(value)
        stem = figure.rpartition("_")[0]
        figures[f"{stem}_ratio_long_to_short"] = round(values["long"] / values["short"], 2)
        figures[f"{stem}_ratio_naive_to_long"] = round(values["naive"] / values["long"], 1)

    streams = {
        "short": in_child("stream", path, TOKENS_SHORT),
        "long": in_child("stream", path, TOKENS_LONG),
        "naive": in_child("naive_stream", path, TOKENS_SHORT),
    }
    per_token = {name: run["cpu_seconds_per_token"] for name, run in streams.items()}
    figures["answer_tokens_short"] = TOKENS_SHORT
    figures["answer_tokens_long"] = TOKENS_LONG
    for name, value in per_token.items():
        figures[f"cpu_seconds_per_token_{name}"] = round(value, 6)
    figures["cpu_ratio_long_to_short"] = round(per_token["long"] / per_token["short"], 2)
    figures["cpu_ratio_short_to_naive"] = round(per_token["short"] / per_token["naive"], 3)
    return figures


def in_child(kind: str, path: Path, number: int) -> dict[str, float]:
    """One measurement in a fresh process."""
    argv = [sys.executable, "-m", "tests.benchmarks.transcript", "--child", kind]
    output = subprocess.run(
        [*argv, str(path), str(number)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    result: dict[str, float] = json.loads(output)
    return result


async def fill(path: Path) -> None:
    """Write the sessions that are opened; a session's id is its number of messages."""
    from storage.records import Role
    from storage.store import Store

    async with await Store.open(path) as store:
        for number in (SHORT, NAIVE, LONG):
            await store.sessions.create(session_id=f"{number:032x}", title=f"{number} messages")
            for n in range(number):
                role, text = (Role.ASSISTANT, ANSWER) if n % 2 else (Role.USER, QUESTION)
                await store.messages.append(f"{number:032x}", role=role, content=text.format(n=n))


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


async def measure_ours(path: Path, number: int) -> dict[str, float]:
    """Opening a session in the transcript, and a word that streams into it."""
    from storage.records import Finish, Message, Role
    from storage.store import Store
    from tui.transcript import Transcript

    session = f"{number:032x}"
    app = Ours()
    async with await Store.open(path) as store, app.run_test(size=SIZE):
        transcript = app.query_one(Transcript)
        await painted(app)

        async def load(start: int, stop: int) -> list[Message]:
            return await store.messages.page(session, start, stop)

        begun = time.perf_counter()
        await transcript.open(await count(store, session), load)
        await painted(app)
        opened = time.perf_counter() - begun

        answer = Message(
            id="f" * 32,
            session_id=session,
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

        return {
            "open_seconds": opened,
            "word_seconds": await seconds_of_a_word(app, feed),
            "peak_bytes": peak_bytes(),
        }


async def measure_naive(path: Path, number: int) -> dict[str, float]:
    """The same with a Markdown widget a message."""
    from textual.containers import VerticalScroll
    from textual.widgets import Markdown

    from storage.store import Store

    session = f"{number:032x}"
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
    """The processor time of a long answer that streams into a long session."""
    from storage.records import Finish, Message, Role
    from storage.store import Store
    from tui.transcript import Transcript

    session = f"{LONG:032x}"
    app = Ours()
    async with await Store.open(path) as store, app.run_test(size=SIZE):
        transcript = app.query_one(Transcript)

        async def load(start: int, stop: int) -> list[Message]:
            return await store.messages.page(session, start, stop)

        await transcript.open(LONG, load)
        await painted(app)
        answer = Message(
            id="f" * 32,
            session_id=session,
            parent_id=None,
            position=LONG,
            role=Role.ASSISTANT,
            content="",
            finish=Finish.STREAMING,
            created_at=time.time(),
        )
        transcript.append(answer)

        async def feed(text: str) -> None:
            transcript.feed(answer.id, text)

        return await stream(app, tokens, feed)


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
    "ours": measure_ours,
    "naive": measure_naive,
    "stream": measure_stream,
    "naive_stream": measure_naive_stream,
}


if __name__ == "__main__":
    main()
