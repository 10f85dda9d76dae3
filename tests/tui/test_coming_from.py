"""What docs/coming-from.md says to press: that it is there, and that a test presses it."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from textual.binding import Binding
from textual.keys import _character_to_key

import tui
from tui.command_line.arguments import build_parser
from tui.commands import SLASH
from tui.widgets.composer import NAME

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coming-from.md"
PROGRAMS = ("elia", "oterm", "PAR LLAMA")
NOT_THERE = "not there"

ROW = re.compile(r"^\| (?P<what>[^|`]+) \| (?P<how>[^|]+?)(?: <!-- (?P<test>\S+) -->)? \|$")


class Row(NamedTuple):
    """What somebody wants to do, what to press for it, and the test that does so."""

    what: str
    pressed: tuple[str, ...]
    test: str


def rows() -> dict[str, Row]:
    found = {}
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## From ")
        elif line.startswith("|") and not line.startswith(("| to do", "| ---")):
            match = ROW.match(line)
            assert match, line
            if match["how"] != NOT_THERE:
                pressed = tuple(re.findall("`([^`]+)`", match["how"]))
                row = Row(match["what"], pressed, match["test"])
                found[f"{section}: {row.what}"] = row
    return found


ROWS = rows()


def keys() -> set[str]:
    """The keys of all bindings of the program."""
    found: set[str] = set()
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            for binding in Binding.make_bindings(kind.__dict__.get("BINDINGS", ())):
                found.update(key.strip() for key in binding.key.split(","))
    return found


def source_of(test: str) -> str:
    """The text of a test, `file::function`, from its decorators on."""
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    raise AssertionError(f"there is no {test}")


def is_there(pressed: str, known: set[str]) -> bool:
    """Whether the program knows a key, a slash command, or a command of its command line."""
    if pressed.startswith("scrubjay "):
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args([*pressed.split()[1:], "--help"])
        return ended.value.code == 0
    if len(pressed) > 1 and pressed.startswith("/"):
        return pressed in SLASH
    if pressed == "@":
        return NAME.search(pressed) is not None
    return pressed in known or key_name(pressed) in known


def key_name(pressed: str) -> str:
    return _character_to_key(pressed) if len(pressed) == 1 else pressed


def is_pressed(pressed: str, source: str) -> bool:
    """Whether a test's text does that."""
    if pressed.startswith("scrubjay "):
        return ", ".join(f'"{word}"' for word in pressed.split()[1:]) in source
    if len(pressed) > 1 and pressed.startswith("/"):
        return re.search(rf'"{pressed}["\s]', source) is not None
    if pressed == "@":
        return re.search(r'press\(\*"[^"]*@', source) is not None
    return any(f'"{name}"' in source for name in (pressed, key_name(pressed)))


def test_there_is_a_table_for_each_program() -> None:
    assert {name.partition(":")[0] for name in ROWS} == set(PROGRAMS)


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_what_is_to_be_pressed_is_there_and_pressed_by_a_test(row: Row) -> None:
    known = keys()
    source = source_of(row.test)
    assert row.pressed
    for pressed in row.pressed:
        assert is_there(pressed, known), f"the program has no {pressed}"
        assert is_pressed(pressed, source), f"{row.test} does not press {pressed}"
