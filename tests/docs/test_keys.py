"""Every key that the documents show is bound, and pressed by a test."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from textual.keys import _character_to_key

from tests.docs.pages import INLINE, PAGES, ROOT
from tests.tools.reference import bindings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOKS_LIKE_A_KEY = re.compile(r"(ctrl|alt|shift)\+\S+|f\d{1,2}")
NOT_KEYS = {"f10", "@", "ctrl+z"}
"""An example of another key that one may set, a sign that begins a file's name, and a key of the
terminal itself."""


@cache
def pressed() -> frozenset[str]:
    """The keys that tests press: what is handed to a `press`, or typed on a terminal."""
    found: set[str] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for test in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {key for text in _pressed_by(test) for key in _keys_of(text)}
    for file in (ROOT / "tests" / "terminal").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            typed = node.value if isinstance(node, ast.Constant) else None
            if isinstance(typed, str) and len(typed) == 1 and ord(typed) < 27:
                found.add(f"ctrl+{chr(ord(typed) + 96)}")
    return frozenset(found)


def _pressed_by(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The texts in its calls of `press`, and those that loops and parameters hand to such calls."""
    presses = [
        node for node in ast.walk(test) if isinstance(node, ast.Call) and "press" in _called(node)
    ]
    if not presses:
        return
    loops = [node.iter for node in ast.walk(test) if isinstance(node, ast.For)]
    for node in (*presses, *loops, *test.decorator_list):
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def _keys_of(text: str) -> set[str]:
    return {text, *map(_character_to_key, text)}


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def key_name(shown: str) -> str:
    return _character_to_key(shown) if len(shown) == 1 else shown


BOUND = sorted({key for bound in bindings() for key in bound.keys})


@pytest.mark.parametrize("key", BOUND)
def test_every_bound_key_is_pressed_by_a_test(key: str) -> None:
    assert {key, key_name(key)} & pressed(), f"no test presses {key}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_keys_in_the_text_are_bound_and_pressed(page: Path) -> None:
    known = {*BOUND, *map(key_name, BOUND)}
    for code in INLINE.findall(page.read_text(encoding="utf-8")):
        key = key_name(code)
        a_sign = len(code) == 1 and code.isascii()
        if not (a_sign or LOOKS_LIKE_A_KEY.fullmatch(code)) or code in NOT_KEYS:
            continue
        assert key in known, f"{page.name}: nothing is bound to {code}"
        assert key in pressed(), f"{page.name}: no test presses {code}"
