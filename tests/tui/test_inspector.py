"""The inspector: tokens, memory and workers as they are, and nothing done while nobody looks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import vitals
from engine.config import MemorySettings
from engine.llm.base import ChatRequest, Chunk
from engine.memory.recall import Recall, Recollection
from engine.pool import Job, JobState, Lane
from storage.records import Finish, Role, Usage
from tests.engine.support import SETTINGS, running_engine
from tests.scripted import ScriptedBackend
from tests.tui.panes import heard, lines, shown, until
from tui.figures import sparkline
from tui.widgets.context_meter import shares
from tui.widgets.inspector import Inspector, TabBar
from tui.widgets.memory_panel import MemoryPanel
from tui.widgets.tokens_panel import TokensPanel
from tui.widgets.workers_panel import WorkersPanel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from textual.pilot import Pilot

    from engine.engine import Engine
    from tui.widgets.panel import Panel

USAGE = Usage(
    prompt_tokens=1234,
    cached_tokens=1000,
    eval_tokens=60,
    eval_seconds=2.0,
    first_token_seconds=0.25,
    total_seconds=2.5,
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with running_engine(tmp_path) as engine:
        yield engine


def panel_of(inspector: Inspector) -> Panel:
    return inspector._panels[inspector.tab]


def text_of(inspector: Inspector) -> str:
    return "\n".join(lines(panel_of(inspector)))


async def see(pilot: Pilot[None], inspector: Inspector, *pieces: str) -> None:
    await until(pilot, lambda: all(piece in text_of(inspector) for piece in pieces))


def line_with(inspector: Inspector, word: str) -> list[str]:
    """The words of the first line that holds `word`."""
    return next(line for line in text_of(inspector).splitlines() if word in line).split()


async def answered(engine: Engine, *usages: Usage) -> str:
    """A session with one answer for each of the usage figures, and one that was never counted."""
    session = await engine.library.create()
    for usage in usages:
        await engine._store.messages.append(session.id, role=Role.USER, content="Why?")
        await engine._store.messages.append(
            session.id,
            role=Role.ASSISTANT,
            content="So.",
            usage=usage,
            model="scripted:parrot",
            token_count=2,
        )
    await engine._store.messages.append(
        session.id, role=Role.ASSISTANT, content="", finish=Finish.INTERRUPTED
    )
    return session.id


class TestTabs:
    async def test_switch_by_keys_and_keep_the_focus(self, engine: Engine) -> None:
        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.focus_panel()
            seen = []
            for key in ("2", "4", "right", "left", "left", "1", "5"):
                await pilot.press(key)
                await until(pilot, lambda: panel_of(inspector).has_focus)
                seen.append(inspector.tab)
            assert seen == [
                "Memory",
                "Workers",
                "Request",
                "Workers",
                "Research",
                "Tokens",
                "Request",
            ]

    async def test_switch_by_a_click(self, engine: Engine) -> None:
        async with shown(Inspector(engine)) as (inspector, pilot):
            await pilot.click(TabBar, offset=(11, 0))
            assert inspector.tab == "Memory"
            await until(pilot, lambda: panel_of(inspector).seen)

    async def test_a_panel_is_made_when_it_is_first_looked_at(self, engine: Engine) -> None:
        async with shown(Inspector(engine)) as (inspector, pilot):
            assert not inspector.query(MemoryPanel)
            assert not inspector.query(WorkersPanel)
            inspector.tab = "Workers"
            await see(pilot, inspector, "Lanes")
            inspector.tab = "Tokens"
            await until(pilot, lambda: not inspector.query_one(WorkersPanel).seen)
            assert inspector.query_one(TokensPanel).seen


class TestTokens:
    async def test_show_the_window_by_segment(self, engine: Engine) -> None:
        async with shown(Inspector(engine), width=38) as (inspector, pilot):
            turn = await engine.send(None, "What is the capital of Peru?")
            inspector.session_id = turn.session_id
            await turn.wait()
            await see(pilot, inspector, "system", "question", "answer", "free", "Last answer")
            packed = turn.packed
            assert packed is not None
            assert not packed.exact
            assert "11 of 2,048" in text_of(inspector)  # what the model told: 10 read, 1 written
            [system] = [s for s in packed.segments if s.name == "system"]
            assert f"~{system.tokens}" in line_with(inspector, "system")
            assert f"~{packed.reserve - 1}" in line_with(inspector, "kept for the answer")

    async def test_show_the_last_answer_and_the_sums(self, engine: Engine) -> None:
        fast = msgspec.structs.replace(USAGE, eval_seconds=0.6)
        session_id = await answered(engine, fast, USAGE)
        await answered(engine, USAGE)
        async with shown(Inspector(engine), width=38, height=36) as (inspector, pilot):
            inspector.session_id = session_id
            await see(pilot, inspector, "Last answer", "Totals")
            assert line_with(inspector, "prompt") == ["prompt", "1,234", "tokens"]
            assert line_with(inspector, "cached")[-2:] == ["1,000", "tokens"]
            assert line_with(inspector, "first token")[-2:] == ["250", "ms"]
            assert line_with(inspector, " speed") == ["speed", "30.0", "tokens/s"]
            assert "█▃" in text_of(inspector)
            assert "30–100 tokens/s in 2 answers" in text_of(inspector)
            assert line_with(inspector, "session") == ["session", "2", "2,468", "120"]
            assert line_with(inspector, "today") == ["today", "3", "3,702", "180"]
            assert line_with(inspector, "ever") == ["ever", "3", "3,702", "180"]
            await (await engine.send(session_id, "Again?")).wait()
            await until(pilot, lambda: line_with(inspector, "ever")[1:] == ["4", "3,712", "181"])

    async def test_list_answers_models_and_days(self, engine: Engine) -> None:
        slow = msgspec.structs.replace(USAGE, eval_seconds=6.0, prompt_tokens=20_000)
        untold = Usage(first_token_seconds=1.5, total_seconds=2.0)
        session_id = await answered(engine, USAGE, slow, untold)
        async with shown(Inspector(engine), width=42, height=60) as (inspector, pilot):
            inspector.session_id = session_id
            await see(pilot, inspector, "Answers", "Models", "Days")
            rows = [line.split() for line in text_of(inspector).splitlines()]
            at = next(at for at, row in enumerate(rows) if row[:2] == ["read", "written"])
            assert [row[1:] for row in rows[at + 1 : at + 4]] == [
                ["~2", "1.5", "s"],
                ["20.0k", "60", "250", "ms", "10.0"],
                ["1,234", "60", "250", "ms", "30.0"],
            ]
            at = next(at for at, row in enumerate(rows) if row[1:2] == ["Models"])
            model, bar, tokens = rows[at + 1]
            assert (model, set(bar), tokens) == ("scripted:parrot", {"█"}, "21.4k")
            assert line_with(inspector, time.strftime(" %b "))[-1] == "21.4k"

    async def test_parts_fold_by_keys_and_stay_so(self, engine: Engine) -> None:
        session_id = await answered(engine, USAGE, USAGE)
        async with shown(Inspector(engine), width=42, height=60) as (inspector, pilot):
            inspector.session_id = session_id
            await see(pilot, inspector, "▾ Last answer", "first token after", "▾ Days")
            inspector.focus_panel()
            await pilot.press("enter", "down", "space")
            await see(pilot, inspector, "▸ Last answer", "▸ Totals", "▾ Answers")
            assert "first token after" not in text_of(inspector)
            assert "session" not in text_of(inspector)
            await (await engine.send(session_id, "Again?")).wait()
            await see(pilot, inspector, "▸ Last answer", "11 of 2,048")
            await pilot.press("space")
            await see(pilot, inspector, "▾ Totals", "session")

    @pytest.mark.parametrize("width", [34, 42, 80, 200])
    async def test_all_parts_fit_their_width(self, engine: Engine, width: int) -> None:
        session_id = await answered(engine, USAGE, USAGE)
        async with shown(Inspector(engine), width=width, height=20) as (inspector, pilot):
            inspector.session_id = session_id
            panel = panel_of(inspector)
            await until(pilot, lambda: panel.region_of("Days"))
            for row in panel._rows:
                for line in row.paint(panel.row_width):
                    assert line.cell_length <= panel.row_width
            inspector.focus_panel()
            for _ in range(60):
                await pilot.press("down")
            assert panel.scroll_offset.y == panel.max_scroll_y

    async def test_count_chunks_while_an_answer_comes_and_say_it_is_about(
        self, tmp_path: Path
    ) -> None:
        go_on = asyncio.Event()
        backend = ScriptedBackend(["one ", "two ", "three ", go_on])
        async with (
            running_engine(tmp_path, backend) as engine,
            shown(Inspector(engine)) as (inspector, pilot),
        ):
            turn = await engine.send(None, "Count.")
            inspector.session_id = turn.session_id
            await see(pilot, inspector, "being written", "~3 tokens")
            go_on.set()
            await turn.wait()
            await see(pilot, inspector, "Last answer", "in all")
            assert "being written" not in text_of(inspector)

    async def test_show_how_much_of_the_prompt_was_read(self, tmp_path: Path) -> None:
        go_on = asyncio.Event()
        backend = ScriptedBackend([Chunk(read=0.4), go_on, "done"])
        async with (
            running_engine(tmp_path, backend) as engine,
            shown(Inspector(engine)) as (inspector, pilot),
        ):
            turn = await engine.send(None, "Read.")
            inspector.session_id = turn.session_id
            await see(pilot, inspector, "reading the prompt", "40%")
            go_on.set()
            await turn.wait()

    async def test_show_another_session_when_told(self, engine: Engine) -> None:
        first = await answered(engine, USAGE)
        second = await answered(engine, msgspec.structs.replace(USAGE, prompt_tokens=77))
        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.session_id = first
            await until(pilot, lambda: "1,234 tokens" in text_of(inspector))
            inspector.session_id = second
            await until(pilot, lambda: "77 tokens" in text_of(inspector))
            inspector.session_id = None
            await until(pilot, lambda: "Last answer" not in text_of(inspector))


class TestMemory:
    async def test_show_what_was_recalled_and_why_and_lead_there(self, engine: Engine) -> None:
        earlier = await engine.library.create(title="About [Peru]")
        await engine._store.messages.append(
            earlier.id, role=Role.USER, content="The capital of Peru is Lima, \x1b[1mnot Cusco."
        )
        async with shown(Inspector(engine), width=44) as (inspector, pilot):
            inspector.tab = "Memory"
            turn = await engine.send(None, "What was the capital of Peru again?")
            inspector.session_id = turn.session_id
            await turn.wait()
            await see(pilot, inspector, "The capital of Peru is Lima, ␛[1mnot", "About [Peru]")
            await see(pilot, inspector, "% · capital, peru")
            inspector.focus_panel()
            await pilot.press("enter")
            [jump] = heard(pilot, Inspector.Jump)
            assert (jump.session_id, jump.position) == (earlier.id, 0)

    async def test_say_so_when_nothing_fits(self, engine: Engine) -> None:
        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Memory"
            await see(pilot, inspector, "With your next question")
            turn = await engine.send(None, "What was the capital of Peru again?")
            inspector.session_id = turn.session_id
            await turn.wait()
            await see(pilot, inspector, "Nothing in earlier", "conversations fits")

    async def test_say_so_when_recall_fails(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: object, **__: object) -> list[Recollection]:
            raise ModuleNotFoundError

        monkeypatch.setattr(Recall, "find", broken)
        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Memory"
            turn = await engine.send(None, "What was the capital of Peru again?")
            inspector.session_id = turn.session_id
            await turn.wait()
            await see(pilot, inspector, "Recall failed", "ModuleNotFoundError")

    async def test_say_so_when_recall_is_off(self, tmp_path: Path) -> None:
        off = msgspec.structs.replace(SETTINGS, memory=MemorySettings(recall=False))
        async with (
            running_engine(tmp_path, settings=off) as engine,
            shown(Inspector(engine)) as (inspector, pilot),
        ):
            inspector.tab = "Memory"
            await see(pilot, inspector, "Recall is off")

    async def test_show_what_is_kept_and_follow_it(self, engine: Engine) -> None:
        async with shown(Inspector(engine), height=40) as (inspector, pilot):
            inspector.tab = "Memory"
            await see(pilot, inspector, "scrubjay.db", "database", "Memory in use", "MB")
            assert line_with(inspector, "messages") == ["messages", "0"]
            await (await engine.send(None, "Hello.")).wait()
            await until(pilot, lambda: line_with(inspector, "messages") == ["messages", "2"])

    async def test_look_at_the_processes_only_while_seen(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = 0
        measure = vitals.measure

        async def counted() -> vitals.Vitals:
            nonlocal looks
            looks += 1
            return await measure()

        monkeypatch.setattr("tui.widgets.memory_panel.MEASURE_SECONDS", 0.02)
        monkeypatch.setattr(vitals, "measure", counted)
        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Memory"
            await until(pilot, lambda: looks >= 3)
            inspector.tab = "Tokens"
            panel = inspector.query_one(MemoryPanel)
            await until(pilot, lambda: not panel.seen)
            assert panel._measuring is None
            await until(pilot, lambda: not list(panel._timers))


class TestWorkers:
    async def test_show_jobs_by_state_with_their_progress(self, engine: Engine) -> None:
        go_on = asyncio.Event()

        async def fetch(job: Job[None]) -> None:
            job.report(0.25, "fetching [bold]weights")
            await go_on.wait()

        async def fail(_job: Job[None]) -> None:
            raise ValueError("the \x1b disk is full")

        async with shown(Inspector(engine), width=40, height=30) as (inspector, pilot):
            inspector.tab = "Workers"
            await see(pilot, inspector, "nothing to do")
            engine.pool.submit("break", Lane.UPKEEP, fail)
            engine.pool.submit("fetch one", Lane.DOWNLOAD, fetch)
            engine.pool.submit("fetch two", Lane.DOWNLOAD, fetch)
            await see(pilot, inspector, "● fetch one", "○ fetch two", "✗ break")
            await see(pilot, inspector, "download · fetching [bold]weights", "25%")
            await see(pilot, inspector, "download ■ +1", "the ␛ disk is full")
            text = text_of(inspector)
            assert text.index("fetch one") < text.index("fetch two") < text.index("break")
            go_on.set()
            await see(pilot, inspector, "✓ fetch one", "✓ fetch two")

    @pytest.mark.parametrize("key", ["x", "delete"])
    async def test_a_key_cancels_the_job_under_the_cursor(self, engine: Engine, key: str) -> None:
        async def wait(_job: Job[None]) -> None:
            await asyncio.Event().wait()

        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Workers"
            first = engine.pool.submit("first", Lane.UPKEEP, wait)
            second = engine.pool.submit("second", Lane.UPKEEP, wait)
            await see(pilot, inspector, "● first", "● second")
            inspector.focus_panel()
            await pilot.press("down", key)
            await second.ended()
            assert second.state is JobState.CANCELLED
            assert first.state is JobState.RUNNING
            await see(pilot, inspector, "– second")

    async def test_only_what_can_be_cancelled_is_offered(self, engine: Engine) -> None:
        async def wait(_job: Job[None]) -> None:
            await asyncio.Event().wait()

        def offered(pilot: Pilot[None]) -> bool:
            return "x" in pilot.app.screen.active_bindings

        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Workers"
            await see(pilot, inspector, "nothing to do")
            inspector.focus_panel()
            assert not offered(pilot)
            engine.pool.submit("wait", Lane.UPKEEP, wait)
            await until(pilot, lambda: offered(pilot))
            await pilot.press("x")
            await until(pilot, lambda: not offered(pilot))

    async def test_writes_are_not_cancelled(self, engine: Engine) -> None:
        written = asyncio.Event()

        async def write(_job: Job[None]) -> None:
            await written.wait()

        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Workers"
            job = engine.pool.submit("write", Lane.STORAGE, write)
            await see(pilot, inspector, "● write")
            inspector.focus_panel()
            await pilot.press("x")
            written.set()
            await job.ended()
            assert job.state is JobState.DONE

    async def test_the_clock_runs_only_while_a_job_does_and_is_seen(self, engine: Engine) -> None:
        go_on = asyncio.Event()

        async def wait(_job: Job[None]) -> None:
            await go_on.wait()

        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Workers"
            await see(pilot, inspector, "nothing to do")
            panel = inspector.query_one(WorkersPanel)
            assert panel._ticking is None
            engine.pool.submit("wait", Lane.UPKEEP, wait)
            await until(pilot, lambda: panel._ticking is not None)
            inspector.tab = "Tokens"
            await until(pilot, lambda: panel._ticking is None)
            inspector.tab = "Workers"
            await until(pilot, lambda: panel._ticking is not None)
            go_on.set()
            await until(pilot, lambda: panel._ticking is None)

    async def test_a_burst_of_progress_is_painted_together(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built = 0

        async def hurry(job: Job[None]) -> None:
            for step in range(1000):
                job.report(step / 1000)
            await asyncio.Event().wait()

        async with shown(Inspector(engine)) as (inspector, pilot):
            inspector.tab = "Workers"
            await see(pilot, inspector, "nothing to do")
            panel = inspector.query_one(WorkersPanel)
            build = panel.build

            def count(width: int) -> object:
                nonlocal built
                built += 1
                return build(width)

            monkeypatch.setattr(panel, "build", count)
            engine.pool.submit("hurry", Lane.UPKEEP, hurry)
            await see(pilot, inspector, "100%")
            assert built <= 3


class TestRequest:
    async def test_show_exactly_what_was_sent_before_anybody_looked(self, tmp_path: Path) -> None:
        backend = ScriptedBackend(["Yes."])
        async with running_engine(tmp_path, backend) as engine:
            turn = await engine.send(None, "```python\n[bold]\x1b[31mred\n```")
            await turn.wait()
            async with shown(Inspector(engine), width=42, height=60) as (inspector, pilot):
                inspector.session_id = turn.session_id
                inspector.tab = "Request"
                await see(
                    pilot, inspector, "Sent  scripted:parrot", "1 system", "2 user", "Options"
                )
                text = text_of(inspector)
                assert "```python" in text
                assert "[bold]␛[31mred" in text
                assert line_with(inspector, "context length")[-1] == "2048"
                inspector.focus_panel()
                await pilot.press("y")
                sent = msgspec.json.decode(pilot.app.clipboard, type=ChatRequest)
                assert sent == backend.requests[0]

    async def test_before_a_call_show_what_would_be_sent(self, engine: Engine) -> None:
        session_id = await answered(engine, USAGE, USAGE)
        async with shown(Inspector(engine), width=42, height=60) as (inspector, pilot):
            inspector.tab = "Request"
            await see(pilot, inspector, "With the first question")
            inspector.focus_panel()
            await pilot.press("y")
            assert pilot.app.clipboard == ""
            inspector.session_id = session_id
            await see(pilot, inspector, "Not sent yet", "What would be sent", "2 user", "Why?")
            [message, *_] = await engine.library.page(session_id, 0, 1)
            await engine.library.pin(message)
            await see(pilot, inspector, "pinned")
            await pilot.press("y")
            request = msgspec.json.decode(pilot.app.clipboard, type=ChatRequest)
            assert request == (await engine.preview(session_id)).request
            await (await engine.send(session_id, "Again?")).wait()
            await see(pilot, inspector, "Sent  scripted:parrot", "Again?")
            assert "Not sent" not in text_of(inspector)

    async def test_say_why_nothing_can_be_shown(self, engine: Engine) -> None:
        session_id = await answered(engine, USAGE)
        await engine.library.use_model(session_id, "scripted:lyrebird")
        async with shown(Inspector(engine), width=42) as (inspector, pilot):
            inspector.session_id = session_id
            inspector.tab = "Request"
            await see(pilot, inspector, "no model lyrebird")


@pytest.mark.parametrize("tab", ["Tokens", "Memory", "Workers", "Request"])
@pytest.mark.parametrize("width", [34, 44, 80])
async def test_every_tab_fits_its_width(tmp_path: Path, tab: str, width: int) -> None:
    go_on = asyncio.Event()
    async with running_engine(tmp_path, ScriptedBackend(["word ", go_on])) as engine:
        earlier = await engine.library.create(title="日本語のとても長いタイトルの会話" * 3)
        await engine._store.messages.append(
            earlier.id, role=Role.USER, content="首都 capital of Peru is Lima. " + "x" * 300
        )
        async with shown(Inspector(engine), width=width, height=40) as (inspector, pilot):
            inspector.tab = tab
            turn = await engine.send(None, "What was the capital of Peru again?")
            inspector.session_id = turn.session_id
            await until(pilot, lambda: turn.packed is not None)
            await see(
                pilot,
                inspector,
                {
                    "Tokens": "~1",
                    "Memory": "% · capital",
                    "Workers": "save",
                    "Request": "Options",
                }[tab],
            )
            panel = panel_of(inspector)
            for row in panel._rows:
                for line in row.paint(panel.row_width):
                    assert line.cell_length <= panel.row_width
            go_on.set()
            await turn.wait()
            assert turn.answer.finish is Finish.COMPLETE


def test_the_meter_gives_every_part_a_cell_and_fills_the_bar() -> None:
    assert shares([1, 0, 1000, 1], 10) == [1, 0, 8, 1]
    assert shares([5, 5], 7) in ([4, 3], [3, 4])
    assert shares([0, 0], 7) == [0, 0]
    assert sum(shares([37, 65, 389, 18, 512, 1027], 32)) == 32


def test_a_sparkline_starts_at_nothing() -> None:
    assert sparkline([0.0, 50.0, 100.0]) == "▁▅█"
    assert sparkline([]) == ""
