"""What one conversation has set for itself: how it is written, kept, and sent to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.parameters import (
    LIMITS,
    PARAMETER_WORDS,
    ParameterError,
    Parameters,
    changed,
    in_words,
    parameters_of,
    personas,
)
from tests.engine.support import SETTINGS, running_engine
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path


def test_each_parameter_is_set_as_it_is_written_and_unset_by_nothing() -> None:
    written = {
        "temperature": ("0.2", 0.2),
        "top_p": ("1", 1.0),
        "seed": (" 7 ", 7),
        "max_tokens": ("100", 100),
        "context_length": ("2048", 2048),
        "stop": ("END STOP", ("END", "STOP")),
        "think": ("false", False),
        "keep_alive": ("5m", "5m"),
        "persona": ("poet", "poet"),
        "recall": ("false", False),
    }
    assert list(written) == list(Parameters.__struct_fields__) == list(PARAMETER_WORDS)
    parameters = Parameters()
    for name, (text, value) in written.items():
        parameters = changed(parameters, name, text)
        assert getattr(parameters, name) == value
    assert msgspec.convert(msgspec.to_builtins(parameters), Parameters) == parameters
    assert "temperature 0.2" in in_words(parameters)
    assert "stop END STOP" in in_words(parameters)
    for name in written:
        parameters = changed(parameters, name, " ")
    assert parameters == Parameters()
    assert in_words(parameters) == ""


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("warmth", "1", "there are temperature, top_p"),
        ("temperature", "hot", "a number from 0 to 5"),
        ("temperature", "-1", "a number from 0 to 5"),
        ("temperature", "nan", "a number from 0 to 5"),
        ("top_p", "1.5", "a number from 0 to 1"),
        ("seed", "1.5", "a whole number"),
        ("context_length", "1", "a number from 256"),
        ("think", "perhaps", "`true` or `false`"),
        ("recall", "rarely", "`true` or `false`"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(name: str, text: str, wanted: str) -> None:
    with pytest.raises(ParameterError, match=wanted):
        changed(Parameters(), name, text)


def test_limits_are_of_parameters_that_there_are() -> None:
    assert set(LIMITS) <= set(Parameters.__struct_fields__)


async def test_a_session_s_own_parameters_reach_the_model_and_no_other_session(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend()
    async with running_engine(tmp_path, backend) as engine:
        folder = engine.paths.config_dir / "personas"
        folder.mkdir(parents=True)
        (folder / "poet.md").write_text("You answer in verse.\n")
        assert personas(engine.paths.config_dir) == ["poet"]
        own = await engine.library.create()
        parameters = Parameters(
            temperature=0.2, stop=("END",), context_length=512, think=False, persona="poet"
        )
        await engine.library.set_parameters(own.id, parameters)
        for session_id in (own.id, None):
            await (await engine.send(session_id, "Hello")).wait()
        first, second = backend.requests
        assert first.options.temperature == 0.2
        assert first.options.stop == ("END",)
        assert first.options.context_length == 512
        assert first.think is False
        assert "You answer in verse." in first.messages[0].content
        assert second.options.temperature is None
        assert second.options.context_length == 2048
        assert "verse" not in second.messages[0].content
        packed = await engine.preview(own.id)
        assert packed.request.options == first.options
    async with running_engine(tmp_path, ScriptedBackend(), SETTINGS) as engine:
        assert parameters_of(await engine.library.session(own.id)) == parameters


async def test_what_is_remembered_reaches_the_model_unless_the_session_wants_none_of_it(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend()
    question = "What was the capital of Peru again?"
    async with running_engine(tmp_path, backend) as engine:
        earlier = await engine.library.create()
        await (await engine.send(earlier.id, "The capital of Peru is Lima, not Cusco.")).wait()
        session = await engine.library.create()
        await engine.library.set_parameters(session.id, Parameters(recall=False))
    async with running_engine(tmp_path, backend) as engine:
        await (await engine.send(session.id, question)).wait()
        assert "Lima" not in str(backend.requests[-1].messages)
        assert not (await engine.preview(session.id)).recollections
        await (await engine.send(None, question)).wait()
        assert "Lima" in str(backend.requests[-1].messages)


@pytest.mark.parametrize("persona", ["gone", "../config", "/etc/passwd"])
async def test_a_persona_that_is_not_there_fails_the_answer_and_says_what_to_do(
    tmp_path: Path, persona: str
) -> None:
    async with running_engine(tmp_path) as engine:
        (engine.paths.config_dir / "personas").mkdir(parents=True)
        (engine.paths.config_dir / "config.md").write_text("secret")
        session = await engine.library.create()
        await engine.library.set_parameters(session.id, Parameters(persona=persona))
        answer = await (await engine.send(session.id, "Hello")).wait()
        assert answer.failure is not None
        assert persona in answer.failure.message
        assert "/persona none" in answer.failure.next_step
