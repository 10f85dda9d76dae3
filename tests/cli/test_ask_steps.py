"""`scrubjay ask` where the model uses tools.

The model is scripted: small real ones never call a tool of their own accord. So the command runs in
this process, over an engine that has that model.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.config import ModelSettings, Settings
from engine.engine import Engine
from engine.events import AnswerDelta, Event, Notice
from engine.llm.base import Chunk
from storage.records import ToolCall
from tests.embedded_weights import paths_under
from tests.engine.support import running_engine
from tests.scripted import INFO, ScriptedBackend
from tui.command_line import ask
from tui.command_line.arguments import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from engine.config import Paths

SETTINGS = Settings(model=ModelSettings(default="scripted:parrot"))


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Ask a model that says and calls what it is told to: the exit code and both outputs."""

    def run(*scripts: list[Any], words: tuple[str, ...] = ("ask", "How much?")) -> Any:
        backend = ScriptedBackend(*scripts)
        backend.info = msgspec.structs.replace(
            INFO, parameters="7B", window=8192, capabilities=frozenset({"chat", "tools"})
        )

        @asynccontextmanager
        async def opened(settings: Settings, paths: Paths) -> AsyncIterator[Engine]:
            engine = await Engine.open(settings, paths, backends=[backend])
            try:
                yield engine
            finally:
                await engine.close()

        monkeypatch.setattr(ask, "opened", opened)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        code = asyncio.run(ask.ask(parse(words), SETTINGS, paths_under(tmp_path)))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_answer_goes_on_after_a_tool(asked: Callable[..., tuple[int, str, str]]) -> None:
    call = ToolCall(id="1", name="calculator", arguments={"expression": "6 * 7"})
    code, out, err = asked(["Let me see.", Chunk(tool_calls=(call,))], ["It is 42."])
    assert (code, out, err) == (0, "Let me see.\nIt is 42.\n", "")


def test_the_answer_in_json_is_that_of_the_last_step(
    asked: Callable[..., tuple[int, str, str]],
) -> None:
    call = ToolCall(id="1", name="calculator", arguments={"expression": "6 * 7"})
    code, out, _ = asked(
        ["Let me see.", Chunk(tool_calls=(call,))], ["It is 42."], words=("ask", "--json", "How?")
    )
    assert code == 0
    assert msgspec.json.decode(out)["answer"] == "It is 42."


def test_a_call_that_needs_consent_is_told_and_not_run(
    asked: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    call = ToolCall(id="1", name="read_file", arguments={"path": str(tmp_path / "secret")})
    code, out, err = asked(["I will read it.", Chunk(tool_calls=(call,))])
    assert code == 1
    assert out == "I will read it.\n"
    assert "wants to use read_file, which needs your consent" in err
    assert "Open the conversation" in err


async def test_what_a_person_should_know_is_told_beside_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["It is blue."])) as engine:

        def warn(event: Event) -> None:
            if isinstance(event, AnswerDelta):
                engine.events.emit(Notice(text="attic is gone.", severity="warning"))

        engine.events.subscribe(warn)
        await ask.answer(engine, engine.send(None, "Which colour?"), streaming=True)
    printed = capsys.readouterr()
    assert printed.out == "It is blue.\n"
    assert "attic is gone." in printed.err
