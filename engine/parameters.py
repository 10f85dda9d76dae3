"""What one conversation has set otherwise than the settings: sampling, window, persona."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from engine.llm.base import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Settings
    from storage.records import Session

STATE_KEY = "parameters"
"""Of a session's state."""

PERSONAS = "personas"
"""The folder beside the settings file that holds a Markdown file for each persona."""


class ParameterError(Exception):
    """There is no such parameter, or it can't have that value; the message says what would do."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a conversation has set. None, or nothing, leaves it to the settings."""

    temperature: float | None = None
    """From 0, which always says the likeliest, upwards."""

    top_p: float | None = None
    """Only the likeliest words that make up this share of all, from 0 to 1."""

    seed: int | None = None
    """The same question with the same seed has the same answer."""

    max_tokens: int | None = None
    """The longest answer, in tokens (Ollama's `num_predict`)."""

    context_length: int | None = None
    """The window, in tokens (Ollama's `num_ctx`)."""

    stop: tuple[str, ...] = ()
    """Where one of these would be said, the answer ends."""

    think: bool | None = None
    """Whether a model that can think aloud does so."""

    keep_alive: str | None = None
    """How long Ollama keeps the model in memory after an answer, such as `10m`."""

    persona: str | None = None
    """Whose instructions the model gets: the name of a file in the folder of personas."""

    recall: bool | None = None
    """Whether anything is brought back from memory."""


LIMITS: dict[str, tuple[float, float]] = {
    "temperature": (0, 5),
    "top_p": (0, 1),
    "max_tokens": (1, 10_000_000),
    "context_length": (256, 10_000_000),
}
"""The least and the largest value, where there are such."""


def parameters_of(session: Session | None) -> Parameters:
    """What a session has set."""
    kept = session.state.get(STATE_KEY) if session is not None else None
    return msgspec.convert(kept, Parameters) if kept else Parameters()


def changed(parameters: Parameters, name: str, text: str) -> Parameters:
    """The parameters with one more set, as somebody wrote it; with nothing written, with one less.

    Raises:
        ParameterError: There is none of that name, or the text does not fit it.
    """
    names = Parameters.__struct_fields__
    if name not in names:
        raise ParameterError(f"There is no parameter {name!r}; there are {', '.join(names)}.")
    if not text.strip():
        return msgspec.structs.replace(parameters, **{name: getattr(Parameters(), name)})
    value: Any = tuple(text.split()) if name == "stop" else text.strip()
    try:
        value = msgspec.convert(value, get_type_hints(Parameters)[name], strict=False)
    except msgspec.ValidationError:
        raise ParameterError(f"{name} can't be {text.strip()!r}; {_wanted(name)}.") from None
    least, largest = LIMITS.get(name, (float("-inf"), float("inf")))
    if isinstance(value, int | float) and not least <= value <= largest:
        raise ParameterError(f"{name} can't be {text.strip()!r}; {_wanted(name)}.")
    return msgspec.structs.replace(parameters, **{name: value})


def _wanted(name: str) -> str:
    if name in ("think", "recall"):
        return "write `true` or `false`"
    if name not in LIMITS:
        return "write a whole number"
    least, largest = LIMITS[name]
    return f"write a number from {least:,g} to {largest:,.0f}"


def in_words(parameters: Parameters) -> str:
    """What is set, in one line; empty when nothing is."""
    return ", ".join(
        f"{name} {' '.join(value) if isinstance(value, tuple) else value}"
        for name in Parameters.__struct_fields__
        if (value := getattr(parameters, name)) not in (None, ())
    )


def personas(config_dir: Path) -> list[str]:
    """The names of the personas that there are."""
    try:
        return sorted(file.stem for file in (config_dir / PERSONAS).glob("*.md") if file.is_file())
    except OSError:
        return []


def effective(settings: Settings, session: Session, config_dir: Path) -> Settings:
    """The settings as they are for one session. Reads a file: not for the event loop.

    Raises:
        ModelError: The session's persona is not there.
    """
    own = parameters_of(session)
    names = ("temperature", "top_p", "seed", "max_tokens", "context_length", "think")
    model = {name: value for name in names if (value := getattr(own, name)) is not None}
    if own.stop:
        model["stop"] = own.stop
    if own.persona:
        model["system_prompt"] = _instructions(own.persona, config_dir)
    changes: dict[str, Any] = {}
    if model:
        changes["model"] = msgspec.structs.replace(settings.model, **model)
    if own.recall is not None:
        changes["memory"] = msgspec.structs.replace(settings.memory, recall=own.recall)
    if own.keep_alive is not None:
        changes["ollama"] = msgspec.structs.replace(settings.ollama, keep_alive=own.keep_alive)
    return msgspec.structs.replace(settings, **changes) if changes else settings


def _instructions(persona: str, config_dir: Path) -> str:
    if persona in personas(config_dir):  # and no path that leads elsewhere
        file = config_dir / PERSONAS / f"{persona}.md"
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(
                "persona_unreadable", f"{file} can't be read: {error}.", "Correct the file."
            ) from None
    raise ModelError(
        "no_persona",
        f"There is no persona {persona!r}.",
        f"Write its instructions into {config_dir / PERSONAS / persona}.md, or /persona none.",
    )


PARAMETER_WORDS = {
    "temperature": "0 says the likeliest, more varies",
    "top_p": "the likeliest words of this share",
    "seed": "the same seed, the same answer",
    "max_tokens": "longest answer, in tokens",
    "context_length": "the window, in tokens",
    "stop": "words at which the answer ends",
    "think": "true or false, where a model can",
    "keep_alive": "for so long Ollama keeps it: 10m",
    "persona": "whose instructions it gets",
    "recall": "true or false: memories brought back",
}
"""What each is, in a few words."""
