"""Which model answers: what the user set, else Ollama if it answers, else the embedded one."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from engine.config import EmbeddedSettings, ModelSettings, OllamaSettings, Settings
from engine.engine import Engine
from engine.events import ModelChanged
from engine.llm.base import ModelError, ModelInfo
from engine.models import DEFAULT_REF, split_ref
from engine.pool import Lane
from storage.records import Finish
from tests.embedded_weights import paths_under
from tests.engine.support import Watch, running_engine
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Paths


@pytest.fixture
def dead_port() -> str:
    """An address on loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def chosen(settings: Settings, paths: Paths) -> tuple[str, list[str]]:
    """The model that a start chooses, and the states that the screen was told."""
    engine = await Engine.open(settings, paths)
    watch = Watch(engine)
    try:
        info = await engine.models.find().result()
        return info.ref, [event.state for event in watch.of(ModelChanged)]
    finally:
        await engine.close()


async def test_an_ollama_server_that_answers_is_preferred(
    ollama_host: str, embedded_paths: Paths
) -> None:
    settings = Settings(ollama=OllamaSettings(host=ollama_host))
    ref, states = await chosen(settings, embedded_paths)
    assert ref.startswith("ollama:")
    assert states == ["looking", "ready"]


async def test_without_an_ollama_server_the_embedded_model_answers(
    dead_port: str, embedded_paths: Paths
) -> None:
    settings = Settings(ollama=OllamaSettings(host=dead_port))
    assert await chosen(settings, embedded_paths) == (DEFAULT_REF, ["looking", "ready"])


async def test_a_server_that_accepts_and_says_nothing_does_not_hold_up_the_choice(
    embedded_paths: Paths,
) -> None:
    # A real Ollama can't be made to accept a connection and stay silent.
    release = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(ollama=OllamaSettings(host=f"127.0.0.1:{port}"))
    async with asyncio.timeout(30):
        assert (await chosen(settings, embedded_paths))[0] == DEFAULT_REF
    release.set()
    server.close()
    await server.wait_closed()


async def test_what_the_user_set_goes_first(ollama_host: str, embedded_paths: Paths) -> None:
    settings = Settings(
        model=ModelSettings(default=DEFAULT_REF), ollama=OllamaSettings(host=ollama_host)
    )
    assert (await chosen(settings, embedded_paths))[0] == DEFAULT_REF


async def test_a_model_that_was_set_and_is_not_there_is_an_error_with_a_next_step(
    ollama_host: str, embedded_paths: Paths
) -> None:
    settings = Settings(
        model=ModelSettings(default="ollama:nobody"), ollama=OllamaSettings(host=ollama_host)
    )
    engine = await Engine.open(settings, embedded_paths)
    watch = Watch(engine)
    with pytest.raises(ModelError) as caught:
        await engine.models.find().result()
    await engine.close()
    assert caught.value.kind == "model_missing"
    assert watch.of(ModelChanged)[-1].state == "failed"
    assert "ollama pull nobody" in watch.of(ModelChanged)[-1].detail


async def test_missing_weights_are_fetched_with_progress_while_the_first_question_waits(
    dead_port: str, tmp_path: Path
) -> None:
    settings = Settings(ollama=OllamaSettings(host=dead_port), model=ModelSettings(max_tokens=8))
    engine = await Engine.open(settings, paths_under(tmp_path))
    watch = Watch(engine)
    try:
        turn = await engine.send(None, "Say hello.")
        answer = await turn.wait()
        assert answer.finish is Finish.COMPLETE, answer.failure
        fetching = [event for event in watch.of(ModelChanged) if event.state == "fetching"]
        assert "93 MB" in fetching[0].detail
        shares = [event.share for event in fetching if event.share is not None]
        assert shares == sorted(shares)
        assert len(set(shares)) > 2
        assert (tmp_path / "models").exists()
    finally:
        await engine.close()


async def test_a_cancelled_fetch_fails_the_question_with_a_way_on(
    dead_port: str, tmp_path: Path
) -> None:
    settings = Settings(ollama=OllamaSettings(host=dead_port))
    engine = await Engine.open(settings, paths_under(tmp_path))
    watch = Watch(engine)
    try:
        turn = await engine.send(None, "Say hello.")
        await watch.until(ModelChanged, lambda event: event.state == "fetching")
        (job,) = engine.pool.living(Lane.DOWNLOAD)
        job.cancel()
        answer = await turn.wait()
        assert answer.failure is not None
        assert answer.failure.kind == "fetch_cancelled"
        assert watch.of(ModelChanged)[-1].state == "failed"
    finally:
        await engine.close()


async def test_an_answer_of_the_embedded_model_is_kept_with_exact_counts(
    dead_port: str, embedded_paths: Paths
) -> None:
    settings = Settings(
        ollama=OllamaSettings(host=dead_port),
        model=ModelSettings(max_tokens=16),
        embedded=EmbeddedSettings(context_length=1024),
    )
    engine = await Engine.open(settings, embedded_paths)
    try:
        turn = await engine.send(None, "Name a bird.")
        answer = await turn.wait()
        assert answer.finish is Finish.COMPLETE, answer.failure
        assert turn.packed is not None
        assert turn.packed.exact
        assert turn.packed.window == 1024
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == turn.packed.tokens
    finally:
        await engine.close()


async def test_the_listing_holds_every_backend_s_models(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend()) as engine:
        refs = [info.ref for info in await engine.models.listing()]
        assert "scripted:parrot" in refs


@pytest.mark.parametrize(
    ("ref", "parts"),
    [
        ("ollama:llama3.2", ("ollama", "llama3.2")),
        ("ollama:hf.co/org/model:Q4", ("ollama", "hf.co/org/model:Q4")),
    ],
)
def test_a_ref_is_split_at_its_first_colon(ref: str, parts: tuple[str, str]) -> None:
    assert split_ref(ref) == parts


@pytest.mark.parametrize("ref", ["", "llama3.2", ":x", "ollama:"])
def test_a_ref_without_provider_or_name_is_refused(ref: str) -> None:
    with pytest.raises(ModelError, match="names no model"):
        split_ref(ref)


async def test_a_provider_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        with pytest.raises(ModelError, match="no kind of model"):
            await engine.models.choose("oracle:delphi")


async def test_a_model_that_is_chosen_while_one_is_looked_for_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asyncio.Event()
    async with running_engine(tmp_path) as engine:
        # A stand-in for a download that takes long.
        async def late() -> ModelInfo:
            await found.wait()
            return ModelInfo(provider="embedded", name="late")

        monkeypatch.setattr(engine.models, "_first_choice", late)
        search = engine.models.find()
        await engine.models.choose("scripted:parrot")
        found.set()
        assert (await search.result()).ref == "scripted:parrot"
        assert engine.models.current is not None
        assert engine.models.current.ref == "scripted:parrot"
