"""The soak's schedule, ledger and checks: all follows from the seed, and each check can fail."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import tempfile
import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from storage.messages import Messages
from storage.records import Finish, Role
from storage.store import Store
from tests.embedded_weights import models_folder
from tests.soak import checks
from tests.soak.faults import Faults
from tests.soak.ledger import Ledger
from tests.soak.parrot import REF, Answer
from tests.soak.pilot import Pilot
from tests.soak.run import soak
from tests.soak.schedule import ACTS, FAULTS, STEPS_A_FAULT, Step, schedule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SEED = 2
FEW = [
    Step(0, "send", "", "2 step 0"),
    Step(1, "send", "server_killed", "2 step 1"),
    Step(2, "edit", "", "2 step 2"),
]


@pytest.fixture(scope="module")
def models_dir() -> Path:
    return models_folder()


def test_a_seed_decides_on_every_step_and_its_details() -> None:
    def first(seed: int) -> list[tuple[str, str, float, float]]:
        steps = islice(schedule(seed), 200)
        return [(one.act, one.fault, one.chance.random(), one.bad_luck.random()) for one in steps]

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_a_seed_decides_on_every_answer() -> None:
    def said(seed: int) -> list[tuple[str, str]]:
        answers = [Answer.to(seed, f"q{n:05}x", times) for n in range(30) for times in range(2)]
        return [(answer.kind, "".join(answer.pieces())) for answer in answers]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_a_round_has_every_fault_and_two_have_every_act() -> None:
    round_ = list(islice(schedule(SEED), STEPS_A_FAULT * len(FAULTS)))
    assert sorted(step.fault for step in round_ if step.fault) == sorted(FAULTS)
    acts = {step.act for step in islice(schedule(SEED), 2 * len(ACTS))}
    assert acts == {*ACTS, "ask_embedded"}
    assert all(callable(getattr(Pilot, act)) for act in acts)
    assert all(callable(getattr(Faults, fault)) for fault in FAULTS)


def test_a_sound_run_has_no_problems(tmp_path: Path, models_dir: Path) -> None:
    result = soak(tmp_path, models_dir, SEED, steps=FEW)
    assert result["problems"] == []
    assert result["done"]["questions kept"] + result["done"]["questions given back"] == 3


def test_a_question_that_the_program_loses_is_told(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Messages.ask

    async def forgetful(self: Messages, session_id: str, *, content: str, **values: Any) -> Any:
        return await ask(self, session_id, content=content.replace("q00000x", "?"), **values)

    monkeypatch.setattr(Messages, "ask", forgetful)
    monkeypatch.setattr("tests.soak.pilot.SETTLED_SECONDS", 1.0)
    problems = soak(tmp_path, models_dir, SEED, steps=FEW[:1])["problems"]
    assert "q00000x was neither kept nor given back" in problems
    assert "q00000x is kept 0 times and not 1" in problems


# The ledger


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "scrubjay.db") as store:
        await store.sessions.create(session_id="s")
        yield store


async def keep(store: Store, role: Role, text: str, finish: Finish = Finish.COMPLETE) -> None:
    model = REF if role is Role.ASSISTANT else None
    await store.messages.append("s", role=role, content=text, finish=finish, model=model)


async def wrong(store: Store, ledger: Ledger) -> str:
    problems, _ = await ledger.compare(store)
    return "\n".join(problems)


def said(times: int = 0) -> str:
    return "".join(Answer.to(SEED, "q00000x", times).pieces())


async def test_what_is_kept_as_it_was_sent_and_said_is_right(store: Store) -> None:
    ledger = Ledger(SEED)
    token = ledger.next_token()
    await keep(store, Role.USER, f"{token} what?")
    await keep(store, Role.ASSISTANT, said())
    assert await wrong(store, ledger) == ""


async def test_a_question_that_is_lost_doubled_or_nobody_s_is_told(store: Store) -> None:
    ledger = Ledger(SEED)
    lost, doubled, given_back = (ledger.next_token() for _ in range(3))
    ledger.times[given_back] = 0
    for text in (doubled, doubled, given_back, "q77777x"):
        await keep(store, Role.USER, text)
        await keep(store, Role.ASSISTANT, "Yes.")
    assert await wrong(store, ledger) == "\n".join(
        [
            f"{lost} is kept 0 times and not 1",
            f"{doubled} is kept 2 times and not 1",
            f"{given_back} is kept 1 times and not 0",
            "q77777x was never sent",
        ]
    )


@pytest.mark.parametrize(
    ("text", "finish", "told"),
    [
        (said()[:-1], Finish.COMPLETE, "is not what was said"),
        (said()[:20] + "oh", Finish.STOPPED, "is not what was said"),
        (said(), Finish.STREAMING, "is still being written"),
    ],
)
async def test_an_answer_that_is_not_what_was_said_is_told(
    store: Store, text: str, finish: Finish, told: str
) -> None:
    ledger = Ledger(SEED)
    await keep(store, Role.USER, ledger.next_token())
    await keep(store, Role.ASSISTANT, text, finish)
    assert told in await wrong(store, ledger)


async def test_an_answer_that_is_missing_or_doubled_is_told(store: Store) -> None:
    ledger = Ledger(SEED)
    await keep(store, Role.USER, ledger.next_token())
    assert "has no answer" in await wrong(store, ledger)
    await keep(store, Role.ASSISTANT, said())
    await keep(store, Role.ASSISTANT, said())
    assert "is shown 2 times" in await wrong(store, ledger)


async def test_an_answer_that_went_on_is_right(store: Store) -> None:
    ledger = Ledger(SEED)
    await keep(store, Role.USER, ledger.next_token())
    await keep(store, Role.ASSISTANT, said()[:30] + said(1) + "\n\nSources")
    assert await wrong(store, ledger) == ""


async def test_gaps_in_what_is_shown_are_told(store: Store) -> None:
    ledger = Ledger(SEED)
    await keep(store, Role.USER, ledger.next_token())
    await keep(store, Role.ASSISTANT, said())
    await store._database.write("UPDATE messages SET shown = 0 WHERE role = 'user'")
    assert "have gaps" in await wrong(store, ledger)


# What may not be left behind


def left_by(work: Callable[[], Callable[[], object]]) -> list[str]:
    """What is told of what `work` leaves; it returns what puts that right again."""
    before = checks.Held.now()
    put_right = work()
    try:
        return checks.Held.now().left_since(before)
    finally:
        put_right()


def test_nothing_that_is_left_is_nothing_told() -> None:
    assert left_by(lambda: lambda: None) == []


def test_a_descriptor_that_is_left_open_is_told(tmp_path: Path) -> None:
    def work() -> Callable[[], object]:
        file = (tmp_path / "file").open("w")
        return file.close

    assert left_by(work) == ["1 descriptors are left open"]


def test_a_thread_that_is_left_is_told() -> None:
    def work() -> Callable[[], object]:
        over = threading.Event()
        threading.Thread(target=over.wait, name="lost").start()
        return over.set

    assert left_by(work) == ["a thread is left: lost"]


def test_a_process_that_is_left_is_told() -> None:
    def work() -> Callable[[], object]:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

        def end() -> None:
            child.kill()
            child.wait()

        return end

    assert any(one.startswith("a process is left") for one in left_by(work))


async def test_a_task_that_is_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TASK_SECONDS", 0.1)
    assert await checks.left_tasks() == []
    task = asyncio.create_task(asyncio.Event().wait(), name="lost")
    [told] = await checks.left_tasks()
    assert "lost" in told
    task.cancel()


def test_a_temporary_file_that_is_left_is_told(tmp_path: Path) -> None:
    problems: list[str] = []
    with checks.own_temporary_folder(tmp_path / "tmp", problems):
        name = Path(tempfile.mkdtemp()).name
    assert [Path(one).name for one in problems] == [name]


def test_a_file_beside_the_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "scrubjay.db").touch()
    assert checks.left_files(tmp_path) == []
    (tmp_path / "scrubjay.db.part").touch()
    assert checks.left_files(tmp_path) == ["a file is left: scrubjay.db.part"]


def test_memory_may_grow_by_a_fifth_and_no_more() -> None:
    assert checks.grown([100]) == []
    assert checks.grown([100, 500, 120]) == []
    assert checks.grown([100, 121]) == ["the memory grew to 1.21 of what it was"]


# What may not be in the log


@pytest.fixture
def overheard() -> Iterator[list[str]]:
    problems: list[str] = []
    with checks.overheard(problems):
        yield problems


def test_errors_in_the_log_are_told_and_warnings_are_not(overheard: list[str]) -> None:
    log = logging.getLogger("engine")
    log.warning("the parrot is tired")
    log.warning("job 'answer' failed: ModelError")
    assert overheard == []
    log.error("the parrot is dead")
    log.warning("job 'answer' failed: KeyError")
    assert overheard == [
        "in the log: engine: the parrot is dead",
        "in the log: engine: job 'answer' failed: KeyError",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_in_a_thread_is_told(overheard: list[str]) -> None:
    def break_down() -> None:
        raise KeyError("acorn")

    thread = threading.Thread(target=break_down)
    thread.start()
    thread.join()
    assert overheard == ["in a thread: KeyError('acorn')"]


def test_an_error_that_nobody_can_catch_is_told(overheard: list[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise KeyError("acorn")

    Broken()
    gc.collect()
    assert overheard == ["nobody caught KeyError('acorn')"]


async def test_the_error_of_a_task_that_nobody_asks_is_told(overheard: list[str]) -> None:
    async def break_down() -> None:
        raise KeyError("acorn")

    task = asyncio.create_task(break_down())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert any("never retrieved" in one and "acorn" in one for one in overheard)


@pytest.mark.filterwarnings("default")
async def test_work_that_is_never_begun_is_told(overheard: list[str]) -> None:
    async def work() -> None:
        pass

    work()  # type: ignore[unused-coroutine]
    gc.collect()
    assert any("work' was never awaited" in one for one in overheard)
