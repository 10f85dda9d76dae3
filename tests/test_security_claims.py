"""docs/security.md: every claim names a test that is there, and every address is told."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
UNPROTECTED = "What is not protected"

NEVER_ASKED = {
    "github.com",  # named to the services, as who asks them
    "json-schema.org",
    "web.resource.org",  # the name of an XML vocabulary
    "news.ycombinator.com",  # where an article of the service is shown
    # In comments and docstrings: where something is specified.
    "developers.google.com",
    "encoding.spec.whatwg.org",
    "example.org",
    "info.arxiv.org",
    "man7.org",
    "platform.openai.com",
    "specifications.freedesktop.org",
    "www.mediawiki.org",
    "www.postgresql.org",
    "www.w3.org",
    "www.rfc-editor.org",
    "www.rssboard.org",
    "www.sqlite.org",
    "invisible-island.net",
    "iterm2.com",
}


def _claims() -> list[str]:
    """The items of the page's lists, but for those of what is not protected."""
    sections = [one for one in PAGE.split("\n## ")[1:] if not one.startswith(UNPROTECTED)]
    return [item for one in sections for item in re.split(r"^- ", one, flags=re.MULTILINE)[1:]]


def found_in(file: Path) -> set[str]:
    """The tests in a file, those of classes as `Class::test`."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if _is_test(one)}
        elif _is_test(node):
            found.add(node.name)
    return found


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, functions) and node.name.startswith("test_")


def test_every_claim_names_a_test() -> None:
    claims = _claims()
    assert len(claims) > 15
    assert [claim for claim in claims if not NAMED.search(claim)] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(PAGE))))
def test_every_named_test_is_there(file: str, name: str) -> None:
    assert name in found_in(ROOT / file)


def test_what_is_not_encrypted_is_said_plainly() -> None:
    assert "Nothing is encrypted at rest" in PAGE.partition(UNPROTECTED)[2]


def test_every_address_in_the_program_is_known() -> None:
    hosts = {
        host
        for folder in ("tui", "engine", "storage")
        for file in (ROOT / folder).rglob("*.py")
        for host in re.findall(
            r"https?://([a-z0-9.-]+\.[a-z]{2,})", file.read_text(encoding="utf-8")
        )
    }
    told = {host for host in hosts if host in PAGE}
    assert hosts - told == NEVER_ASKED
    assert "en.wikipedia.org" in told
