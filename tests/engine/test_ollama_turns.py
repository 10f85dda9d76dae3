"""Turns against a real Ollama server: answered, stopped, broken off and taken up again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from engine.config import ContextSettings, MemorySettings, ModelSettings, OllamaSettings, Settings
from engine.engine import Engine
from engine.events import AnswerDelta
from engine.images import images_in, in_words
from storage.records import Finish, Role
from storage.store import Store
from tests.embedded_weights import paths_under
from tests.engine.support import Watch
from tests.images import png
from tests.seeing_model import IMAGE_TOKENS, make_seeing_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.ollama_server import OllamaServer

MODEL = "ollama:smollm2:135m"
STORY = "Tell me a very long story about a jay."

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def asking(
    folder: Path, host: str, *, model: str = MODEL, most: int = 12, window: int = 256
) -> AsyncIterator[Engine]:
    """An engine that asks the server; the small window keeps its prompts short."""
    settings = Settings(
        model=ModelSettings(default=model, max_tokens=most, temperature=0.0, context_length=window),
        ollama=OllamaSettings(host=host),
        context=ContextSettings(summarize_after=0),
        memory=MemorySettings(recall=False),
    )
    engine = await Engine.open(settings, paths_under(folder))
    try:
        yield engine
    finally:
        await engine.close()


async def test_a_question_is_answered(tmp_path: Path, ollama_host: str) -> None:
    async with asking(tmp_path, ollama_host) as engine:
        answer = await (await engine.send(None, "Say hello.")).wait()
        assert answer.finish is Finish.COMPLETE, answer.failure
        assert answer.content
        assert answer.model == MODEL
        assert answer.usage is not None
        assert answer.usage.prompt_tokens
        assert answer.usage.eval_tokens


async def test_a_model_without_eyes_says_so_and_keeps_the_image(
    tmp_path: Path, ollama_host: str
) -> None:
    (tmp_path / "photo.png").write_bytes(png(64, 48))
    async with asking(tmp_path / "home", ollama_host) as engine:
        text = await engine.attach("What is in @photo.png?", tmp_path)
        turn = await engine.send(None, text)
        answer = await turn.wait()
        assert answer.failure is not None
        assert answer.failure.kind == "unseeing"
        assert answer.failure.message == f"{MODEL} can't see images."
        [image] = images_in(turn.question.content)
        assert await engine.library.image(image.sha256) == png(64, 48)


@pytest.fixture
def seeing(tmp_path: Path, own_ollama_host: str) -> str:
    return f"ollama:{make_seeing_model(own_ollama_host, tmp_path)}"


async def test_a_model_with_eyes_is_shown_the_image(
    tmp_path: Path, own_ollama_host: str, seeing: str
) -> None:
    (tmp_path / "photo.png").write_bytes(png(64, 48))
    async with asking(tmp_path / "home", own_ollama_host, model=seeing, window=1024) as engine:
        text = await engine.attach("What is in @photo.png?", tmp_path)
        read = []
        for question in (text, in_words(text)):
            answer = await (await engine.send(None, question)).wait()
            assert answer.finish is Finish.COMPLETE, answer.failure
            assert answer.content
            assert answer.usage is not None
            read.append(answer.usage.prompt_tokens or 0)
        seen, not_seen = read
        assert seen == not_seen + IMAGE_TOKENS


async def test_an_image_that_can_not_be_read_fails_its_own_question_alone(
    tmp_path: Path, own_ollama_host: str, seeing: str
) -> None:
    (tmp_path / "broken.png").write_bytes(png(64, 48)[:45])
    async with asking(tmp_path / "home", own_ollama_host, model=seeing, window=1024) as engine:
        text = await engine.attach("What is in @broken.png?", tmp_path)
        turn = await engine.send(None, text)
        broken = await turn.wait()
        assert broken.failure is not None
        assert broken.failure.kind == "unreadable_image"
        assert "PNG or JPEG" in broken.failure.next_step
        retried = await engine.retry(turn.session_id)
        assert retried is not None
        assert (await retried.wait()).failure == broken.failure
        later = await (await engine.send(turn.session_id, "Never mind.")).wait()
        assert later.finish is Finish.COMPLETE, later.failure


async def test_stop_keeps_the_partial_and_frees_the_server(
    tmp_path: Path, ollama_host: str
) -> None:
    async with asking(tmp_path, ollama_host, most=120) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, STORY)
        await until_begun(watch)
        stopped = await turn.stop()
        assert stopped.finish is Finish.STOPPED
        assert stopped.content
        again = await (await engine.send(None, "Say hello.")).wait()
        assert again.finish is Finish.COMPLETE


async def test_a_server_killed_mid_answer_leaves_the_partial_and_retry_works_once_it_is_back(
    tmp_path: Path, ollama_server: OllamaServer
) -> None:
    async with asking(tmp_path, ollama_server.host, most=120) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, STORY)
        await until_begun(watch)
        await asyncio.to_thread(ollama_server.kill)
        broken = await turn.wait()
        assert broken.finish is Finish.FAILED
        assert broken.content
        assert broken.failure is not None
        assert broken.failure.next_step
        still = await engine.retry(turn.session_id)
        assert still is not None
        down = await still.wait()
        assert down.failure is not None
        assert down.failure.kind == "unreachable"
        await asyncio.to_thread(ollama_server.start)
        retried = await engine.retry(turn.session_id)
        assert retried is not None
        await until_begun(watch, after=len(watch.of(AnswerDelta)))
        assert (await retried.stop()).content
        session = await engine.library.session(turn.session_id)
        assert session.message_count == 2


async def test_an_unknown_model_fails_the_answer_with_what_to_do(
    tmp_path: Path, ollama_host: str
) -> None:
    async with asking(tmp_path, ollama_host, model="ollama:nobody") as engine:
        answer = await (await engine.send(None, "Say hello.")).wait()
        assert answer.failure is not None
        assert answer.failure.kind == "model_missing"
        assert "ollama pull nobody" in answer.failure.next_step


async def test_an_answer_streams_into_a_session_of_a_thousand_messages(
    tmp_path: Path, ollama_host: str
) -> None:
    async with await Store.open(paths_under(tmp_path).database_file) as store:
        session = await store.sessions.create(title="Long")
        for n in range(1_000):
            role = Role.ASSISTANT if n % 2 else Role.USER
            await store.messages.append(session.id, role=role, content=f"Remark number {n}.")
    async with asking(tmp_path, ollama_host) as engine:
        watch = Watch(engine)
        turn = await engine.send(session.id, "Say hello.")
        answer = await turn.wait()
        assert answer.finish is Finish.COMPLETE, answer.failure
        assert len(watch.of(AnswerDelta)) > 1
        assert turn.packed is not None
        assert turn.packed.tokens <= 256
        assert turn.packed.request.messages[-2].content == "Remark number 999."
        assert (await engine.library.session(session.id)).message_count == 1_002


async def until_begun(watch: Watch, after: int = 0) -> None:
    """Wait until an answer has begun; a small processor takes its time to read a prompt."""
    async with asyncio.timeout(120):
        while len(watch.of(AnswerDelta)) <= after:
            await asyncio.sleep(0.01)
