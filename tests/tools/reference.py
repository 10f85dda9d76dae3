"""The reference pages of the documentation, from the code: `python -m tests.tools.reference`.

Writes docs/reference; a test compares what lies there with what would be written.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import pkgutil
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

import msgspec
from textual.binding import Binding
from textual.keys import key_to_character

import tui
from engine import config, plugins, settings_file
from engine.agent import Agent, AgentResult
from engine.config import Settings
from engine.memory.client import Attribution, Memory
from tests.tools import session_schema
from tests.tools.manpage import _arguments, _name
from tui.command_line.arguments import CODES, build_parser
from tui.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made from the code by `make reference`. -->\n"

PLACES = {
    "ChatScreen": "Everywhere",
    "Composer": "Writing",
    "Transcript": "Reading a conversation",
    "FindBar": "Finding words",
    "SessionList": "Past conversations",
    "Rows": "Lists in the inspector",
    "Inspector": "The inspector",
    "MemoryPanel": "Memory",
    "RequestPanel": "The last request",
}
"""Where keys work, by the class that binds them, in this order. Other classes follow as dialogs."""

PYTHON = (
    ("Plugins", "engine.plugins", [getattr(plugins, name) for name in plugins.__all__]),
    ("Memory for your own programs", "engine.memory.client", [Memory, Attribution]),
    ("An agent without a screen", "engine.agent", [Agent, AgentResult]),
)
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\s*(.*)$")


class Bound(NamedTuple):
    """Keys, and what they do."""

    place: str
    keys: tuple[str, ...]
    words: str
    name: str


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Every page of the reference, by its file's name."""
    schema = msgspec.json.schema(Settings)
    return {
        "command-line.md": _text("The command line", _command_line()),
        "settings.md": _text("Settings", _settings()),
        "keys.md": _text("Keys and commands", _keys()),
        "schemas.md": _text("JSON schemas", _schemas()),
        "python.md": _text("Python", _python()),
        "session.schema.json": session_schema.text(),
        "settings.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
    }


def bindings() -> list[Bound]:
    """Every key that is bound and described, or does something without being told, by place."""
    found: list[Bound] = []
    seen: set[type] = set()
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if kind in seen or kind.__module__ != module.name:
                continue
            seen.add(kind)
            rows: dict[str, Bound] = {}
            for binding in Binding.make_bindings(kind.__dict__.get("BINDINGS", ())):
                keys = tuple(key.strip() for key in binding.key.split(","))
                words = binding.tooltip or binding.description
                before = rows.get(words)
                rows[words] = Bound(
                    kind.__name__,
                    (*(before.keys if before else ()), *keys),
                    words,
                    binding.id or "",
                )
            found += rows.values()
    order = list(PLACES)
    return sorted(
        found,
        key=lambda one: (order.index(one.place) if one.place in order else len(order), one.place),
    )


def _text(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"# {title}\n", MADE, *lines]).rstrip() + "\n"


def _command_line() -> Iterator[str]:
    parser = build_parser()
    yield f"{_plain(parser.description)}\n"
    yield from _options(parser)
    yield from _commands(parser, "scrubjay")
    yield f"## Exit codes\n\n```text\n{textwrap.dedent(CODES.partition(chr(10))[2]).rstrip()}\n```"


def _commands(parser: argparse.ArgumentParser, path: str) -> Iterator[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        told = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, inner in action.choices.items():
            here = f"{path} {name}"
            if any(isinstance(one, argparse._SubParsersAction) for one in inner._actions):
                yield from _commands(inner, here)
                continue
            yield f"## {here}\n"
            yield f"`{f'{here} {_arguments(inner)}'.rstrip()}`\n"
            yield f"{_plain(inner.description or _sentence(told[name]))}\n"
            yield from _options(inner)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help is argparse.SUPPRESS:
            continue
        value = f" {_name(action)}" if action.nargs != 0 else ""
        shown = [f"`{one}{value}`" for one in action.option_strings] or [f"`{_name(action)}`"]
        rows.append((", ".join(shown), action.help or ""))
    yield from _table(("argument", "meaning"), rows)


def _settings() -> Iterator[str]:
    yield (
        "In `config.toml`, each below its section; `f9` in the app shows and writes them. A setting"
        " can also be given by the environment, as `SCRUBJAY_SECTION_KEY`. What holds *at once* is"
        " used as soon as it is set in the app; the rest at the next start.\n"
    )
    words = settings_file._docstrings()
    hints = settings_file._hints(Settings)
    for section in Settings.__struct_fields__:
        kind = hints[section]
        if get_origin(kind) is dict:
            yield f"## [{section}]\n\n{words['Settings', section]}\n"
            continue
        yield f"## [{section}]\n\n{inspect.getdoc(kind)}\n"
        rows = [
            (
                f"`{one.key}`",
                _cell(one.wanted),
                f"`{_toml(one.default)}`" if one.default is not None else "unset",
                one.words + (" *At once.*" if one.at_once else ""),
            )
            for one in settings_file.all_settings()
            if one.section == section
        ]
        fields = {field.name: settings_file._hints(kind)[field.name] for field in _fields(kind)}
        rows += [
            (f"`{name}`", "a section", "empty", words[kind.__name__, name])
            for name, hint in fields.items()
            if get_origin(hint) is dict
        ]
        yield from _table(("key", "takes", "default", "meaning"), rows)
        for name, hint in fields.items():
            if get_origin(hint) is dict and issubclass(entry := get_args(hint)[1], msgspec.Struct):
                yield f"### [{section}.{name}.NAME]\n\n{inspect.getdoc(entry)}\n"
                yield from _table(("key", "takes", "default", "meaning"), _entry(entry, words))


def _entry(kind: type, words: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, ...]]:
    """What each of the things that a user names can be given."""
    hints = settings_file._hints(kind)
    for field in _fields(kind):
        factory = field.default_factory
        default = field.default if factory is msgspec.NODEFAULT else factory()
        written = "empty" if default == {} else f"`{_toml(default)}`"
        wanted = _cell(settings_file._wanted(hints[field.name]))
        yield f"`{field.name}`", wanted, written, words[kind.__name__, field.name]


def _fields(kind: type) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _keys() -> Iterator[str]:
    yield (
        "Every key, by where it works. Those with a name can be given others, below `[keys]` in the"
        ' settings: `"chat.new" = "f10"`. Lines that begin with `/` are commands.\n'
    )
    place = ""
    rows: list[tuple[str, ...]] = []
    for bound in bindings():
        if bound.place != place:
            yield from _key_table(place, rows)
            place, rows = bound.place, []
        shown = " ".join(f"`{_key(key)}`" for key in bound.keys)
        rows.append((shown, bound.words, f"`{bound.name}`" if bound.name else ""))
    yield from _key_table(place, rows)
    yield "## Commands\n"
    yield from _table(
        ("command", "does"),
        [
            (f"`{command.slash} {command.takes}".rstrip() + "`", f"{command.title}. {command.help}")
            for command in COMMANDS
            if command.slash
        ],
    )


def _key_table(place: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        name = PLACES.get(place) or re.sub(r"(?<!^)([A-Z])", r" \1", place).capitalize()
        yield f"## {name}\n"
        yield from _table(("key", "does", "name"), rows)


def _key(key: str) -> str:
    """A key as it stands on the keyboard: `[`, and not `left_square_bracket`."""
    return key_to_character(key) or key if "_" in key else key


def _schemas() -> Iterator[str]:
    yield (
        "Both are [JSON Schema](https://json-schema.org), made from the records that the program"
        " itself reads and writes.\n"
    )
    yield (
        "- [session.schema.json](session.schema.json): a conversation, as"
        " `scrubjay sessions export --format json` writes it and `scrubjay sessions import` takes"
        " it in.\n- [settings.schema.json](settings.schema.json): the settings file, for editors"
        " that complete TOML.\n"
    )
    for title, schema in (
        ("A conversation", json.loads(session_schema.text())),
        ("The settings", msgspec.json.schema(Settings)),
    ):
        yield f"## {title}\n"
        rows = [
            (f"`{name}`", _cell(one.get("description", "")), ", ".join(one.get("properties", {})))
            for name, one in sorted(schema["$defs"].items())
        ]
        yield from _table(("record", "is", "fields"), rows)


def _python() -> Iterator[str]:
    yield (
        "What programs and plugins may import; everything else may change with any release. The"
        " packages are named `engine`, `storage`, `tui` and `assets`.\n"
    )
    for title, module, things in PYTHON:
        yield f"## {title}\n\n{_plain(inspect.getdoc(import_module(module)))}\n"
        for thing in things:
            yield from _thing(thing, module)


def _thing(thing: Any, module: str) -> Iterator[str]:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        yield f"### API\n\n`{module}.API = {thing}`\n"
        return
    yield f"### {thing.__name__}\n"
    yield f"```python\n{thing.__name__}{_signature(thing)}\n```\n"
    yield f"{_docstring(thing)}\n"
    if not inspect.isclass(thing):
        return
    told = _attributes(thing)
    if told:
        yield from _table(("field", "is"), [(f"`{name}`", words) for name, words in told.items()])
    for name, member in vars(thing).items():
        function = getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function):
            begin = "async " if inspect.iscoroutinefunction(function) else ""
            yield f"```python\n{begin}{thing.__name__}.{name}{_signature(function)}\n```\n"
            yield f"{_docstring(function)}\n"


def _signature(thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, msgspec.Struct):
        return f"({', '.join(_struct_fields(thing))})"
    try:
        return str(inspect.signature(thing)).replace("'", "")
    except ValueError:
        return "()"


def _struct_fields(kind: type[msgspec.Struct]) -> Iterator[str]:
    """The fields as they are written; msgspec can't read hints that are for mypy alone."""
    written = {name: hint for one in reversed(kind.__mro__) for name, hint in _hints(one).items()}
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    for name, default in zip(
        names, [msgspec.NODEFAULT] * (len(names) - len(defaults)) + list(defaults), strict=True
    ):
        end = "" if default is msgspec.NODEFAULT else f" = {default!r}"
        yield f"{name}: {written[name]}{end if '<' not in end else ' = …'}"


def _hints(kind: type) -> dict[str, str]:
    return inspect.get_annotations(kind)


def _docstring(thing: Any) -> str:
    """A docstring in Google's form as Markdown."""
    lines: list[str] = []
    within = False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if found := SECTION.match(line):
            lines += ["", f"*{found[1]}:* {found[2]}".rstrip(), ""]
            within = True
        elif within and re.match(r"^    \S", line):
            name, colon, words = line.strip().partition(": ")
            lines.append(f"- `{name}`: {words}" if colon else f"- {line.strip()}")
        else:
            lines.append(line.strip() if not within else f"  {line.strip()}".rstrip())
    return "\n".join(lines).strip()


def _attributes(kind: type) -> dict[str, str]:
    """The words below each attribute in a class's source."""
    [found] = [
        node
        for node in ast.parse(inspect.getsource(inspect.getmodule(kind) or config)).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    ]
    told = {}
    for statement, after in zip(found.body, found.body[1:], strict=False):
        match statement, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                told[name] = " ".join(words.split())
            case _:
                pass
    return told


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    if not rows:
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
    yield ""


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def _plain(text: str | None) -> str:
    """A description as Markdown; what is indented is shown as it is."""
    return "\n".join(
        f"\n    {line.strip()}" if line.startswith("  ") else line
        for line in (text or "").splitlines()
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


if __name__ == "__main__":
    main()
