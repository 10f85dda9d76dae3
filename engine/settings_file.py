"""The settings file from within: what there is to set, what is wrong with it, and writing into it.

Imported only where that is needed; a start reads the file with `engine.config` alone.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import os
import re
import tempfile
import tomllib
import types
from functools import cache
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from engine import config
from engine.config import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


AT_ONCE = {
    "model": {"system_prompt", "temperature", "top_p", "seed", "stop", "max_tokens", "think"},
    "ollama": {"keep_alive"},
    "context": {"priority", "summarize_after", "keep_last"},
    "tools": {"folders"},
    "memory": {"recall", "limit"},
    "ui": {"theme", "notify_after_seconds", "sidebar", "inspector"},
}
"""What the engine and the screen read when they need it. Everything else is read at the start."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be set."""

    section: str
    key: str
    kind: Any
    """Its type, with its bounds."""

    default: Any
    words: str
    """What it is for."""

    @property
    def at_once(self) -> bool:
        """Whether it holds without a restart."""
        return self.key in AT_ONCE.get(self.section, ())

    @property
    def variable(self) -> str:
        """The environment variable that goes before the file."""
        return f"SCRUBJAY_{self.section}_{self.key}".upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be, where there is nothing else."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def wanted(self) -> str:
        """What it takes, for people."""
        return _wanted(self.kind)


@cache
def all_settings() -> tuple[Setting, ...]:
    """Everything that can be set, as it stands in the file. Tables that users fill are left out."""
    words = _docstrings()
    found: list[Setting] = []
    for section, part in _hints(Settings).items():
        if not (isinstance(part, type) and issubclass(part, msgspec.Struct)):
            continue
        kinds = _hints(part)
        for field in msgspec.structs.fields(part):
            if get_origin(kinds[field.name]) is not dict:
                setting = Setting(
                    section=section,
                    key=field.name,
                    kind=kinds[field.name],
                    default=field.default,
                    words=words.get((part.__name__, field.name), ""),
                )
                found.append(setting)
    return tuple(found)


def find(section: str, key: str) -> Setting:
    """The setting of that name, which there is."""
    return next(one for one in all_settings() if (one.section, one.key) == (section, key))


def changed(settings: Settings, section: str, key: str, written: str | None) -> Settings:
    """The settings with one that somebody wrote, outside a TOML file.

    A list is parted by commas, or written as in TOML. Nothing written leaves open what may be.
    None is the default.

    Raises:
        SettingsError: It can't be that; the message says what it can be.
    """
    setting = find(section, key)
    try:
        value = setting.default
        if written is not None:
            value = msgspec.convert(_read(setting.kind, written), setting.kind, strict=False)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError):
        raise SettingsError(f"{key} must be {setting.wanted}.") from None
    try:
        part = msgspec.structs.replace(getattr(settings, section), **{key: value})
    except ValueError as error:
        raise SettingsError(f"{error}.") from None
    return msgspec.structs.replace(settings, **{section: part})


def write(file: Path, section: str, key: str, value: object) -> None:
    """Set a key in the file, and keep everything else as its user wrote it; None takes it out.

    The file and its folder are made if they are not there. It is replaced whole, so that nobody
    reads half of it. A link stays one.

    Raises:
        SettingsError: The file can't be read, is not TOML, or can't be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    file = file.resolve()
    try:
        text = file.read_bytes().decode()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} can't be read: {error}") from None
    try:
        document = tomlkit.parse(text)
        table: Any = document.setdefault(section, tomlkit.table())
        if value is None:
            table.pop(key, None)
        else:
            table[key] = list(value) if isinstance(value, tuple) else value
        written = tomlkit.dumps(document)
        tomllib.loads(written)
    except (TOMLKitError, tomllib.TOMLDecodeError, TypeError, AttributeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from None
    try:
        _replace(file, written)
    except OSError as error:
        raise SettingsError(f"{file} can't be written: {error.strerror}.") from None


def explain(file: Path, text: str, raw: Mapping[str, Any], error: str) -> str:
    """What is wrong in a file that does not fit: its place, the key, and the remedy.

    Args:
        file: The file.
        text: What is in it.
        raw: The same, as TOML.
        error: What msgspec says.
    """
    message, _, place = error.partition(" - at `$")
    keys = _place(place, raw)
    if unknown := re.search(r"unknown field `(.+)`", message):
        keys = [*keys, unknown[1]]
        advice = _unknown(keys)
    elif message.startswith(("Expected", "Invalid")):
        advice = f"{_name(keys)} {_misfit(keys, raw)}"
    else:  # what a section itself checks
        keys = [*keys, *_named(message, _at(raw, keys))]
        advice = f"{_name(keys)}: {message}. Correct it, or take it out."
    return f"{file}, line {line_of(text, keys)}: {advice}"


def line_of(text: str, keys: Sequence[str]) -> int:
    """The line on which the statement begins that gives the key its value, counted from 1.

    What comes before a statement is TOML by itself, and what holds only a part of it is none. So
    it begins behind the last beginning of the file that is TOML and does not have the key yet.
    """
    lines = text.split("\n")
    before = 0
    for count in range(1, len(lines) + 1):
        try:
            table: Any = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        if table is not None:
            break
        before = count
    return before + 1


def _place(place: str, raw: Mapping[str, Any]) -> list[str]:
    """The keys that lead to what is wrong. Of a table's entries msgspec does not tell which."""
    keys: list[str] = []
    for name, _of_table in re.findall(r"\.(\w+)|(\[\.\.\.\])", place):
        if name:
            keys.append(name)
        elif isinstance(table := _at(raw, keys), dict):
            kind = get_args(_kind(keys))[1]
            keys.append(next(key for key, value in table.items() if not _fits(value, kind)))
    return keys


def _at(raw: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        raw = raw[key]
    return raw


def _kind(keys: Sequence[str]) -> Any:
    """The type of what the keys lead to."""
    kind: Any = Settings
    for key in keys:
        kind = get_args(kind)[1] if get_origin(kind) is dict else _hints(kind)[key]
    return kind


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _is_section(kind: Any) -> bool:
    """Whether it is a section, or a table of such."""
    if get_origin(kind) is dict:
        kind = get_args(kind)[1]
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _name(keys: Sequence[str]) -> str:
    """The keys, as `[section] key`."""
    count = 1
    while count < len(keys) and _is_section(_kind(keys[: count + 1])):
        count += 1
    return f"[{'.'.join(keys[:count])}] {'.'.join(keys[count:])}".rstrip()


def _unknown(keys: Sequence[str]) -> str:
    """That there is no such key, and which was perhaps meant."""
    *above, key = keys
    there = list(_kind(above).__struct_fields__)
    if above:
        what = f"{_name(above)} has no {key!r}."
    else:
        what = f"There is no section [{key}]."
    near = difflib.get_close_matches(key, there, n=1)
    elsewhere = [one.section for one in all_settings() if one.key == key]
    if near:
        meant = near[0] if above else f"[{near[0]}]"
        return f"{what} Perhaps {meant} is meant."
    if elsewhere:
        return f"{what} {key} belongs below [{'] or ['.join(elsewhere)}]."
    return (
        f"{what} It has {', '.join(there)}." if above else f"{what} There are {', '.join(there)}."
    )


def _named(message: str, table: Mapping[str, Any]) -> list[str]:
    """The keys below a table that lead to what a message names."""
    for key, value in table.items():
        if isinstance(value, dict) and (below := _named(message, value)):
            return [key, *below]
        if re.search(rf"\b{re.escape(key)}\b", message):
            return [key]
    return []


def _misfit(keys: Sequence[str], raw: Mapping[str, Any]) -> str:
    value, kind = _at(raw, keys), _kind(keys)
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    return f"is {shown}, and must be {_wanted(kind)}. Correct it, or take it out."


@cache
def _hints(struct: type) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _wanted(kind: Any) -> str:
    """A type, for people."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_wanted(one) for one in arguments if one is not type(None))
    if origin is Annotated:
        bounds = arguments[1]
        what = _wanted(arguments[0])
        if bounds.le is not None:
            return f"{what} from {bounds.ge} to {bounds.le}"
        return f"{what} above {bounds.gt}" if bounds.ge is None else f"{what}, at least {bounds.ge}"
    if origin is Literal:
        return " or ".join(f"“{one}”" for one in arguments)
    if origin is tuple:
        return "a list of texts" if arguments[0] is str else f"a list of {_wanted(arguments[0])}"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return "a section"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]


def _read(kind: Any, written: str) -> object:
    """What somebody wrote, as msgspec takes it."""
    if not written.strip() and type(None) in get_args(kind):
        return None
    if get_origin(kind) is tuple:
        if written.lstrip().startswith("["):
            return tomllib.loads(f"value = {written}")["value"]
        return [part.strip() for part in written.split(",") if part.strip()]
    return written


def _docstrings() -> dict[tuple[str, str], str]:
    """The words below each attribute in the source of `engine.config`, by class and attribute."""
    found: dict[tuple[str, str], str] = {}
    for cls in ast.parse(inspect.getsource(config)).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        for statement, after in zip(cls.body, cls.body[1:], strict=False):
            match statement, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found[cls.name, name] = " ".join(words.split())
                case _:
                    pass
    return found


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as fresh:
            fresh.write(text)
            fresh.flush()
            os.fsync(fresh.fileno())
        os.chmod(name, mode)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
