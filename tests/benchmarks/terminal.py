"""What a person waits for, in a real terminal: keys go in, and what comes out is watched.

`python -m tests.benchmarks.terminal --json` measures the start against a bare Textual app with one
TextArea, on a database of a million messages; keystrokes against the same app, in an empty chat and
in a session of 10,000 messages; opening sessions with the mouse; typing while an answer streams;
how soon an answer's first text is on the screen, and the whole of one that comes at once; and what
the program uses while nobody does anything. Runs alternate, so that other load on the machine meets
all of them. Times are seconds from a key, or from when the model said something, until the screen's
bytes hold what must be there; medians unless they are named p95. A figure that is promised stands
beside its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.benchmarks.filling import ANSWER, SIZE, Talk, fill, limited, show
from tests.homes import environment
from tests.scripted import INFO, ScriptedBackend
from tests.terminal.screen import PATIENCE, Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from engine.llm.base import ChatRequest, Chunk

ROOT = Path(__file__).parents[2]

BARE = """
from textual.app import App
from textual.widgets import TextArea

class Bare(App):
    def compose(self):
        yield TextArea()

Bare().run()
"""

SCRUBJAY = "import sys; from tui.cli import main; sys.exit(main())"

PROMPT = "Ask anything"

LETTERS = "".join(map(chr, range(0x430, 0x480)))
"""What is typed: no app shows such letters by itself, so one that appears is the echo."""

BACKSPACE = "\x7f"

TYPE_EVERY = 0.01
"""Seconds between two keys at the start: the first ones may come before anything listens."""

KEYS = 200
"""Keys typed into each app."""

APART = 0.06
"""Seconds between two keys: a fast typist."""

REST_AFTER, REST = 20, 0.35
"""After so many keys the typist rests for so many seconds: enough for what waits for a rest."""

OPENED = (10, 10_000, 100_000)
"""Messages in the sessions that are opened."""

TALKS = [Talk(n, messages) for n, messages in enumerate((10, 1_000, 10_000, 100_000), start=1)]

MANY = 100_000
"""Sessions of ten messages each in the database that the start is measured on."""

TOKENS, RATE = 1_500, 200
"""Tokens of the answer that streams, of four characters each, and how many come in a second."""

IDLE = 15.0
"""Seconds without a key."""

BUSY = 20.0
"""Per cent of a processor: whoever uses more is not at rest, but makes the index for recall."""

MEGABYTE = 1024 * 1024


def main() -> None:
    """Measure, and print what came of it; or be the app over a scripted model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9, help="of each kind")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        asyncio.run(run_scripted(options.child))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.runs)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


def measure(folder: Path, runs: int) -> dict[str, Any]:
    """Every figure."""
    scripted = folder / "scripted"
    (scripted / "data").mkdir(parents=True)
    asyncio.run(fill(scripted / "data" / "scrubjay.db", TALKS))
    return {
        "runs": runs,
        "terminal": f"{SIZE[0]}x{SIZE[1]}",
        **starting(folder / "home", runs),
        **typing(scripted),
        **opening(scripted, runs),
        **answering(scripted, runs),
    }


class Watched(Terminal):
    """A terminal whose output is watched as it comes, byte for byte."""

    def __init__(self, *argv: str, home: Path, data: Path | None = None) -> None:
        # No model server: what is measured is the screen.
        chosen = {"SCRUBJAY_MODEL_DEFAULT": "ollama:none", "PYTHONPATH": str(ROOT)}
        if data is not None:
            chosen["SCRUBJAY_DATA_DIR"] = str(data)
        super().__init__(
            [sys.executable, *argv],
            env=environment(home, **chosen),
            cwd=ROOT,
            columns=SIZE[0],
            lines=SIZE[1],
        )
        # Or the terminal itself would echo what is typed before the app reads it.
        attributes = termios.tcgetattr(self._terminal)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self._terminal, termios.TCSANOW, attributes)

    def seconds_to(self, keys: str, shown: str) -> float:
        """From pressing keys until `shown` comes out."""
        begun = time.perf_counter()
        self.keys(keys)
        self.watch_for(shown)
        return time.perf_counter() - begun

    def watch_for(self, shown: str) -> None:
        """Read on until `shown` comes out.

        Raises:
            TimeoutError: It does not.
        """
        wanted = shown.encode()
        seen = b""
        deadline = time.monotonic() + PATIENCE
        while wanted not in seen:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{shown} did not come; the screen says\n{self.text}")
            if select.select([self._terminal], [], [], 0.1)[0]:
                piece = os.read(self._terminal, 65536)
                self._stream.feed(piece)
                seen = seen[-1000:] + piece

    def seconds_to_echo(self, begun: float) -> float:
        """From `begun` until something that was typed comes out, typing on and on."""
        typed = LETTERS[0]
        seen = b""
        while time.perf_counter() - begun < PATIENCE:
            self.keys(typed)
            next_key = time.perf_counter() + TYPE_EVERY
            while (wait := next_key - time.perf_counter()) > 0:
                if select.select([self._terminal], [], [], wait)[0]:
                    seen += os.read(self._terminal, 65536)
                    if typed.encode() in seen:
                        return time.perf_counter() - begun
        raise TimeoutError(f"nothing was echoed; the screen says {seen[-2000:]!r}")

    def rest(self, seconds: float) -> None:
        """Let the program do what it does by itself, and read what it puts out."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(min(left, 0.1))

    def megabytes(self) -> float:
        """The memory that the program has."""
        return float(psutil.Process(self.pid).memory_info().rss) / MEGABYTE

    def peak_megabytes(self) -> float:
        """The most memory that the program has had; what it has now where no system tells."""
        status = Path(f"/proc/{self.pid}/status")
        if status.exists() and (peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
            return int(peak[1]) * 1024 / MEGABYTE
        return self.megabytes()

    def percent(self, seconds: float) -> float:
        """The share of a processor that the program uses while nobody does anything."""
        before, begun = self.processor_seconds(), time.perf_counter()
        self.rest(seconds)
        used = self.processor_seconds() - before
        return used / (time.perf_counter() - begun) * 100

    def processor_seconds(self) -> float:
        """What the program has used of a processor."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)


def bare(home: Path) -> Watched:
    """The bare app."""
    return Watched("-c", BARE, home=home)


def scripted_app(folder: Path) -> Watched:
    """Scrubjay over a scripted model, with the sessions in `folder`."""
    return Watched("-m", "tests.benchmarks.terminal", "--child", str(folder), home=folder / "home")


def starting(home: Path, runs: int) -> dict[str, Any]:
    """From exec to a prompt that echoes, the memory that takes, and what is used at rest.

    At rest is when the index for recall is made, in the background, of a million messages; at the
    next start it is there.
    """
    data = home / "many"
    data.mkdir(parents=True)
    asyncio.run(fill(data / "scrubjay.db", (Talk(n, 10, short=True) for n in range(MANY))))
    commands: dict[str, Callable[[], Watched]] = {
        "bare": lambda: bare(home),
        "scrubjay": lambda: Watched("-c", SCRUBJAY, home=home, data=data),
    }
    python = sys.executable
    ended = {
        "import_textual": [python, "-c", "import textual.app"],
        "help": [python, "-c", SCRUBJAY, "--help"],
        "version": [python, "-c", SCRUBJAY, "--version"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*commands, *ended)}
    peaks: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, start in commands.items():
            begun = time.perf_counter()
            with start() as terminal:
                echoed = terminal.seconds_to_echo(begun)
                if turn:  # the first one writes the byte code
                    seconds[name].append(echoed)
                    peaks[name].append(terminal.peak_megabytes())
        for name, argv in ended.items():
            begun = time.perf_counter()
            subprocess.run(argv, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - begun)
    first, again = (resting(commands["scrubjay"]) for _ in range(2))
    median = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "echo_ratio_to_bare": limited(median["scrubjay"] / median["bare"], 1.6),
        "peak_megabytes_at_echo": limited(statistics.median(peaks["scrubjay"]), 60, 1),
        "idle_percent": limited(max(first.pop("idle"), again.pop("idle")), 0.5),
        **{f"{name}_first": figure for name, figure in first.items()},
        **{f"{name}_again": figure for name, figure in again.items()},
        "peak_megabytes_bare": round(statistics.median(peaks["bare"]), 1),
        **{f"seconds_{name}": round(value, 4) for name, value in median.items()},
        "help_ratio": round(median["help"] / median["import_textual"], 2),
        "version_ratio": round(median["version"] / median["import_textual"], 2),
    }


def resting(start: Callable[[], Watched]) -> dict[str, float]:
    """What the program uses until it is at rest, typed into meanwhile, and then."""
    with start() as terminal:
        terminal.wait_for(PROMPT)
        begun = time.perf_counter()
        terminal.rest(1)
        typed = []
        for letter in LETTERS:
            terminal.rest(APART)
            typed.append(terminal.seconds_to(letter, letter))
        terminal.keys(BACKSPACE * len(typed))  # or it would be a draft at the next start
        while terminal.percent(2.0) > BUSY:
            pass
        return {
            "seconds_until_at_rest": round(time.perf_counter() - begun, 1),
            "processor_seconds_until_at_rest": round(terminal.processor_seconds(), 1),
            "key_p95_until_at_rest": round(p95(typed), 5),
            "idle": terminal.percent(IDLE),
            "megabytes_at_rest": round(terminal.megabytes(), 1),
            "peak_megabytes_at_rest": round(terminal.peak_megabytes(), 1),
        }


def typing(folder: Path) -> dict[str, Any]:
    """From a key to its echo, in each app in turns."""
    with ExitStack() as stack:
        apps = {
            "bare": stack.enter_context(bare(folder / "home")),
            "empty": stack.enter_context(scripted_app(folder)),
            "10000": stack.enter_context(scripted_app(folder)),
        }
        apps["bare"].seconds_to_echo(time.perf_counter())
        apps["empty"].wait_for(PROMPT)
        open_talk(apps["10000"], 10_000)
        for app in apps.values():
            app.rest(1)
        seconds: dict[str, list[float]] = {name: [] for name in apps}
        for key in range(KEYS):
            letter = LETTERS[1 + key % (len(LETTERS) - 1)]
            for name, app in apps.items():
                time.sleep(APART / len(apps))
                seconds[name].append(app.seconds_to(letter, letter))
            if key % REST_AFTER == REST_AFTER - 1:
                time.sleep(REST)
    slow = {name: p95(found) for name, found in seconds.items()}
    return {
        "key_p95_ratio_empty_to_bare": limited(slow["empty"] / slow["bare"], 1.5),
        "key_p95_ratio_10000_to_bare": limited(slow["10000"] / slow["bare"], 1.5),
        **{f"key_p95_{name}": round(value, 5) for name, value in slow.items()},
        **{f"key_seconds_{name}": round(statistics.median(f), 5) for name, f in seconds.items()},
    }


def opening(folder: Path, runs: int) -> dict[str, Any]:
    """From a click on a session to its last words, the sessions in turns."""
    seconds: dict[int, list[float]] = {messages: [] for messages in OPENED}
    with scripted_app(folder) as app:
        app.wait_for(PROMPT)
        for turn in range(runs + 1):
            for messages in OPENED:
                app.rest(0.3)
                taken = open_talk(app, messages)
                if turn:  # the first one loads the code for it
                    seconds[messages].append(taken)
    median = {messages: statistics.median(found) for messages, found in seconds.items()}
    return {
        "click_ratio_10000_to_10": limited(median[10_000] / median[10], 1.5),
        "click_ratio_100000_to_10": limited(median[100_000] / median[10], 2.0),
        **{f"click_seconds_{messages}": round(value, 4) for messages, value in median.items()},
    }


def open_talk(app: Watched, messages: int) -> float:
    """Click on a session. Returns the seconds until its last words are shown."""
    talk = Talk(0, messages)
    title = re.compile(rf"{talk.title}\b")
    shown = app.wait_for(lambda text: any(map(title.search, sidebar(text))))
    row = next(row for row, line in enumerate(sidebar(shown)) if title.search(line))
    begun = time.perf_counter()
    app.click(row, 3)
    app.watch_for(talk.end)
    return time.perf_counter() - begun


def sidebar(text: str) -> list[str]:
    """The rows of the session list."""
    return [line[:30] for line in text.splitlines()]


def answering(folder: Path, runs: int) -> dict[str, Any]:
    """Typing while an answer streams, and how soon answers are on the screen."""
    typed = []
    with scripted_app(folder) as app:
        open_talk(app, 1_000)
        app.rest(1)
        first = [answered(app, folder, f"first {run}", f"λ{run}λ") for run in range(runs)]
        whole = [answered(app, folder, f"whole {run}", f"ω{run}ω") for run in range(runs)]
        for run in range(runs, runs + 2):
            app.keys(f"stream {run}\r")
            app.watch_for(f"λ{run}λ")
            begun = time.perf_counter()
            for letter in itertools.cycle(LETTERS[1:]):
                typed.append(app.seconds_to(letter, letter))
                app.rest(APART)
                if time.perf_counter() - begun > TOKENS / RATE - 1:
                    break
            app.wait_for(f"ω{run}ω")
            app.rest(1)
            app.keys(BACKSPACE * len(typed))
            app.rest(1)
    return {
        "key_p95_while_streaming": limited(p95(typed), 0.020, 5),
        "key_seconds_while_streaming": round(statistics.median(typed), 5),
        "first_text_seconds": limited(statistics.median(first), 0.050, 4),
        "whole_answer_seconds": limited(statistics.median(whole), 0.2, 4),
    }


def answered(app: Watched, folder: Path, question: str, shown: str) -> float:
    """The seconds from when the model said something until `shown` is on the screen."""
    app.keys(f"{question}\r")
    app.watch_for(shown)
    seen = time.monotonic()
    app.rest(0.5)
    return seen - float((folder / "said").read_text())


def p95(values: list[float]) -> float:
    """What 95 % of the values are not above."""
    return sorted(values)[math.ceil(len(values) * 0.95) - 1]


class PacedBackend(ScriptedBackend):
    """Says what the question asks for, when it asks for it, and notes when that was."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._said = folder / "said"

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """`first N`: a word; `whole`: a long answer at once; `stream`: the same by and by."""
        from engine.llm.base import Chunk

        kind, _, number = request.messages[-1].content.partition(" ")
        await asyncio.sleep(0.3)  # until the screen rests
        begun = time.monotonic()
        self._said.write_text(f"{begun}")
        if kind == "stream":
            for n, token in enumerate(tokens(number)):
                yield Chunk(text=token)
                if (wait := begun + (n + 1) / RATE - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
        else:
            yield Chunk(text="".join(tokens(number)) if kind == "whole" else f"λ{number}λ")
            await asyncio.sleep(0.3)
        yield Chunk(done=True, done_reason="stop")


def tokens(number: str) -> Iterator[str]:
    """A long answer in Markdown; the number is in its first and its last word."""
    text = "\n".join(ANSWER.format(n=n) for n in range(TOKENS // 80))[: TOKENS * 4]
    text = f"λ{number}λ {text.ljust(TOKENS * 4, '.')}\n\nω{number}ω"
    return (text[at : at + 4] for at in range(0, len(text), 4))


async def run_scripted(folder: Path) -> None:
    """The app over a scripted model."""
    import msgspec

    from engine.config import ContextSettings, MemorySettings, ModelSettings, Settings
    from engine.engine import Engine
    from tests.embedded_weights import paths_under
    from tui.app import ScrubjayApp

    backend = PacedBackend(folder)
    backend.info = msgspec.structs.replace(INFO, context_length=8192, window=8192)
    settings = Settings(
        model=ModelSettings(default="scripted:parrot"),
        context=ContextSettings(summarize_after=0),
        memory=MemorySettings(recall=False, extract=False),
    )
    engine = await Engine.open(settings, paths_under(folder), backends=[backend])
    try:
        await ScrubjayApp(engine).run_async()
    finally:
        await engine.close()


if __name__ == "__main__":
    main()
