"""The whole app under a pilot that does everything at random while models, servers and locks fail.

    python -m tests.soak --minutes 10 --seed 7

The pilot types, sends, stops, edits, branches, searches, researches, deletes, opens panes and
resizes. A model of its own fails, hangs, dawdles and says hostile things; the services that are
asked for research do the same, and another process locks the database now and then. In the end
nothing may be lost, doubled or left behind. The seed decides on what is done and on every fault,
in order; how they meet in time is the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import random
import re
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from engine.config import MemorySettings, ModelSettings, Settings
from engine.llm.base import Chunk, ModelError
from storage.records import Finish, Role, ToolCall, Usage
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import research_at, threads
from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import chatting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.llm.base import ChatRequest
    from storage.records import Message
    from storage.store import Store
    from tests.engine.research.server import Reply, Request
    from tests.tui.chatting import Chat

TOKEN = re.compile(r"q\d{5}x")
"""What marks a question of the pilot, and by which it is found again."""

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m [bold]no[/] \u202eesrever\u202c " + "e" + "\u0301" * 60
WORDS = ("a", "jay", "hides", "acorns", "in", "autumn", "and", "finds", "them", "in", "spring")
ANSWERS = (
    *("plain", "plain", "plain", "long", "slow", "hang", "refused"),
    *("broken", "hostile", "thinks", "calls", "silent"),
)
REPLIES = ("right", "right", "right", "error", "garbage", "hang", "cut", "drip")
SIZES = ((120, 40), (80, 24), (200, 60), (40, 12), (100, 30))
SETTLED_SECONDS = 90.0
"""For so long the app may take to be idle again, on a busy machine."""

GROWTH = 1.2
WARM_SECONDS = 60.0
"""What the memory holds is compared with what it held after so long."""


class Wild(ScriptedBackend):
    """A model that answers each question in a way that the seed decides."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.info = msgspec.structs.replace(
            INFO, parameters="8B", window=8192, context_length=8192,
            capabilities=frozenset({"chat", "tools"}),
        )  # fmt: skip
        self.faults: Counter[str] = Counter()
        self._seed = seed
        self._asked: Counter[str] = Counter()

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        tokens = TOKEN.findall(request.messages[-1].content)
        about = tokens[-1] if tokens and request.schema is None else "beside"
        self._asked[about] += 1
        chance = random.Random(f"{self._seed} {about} {self._asked[about]}")
        kind = chance.choice(ANSWERS)
        if request.schema is not None:
            kind = chance.choice(["garbage", "empty", "refused"])
        self.faults[kind] += 1
        said = 0
        match kind:
            case "refused":
                raise ModelError("unreachable", "The parrot is away.", "Wait for it.")
            case "garbage":
                yield Chunk(text='{"facts": [')
            case "empty":
                yield Chunk(text="{}")
            case "hang":
                yield Chunk(text="Well, ")
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                raise ModelError("timeout", "The parrot fell asleep.", "Ask again.")
            case "silent":
                pass
            case "thinks":
                yield Chunk(thinking="Acorns, I think. " * 20)
                yield Chunk(text="Acorns.")
            case "calls" if request.tools and self._asked[about] < 3:
                calls = (
                    ToolCall(id=f"{about}-1", name="calculator", arguments={"expression": "6 * 7"}),
                    ToolCall(id=f"{about}-2", name="nonsense", arguments={"x": HOSTILE}),
                )
                yield Chunk(tool_calls=calls[: chance.choice([1, 2])])
            case _:
                for number in range({"long": 1500, "slow": 40}.get(kind, 25)):
                    said = number
                    yield Chunk(text=HOSTILE if kind == "hostile" else f"{chance.choice(WORDS)} ")
                    await asyncio.sleep(0.03 if kind == "slow" else 0)
                    if kind == "broken" and number == 12:
                        raise ModelError("disconnected", "The parrot flew off.", "Ask again.")
                    if kind == "hostile" and number == 6:
                        break
        usage = Usage(prompt_tokens=10, eval_tokens=said, eval_seconds=0.5, prompt_seconds=0.1)
        yield Chunk(done=True, done_reason="stop", usage=usage)


class Services:
    """The services that research asks; each answer is right, wrong, or none."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"{seed} services")
        self.faults: Counter[str] = Counter()

    async def __call__(self, request: Request, reply: Reply) -> None:
        kind = self._chance.choice(REPLIES)
        self.faults[kind] += 1
        match kind:
            case "right":
                await formats.services(request, reply)
            case "error":
                await reply.whole("", status=500)
            case "garbage":
                await reply.whole(HOSTILE * 50)
            case "hang":
                await asyncio.Event().wait()
            case "cut":
                await reply.head(Content_Type="application/json", Content_Length=5000)
                await reply.raw(b'{"query": {')
            case "drip":
                await reply.head(Content_Type="application/json")
                while True:
                    await reply.raw(b" ")
                    await asyncio.sleep(0.2)


class Soak:
    """A pilot with a ledger of its own."""

    def __init__(self, folder: Path, seconds: float, seed: int, *, processes: bool) -> None:
        """With no seconds, a question and a research are all that is done."""
        self.folder = folder
        self.seconds = seconds
        self.seed = seed
        self.processes = processes
        self.problems: list[str] = []
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.ledger: dict[str, int] = {}
        """The questions that were sent, and how often each has to be found: 0 if it came back."""

        self.memory: list[int] = []
        """After the first minute and at the end, in bytes."""

        self._chance = random.Random(f"{seed} pilot")
        self._store: Store
        self._chat: Chat

    async def run(self) -> None:
        """Do what comes to mind until the time is over; then look at what is kept."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.problems.append(f"on the loop: {context}")
        )
        backend, services = Wild(self.seed), Services(self.seed)
        async with serving(services) as server:
            settings = Settings(
                model=ModelSettings(default="scripted:parrot"),
                memory=MemorySettings(recall=True),
                research=research_at(server.url),
            )
            async with chatting(self.folder, backend, chosen=settings) as chat:
                self._chat, self._store = chat, chat.engine._store
                if not self.processes:
                    (await chat.engine.research_desk()).make_workers = threads
                await chat.ready()
                await self._for_a_while()
                await self._settle()
                await self._look_at_the_ledger()
                self.memory.append(_memory())
        self.faults.update(backend.faults)
        self.faults.update({f"service {name}": n for name, n in services.faults.items()})
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wait([task]), 5)
        self.problems += [f"a task is left: {task}" for task in left if not task.done()]

    async def _for_a_while(self) -> None:
        acts = [
            *([self.send] * 6), *([self.stop] * 2), *([self.edit] * 2), *([self.branch] * 2),
            self.retry, self.research, self.search, self.other_session, self.new, self.inspect,
            self.resize, self.scroll, self.dialogs, self.delete, self.find, self.take_back,
            self.lock,
        ]  # fmt: skip
        began = time.monotonic()
        if not self.seconds:
            await self.send()
            await self.research()
        while time.monotonic() < began + self.seconds:
            act = self._chance.choice(acts)
            self.done[act.__name__] += 1
            await self._go_to_the_composer()
            await act()
            await asyncio.sleep(self._chance.uniform(0, 0.05))
            if not self.memory and time.monotonic() > began + WARM_SECONDS:
                self.memory.append(_memory())

    # What the pilot does

    async def send(self) -> None:
        await self._send("", typed=self._chance.random() < 0.2)

    async def research(self) -> None:
        await self._send("/research ", typed=False)

    async def _send(self, command: str, *, typed: bool) -> None:
        token = f"q{len(self.ledger):05}x"
        text = " ".join([token, *self._chance.choices(WORDS, k=self._chance.randrange(1, 12)), "?"])
        if self._chance.random() < 0.1:
            text += " " + HOSTILE
            typed = False
        if typed:
            self._chat.composer.put("")
            await self._press(*text)
        else:
            self._chat.composer.put(command + text)
        self.ledger[token] = 1
        await self._press("enter")
        deadline = time.monotonic() + SETTLED_SECONDS
        while not await self._count(token):
            if time.monotonic() > deadline:
                self.ledger[token] = 0
                if token not in self._chat.composer.text:
                    self.problems.append(f"{token} was neither kept nor given back")
                return
            if token in self._chat.composer.text and not self._sending:
                self.ledger[token] = 0  # it came back, as a question that can't be edited now does
                return
            await self._chat.pilot.pause(0.01)

    @property
    def _sending(self) -> bool:
        conversation = self._chat.screen.conversation
        return conversation._sending.locked() or any(
            not worker.is_finished for worker in self._chat.app.workers if worker.group == "send"
        )

    async def stop(self) -> None:
        await self._press("escape")

    async def retry(self) -> None:
        await self._press("ctrl+r")

    async def edit(self) -> None:
        await self._in_the_transcript("left_curly_bracket", "e")
        await self._send("", typed=False)

    async def branch(self) -> None:
        await self._in_the_transcript(
            "left_curly_bracket", self._chance.choice(["less_than_sign", "greater_than_sign"])
        )

    async def take_back(self) -> None:
        await self._in_the_transcript("d")

    async def scroll(self) -> None:
        keys = ["home", "end", "pageup", "pagedown", "space", "i", "t", "alt+down"]
        await self._in_the_transcript(*self._chance.choices(keys, k=4))

    async def search(self) -> None:
        await self._in_the_sidebar("slash", *self._chance.choice(WORDS), "escape", "escape")

    async def other_session(self) -> None:
        moves = ["down", "up"]
        await self._in_the_sidebar(
            *self._chance.choices(moves, k=self._chance.randrange(4)), "enter"
        )

    async def delete(self) -> None:
        await self._in_the_sidebar("down", "d", *self._chance.choice([["u"], []]))

    async def new(self) -> None:
        await self._press("ctrl+n")

    async def inspect(self) -> None:
        await self._press("ctrl+o", *self._chance.choices("12345", k=2), "escape")

    async def find(self) -> None:
        await self._press("ctrl+f", *self._chance.choice(WORDS)[:3], "enter", "escape")

    async def dialogs(self) -> None:
        await self._press(self._chance.choice(["f1", "ctrl+p", "ctrl+t", "f2"]), "escape")

    async def resize(self) -> None:
        await self._chat.pilot.resize_terminal(*self._chance.choice(SIZES))

    async def lock(self) -> None:
        """Let another process keep the database for itself for a moment."""
        await asyncio.to_thread(
            _lock, self._chat.engine.paths.database_file, self._chance.uniform(0.05, 0.4)
        )

    # How it does that

    async def _press(self, *keys: str) -> None:
        names = {" ": "space", "?": "question_mark"}
        await self._chat.pilot.press(*(names.get(key, key) for key in keys))

    async def _go_to_the_composer(self) -> None:
        """Close dialogs, and write."""
        for _ in range(20):
            if len(self._chat.app.screen_stack) == 1:
                break
            await self._press("escape")
        else:
            self.problems.append(f"a dialog stays: {self._chat.app.screen}")
        self._chat.composer.focus()
        await self._chat.pilot.pause()

    async def _in_the_transcript(self, *keys: str) -> None:
        if self._chat.session_id is None:
            return
        self._chat.transcript.focus()
        await self._press(*keys)

    async def _in_the_sidebar(self, *keys: str) -> None:
        if self._chat.app.size.width < 80:  # it has no room
            return
        await self._press("ctrl+b")
        if self._chat.screen.query("SessionList:focus-within"):
            await self._press(*keys)

    async def _settle(self) -> None:
        """Wait until nothing is being done any more."""
        engine = self._chat.engine
        deadline = time.monotonic() + SETTLED_SECONDS
        while living := engine.pool.living():
            if time.monotonic() > deadline:
                self.problems += [f"a job does not end: {job.name}" for job in living]
                return
            await self._chat.pilot.pause(0.02)

    # What has to be true

    async def _count(self, token: str) -> int:
        [(count,)] = await self._store._database.fetch_all(
            "SELECT count(*) FROM messages WHERE role = 'user' AND instr(content, ?)", (token,)
        )
        return int(count)

    async def _look_at_the_ledger(self) -> None:
        found: Counter[str] = Counter()
        ends: Counter[str] = Counter()
        for session in await self._store.recall_source.sessions_of(None):
            kept = await _every(self._store, session.id)
            answered = {message.parent_id for message in kept}
            for message in kept:
                ends[message.finish] += 1
                if message.finish is Finish.STREAMING:
                    self.problems.append(f"{message.id} is still being written")
                if message.role is Role.USER:
                    tokens = TOKEN.findall(message.content)
                    found.update(tokens)
                    if message.id not in answered:
                        self.problems.append(f"{tokens} has no answer")
            shown = await self._store.messages.page(session.id, 0, len(kept) + 1)
            if [one.position for one in shown] != list(range(session.message_count)):
                self.problems.append(f"the messages that {session.id} shows have gaps")
        for token, times in self.ledger.items():
            if found[token] != times:
                self.problems.append(f"{token} is kept {found[token]} times and not {times}")
        self.problems += [f"{token} was never sent" for token in found.keys() - self.ledger.keys()]
        self.problems += await self._store.check()
        self.done["questions"] = sum(self.ledger.values())
        self.done.update({f"answers {end}": count for end, count in ends.items()})


async def _every(store: Store, session_id: str) -> list[Message]:
    kept: list[Message] = []
    while page := await store.messages.every(
        session_id, after=kept[-1] if kept else None, limit=500
    ):
        kept += [placed.message for placed in page]
    return kept


def _memory() -> int:
    """What the process holds, in bytes, without what its allocator merely keeps for later."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library has no such thing
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def _lock(path: Path, seconds: float) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")


class _Errors(logging.Handler):
    """Keeps what is logged as an error, and jobs that failed for a reason nobody foresaw."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        unforeseen = "failed: " in text and not text.endswith(("ModelError", "FetchError"))
        if record.levelno >= logging.ERROR or unforeseen:
            self._problems.append(f"in the log: {record.name}: {text}")


def _held() -> tuple[int, set[str], set[int]]:
    """The descriptors, threads and processes that there are."""
    gc.collect()
    process = psutil.Process()
    running = {thread.name for thread in threading.enumerate()}
    children = {
        child.pid
        for child in process.children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    }
    return process.num_fds(), running, children


def soak(folder: Path, seconds: float, seed: int, *, processes: bool = True) -> dict[str, Any]:
    """Run the app for a while, after a warm-up that has everything imported.

    Returns:
        What was done, which faults there were, and every problem.
    """
    temporary = folder / "tmp"
    temporary.mkdir()
    before_that, tempfile.tempdir = tempfile.tempdir, str(temporary)
    warm_up = Soak(folder / "warm-up", 0.0, seed, processes=processes)
    run = Soak(folder / "run", seconds, seed, processes=processes)
    errors = _Errors(run.problems)
    logging.getLogger().addHandler(errors)
    hooks = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = lambda hint: run.problems.append(f"nobody caught {hint.exc_value!r}")
    threading.excepthook = lambda hint: run.problems.append(f"in a thread: {hint.exc_value!r}")
    try:
        asyncio.run(warm_up.run())
        before = _held()
        asyncio.run(run.run())
        after = _held()
    finally:
        sys.unraisablehook, threading.excepthook = hooks
        logging.getLogger().removeHandler(errors)
        tempfile.tempdir = before_that
    if after[0] > before[0]:
        run.problems.append(f"{after[0] - before[0]} descriptors are left open")
    run.problems += [f"a thread is left: {name}" for name in after[1] - before[1]]
    run.problems += [f"a process is left: {pid}" for pid in after[2] - before[2]]
    run.problems += [f"a temporary file is left: {file}" for file in temporary.rglob("*")]
    known = {"scrubjay.db"}
    left = [file.name for file in (run.folder / "data").iterdir() if file.name not in known]
    run.problems += [f"a file is left: {name}" for name in left]
    growth = run.memory[-1] / run.memory[0] if len(run.memory) > 1 else None
    if growth is not None and growth > GROWTH:
        run.problems.append(f"the memory grew to {growth:.2f} of what it was")
    return {
        "seed": seed,
        "seconds": seconds,
        "done": dict(sorted(run.done.items())),
        "faults": dict(sorted(run.faults.items())),
        "memory_mb": [round(size / 1e6, 1) for size in run.memory],
        "memory_growth": growth and round(growth, 3),
        "problems": run.problems,
    }


def main() -> int:
    """Soak, and print what came of it. Returns 1 when there was a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    again = f"python -m tests.soak --minutes {options.minutes:g} --seed {options.seed}"
    print(again, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="scrubjay-soak-") as folder:
        result = soak(Path(folder), 60 * options.minutes, options.seed)
    print(json.dumps(result, indent=2))
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
