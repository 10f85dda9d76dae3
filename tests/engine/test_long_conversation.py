"""A conversation of 2,000 turns in a small window: it always fits, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import ContextSettings, EmbeddedSettings, ModelSettings, OllamaSettings
from engine.context.summary import latest_summary
from engine.engine import Engine
from engine.events import ContextPacked
from storage.records import Finish, Role
from tests.engine.support import SETTINGS, Watch, running_engine
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Paths

TURNS = 2_000


@pytest.mark.timeout(600)
async def test_two_thousand_turns_fit_a_window_of_2048_tokens(tmp_path: Path) -> None:
    backend = ScriptedBackend()
    settings = msgspec.structs.replace(
        SETTINGS, context=ContextSettings(summarize_after=20, keep_last=10)
    )
    async with running_engine(tmp_path, backend, settings) as engine:
        turn = await engine.send(None, "My name is Ada and my cat is called Byron.")
        await turn.wait()
        session_id = turn.session_id
        for n in range(1, TURNS - 1):
            turn = await engine.send(
                session_id, f"Remark number {n}. " + "filler words " * (n % 40)
            )
            await turn.wait()
        watch = Watch(engine)
        await (await engine.send(session_id, "What is my cat Byron, and what is my name?")).wait()

        for request in backend.requests:
            counted = await backend.count_tokens(request)
            assert counted.tokens <= backend.info.window  # type: ignore[operator]
        session = await engine.library.session(session_id)
        messages = await engine.library.page(session_id, 0, session.message_count)
        assert len(messages) == 2 * TURNS
        assert [m.position for m in messages] == list(range(2 * TURNS))
        asked = [m.content for m in messages if m.role is Role.USER]
        assert all(text.startswith(f"Remark number {n}.") for n, text in enumerate(asked[1:-1], 1))
        assert all(m.finish is Finish.COMPLETE for m in messages)

        summary = latest_summary(session)
        assert summary is not None
        assert summary.until > 2 * TURNS - 100
        packed = watch.of(ContextPacked)[-1].packed
        assert "cat is called Byron" in packed.request.messages[0].content


@pytest.mark.timeout(600)
async def test_thirty_turns_with_the_real_model_fit_its_window(embedded_paths: Paths) -> None:
    settings = msgspec.structs.replace(
        SETTINGS,
        model=ModelSettings(default="embedded:smollm2-135m", max_tokens=12, context_length=512),
        ollama=OllamaSettings(),
        embedded=EmbeddedSettings(context_length=512),
        context=ContextSettings(summarize_after=10, keep_last=6),
    )
    engine = await Engine.open(settings, embedded_paths)
    watch = Watch(engine)
    try:
        session_id: str | None = None
        for n in range(30):
            turn = await engine.send(session_id, f"Remark {n}: I have seen {n} jays in the garden.")
            answer = await turn.wait()
            assert answer.finish is Finish.COMPLETE, answer.failure
            assert answer.usage is not None
            assert answer.usage.prompt_tokens is not None
            assert answer.usage.prompt_tokens + (answer.usage.eval_tokens or 0) <= 512
            session_id = turn.session_id
        assert session_id is not None
        session = await engine.library.session(session_id)
        assert session.message_count == 60
        assert all(event.packed.exact for event in watch.of(ContextPacked))
        assert latest_summary(session) is not None
    finally:
        await engine.close()
