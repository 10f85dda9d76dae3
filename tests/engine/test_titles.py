"""Titles: the first words at once, the model's own in the background where it is able."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.events import SessionChanged
from engine.models import is_weak
from engine.titles import LONGEST_CHARACTERS, first_words, write_title
from storage.records import TitleOrigin
from tests.engine.support import Watch, running_engine
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

ABLE = msgspec.structs.replace(INFO, parameters="7.6B")


def able(*scripts: list[str | asyncio.Event]) -> ScriptedBackend:
    backend = ScriptedBackend(*scripts)
    backend.info = ABLE
    return backend


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("  Two\n lines ", "Two lines"),
        ("word " * 30, "word " * 10 + "word…"),
        ("x" * 100, "x" * (LONGEST_CHARACTERS - 1) + "…"),
    ],
)
def test_the_first_words_make_a_short_title(text: str, title: str) -> None:
    assert first_words(text) == title
    assert len(first_words(text)) <= LONGEST_CHARACTERS


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Scrub jay diet", "Scrub jay diet"),
        ('"Scrub jay diet."\n', "Scrub jay diet"),
        ("Title: **Scrub jays**", "Scrub jays"),
        ("", None),
        ("\n\n", None),
        ("A sonnet about the moon", None),
        ("What scrub jays eat in the winter months of the long and cold year", None),
    ],
)
async def test_what_a_model_says_is_a_title_only_if_it_fits(said: str, title: str | None) -> None:
    backend = able([said])
    assert await write_title(backend, ABLE, "What do scrub jays eat?", "Acorns.") == title


async def test_a_session_is_named_by_its_first_words_and_then_by_the_model(tmp_path: Path) -> None:
    backend = able(["Acorns, mostly."], ["What jays eat"])
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        await engine.send(None, "What do jays eat?")
        named = await watch.until(
            SessionChanged, lambda event: event.session.title_origin is TitleOrigin.WORDS
        )
        assert named.session.title == "What do jays eat?"
        renamed = await watch.until(
            SessionChanged, lambda event: event.session.title_origin is TitleOrigin.MODEL
        )
        assert renamed.session.title == "What jays eat"


async def test_a_title_that_a_person_gave_is_kept(tmp_path: Path) -> None:
    release = asyncio.Event()
    backend = able([release, "Acorns."], ["Jays eat acorns"])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "What do jays eat?")
        await engine.library.rename(turn.session_id, "My jays")
        release.set()
        await turn.wait()
        for job in engine.pool.living():
            await job.ended()
        assert (await engine.library.session(turn.session_id)).title == "My jays"
        assert len(backend.requests) == 1  # it was not even asked for one


async def test_a_weak_model_is_not_asked_for_a_title(tmp_path: Path) -> None:
    backend = ScriptedBackend(["Acorns."])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "What do jays eat?")
        await turn.wait()
        for job in engine.pool.living():
            await job.ended()
        assert len(backend.requests) == 1


async def test_a_question_does_not_wait_for_a_title(tmp_path: Path) -> None:
    backend = able(["Acorns."], [asyncio.Event()], ["Seeds too."], ["What jays eat"])
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "What do jays eat?")
        await turn.wait()
        async with asyncio.timeout(5):
            while len(backend.requests) < 2:  # the title's request hangs
                await asyncio.sleep(0)
        answer = await (await engine.send(turn.session_id, "What else do jays eat?")).wait()
        assert answer.content == "Seeds too."
        assert backend.stopped == 1
        renamed = await watch.until(
            SessionChanged, lambda event: event.session.title_origin is TitleOrigin.MODEL
        )
        assert renamed.session.title == "What jays eat"


@pytest.mark.parametrize(
    ("parameters", "weak"),
    [
        ("135M", True),
        ("360m", True),
        ("0.5B", False),
        ("7.6B", False),
        ("1T", False),
        (None, False),
    ],
)
def test_models_of_under_half_a_billion_parameters_are_weak(
    parameters: str | None, weak: bool
) -> None:
    assert is_weak(msgspec.structs.replace(INFO, parameters=parameters)) is weak
