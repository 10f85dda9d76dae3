"""What `make release-check` and `make docs` find wrong, when something is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT
from tests.tools.links import broken
from tests.tools.release import (
    VERSIONS,
    changelog_troubles,
    pythons,
    source_troubles,
    version_of,
    wheel_troubles,
)

if TYPE_CHECKING:
    from pathlib import Path

INFO = "scrubjay-1.0.dist-info/"
WHEEL = [
    "tui/cli.py",
    "assets/prompts/system.md",
    "scrubjay-1.0.data/data/share/man/man1/scrubjay.1",
    *(f"{INFO}licenses/{name}" for name in ("LICENSE", "THIRD_PARTY_LICENSES.md")),
    *(f"{INFO}{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")),
]
COMMITTED = ["tui/cli.py", "assets/prompts/system.md", "assets/pictures/a.svg", "tests/x.py"]


def test_the_version_stands_in_one_place() -> None:
    version = version_of(ROOT)
    assert version.count(".") == 2
    for file in ("pyproject.toml", "Makefile", "mkdocs.yml"):
        assert f'"{version}"' not in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "unreleased", "told"),
    [
        ("## [Unreleased]\n\n- New.\n", True, []),
        ("## [Unreleased]\n\n", True, ["CHANGELOG.md says nothing below [Unreleased]"]),
        ("## [1.0] - 2026-01-31\n\n- New.\n", False, []),
        ("## [1.0]\n\n- New.\n", False, ["CHANGELOG.md has no day beside [1.0]"]),
        ("## [Unreleased]\n\n- New.\n", False, ["CHANGELOG.md has no section [1.0]"]),
        (
            "## [1.0] - 2026-01-31\n\n## [0.9] - 2025-01-31\n\n- Old.\n",
            False,
            ["CHANGELOG.md says nothing below [1.0]"],
        ),
    ],
)
def test_a_version_without_an_entry_is_told(text: str, unreleased: bool, told: list[str]) -> None:
    assert list(changelog_troubles(text, "1.0", unreleased)) == told


def test_what_a_wheel_lacks_or_has_too_much_is_told() -> None:
    assert list(wheel_troubles(WHEEL, COMMITTED, "1.0")) == []
    assert list(wheel_troubles(WHEEL[1:], COMMITTED, "1.0")) == ["the wheel lacks tui/cli.py"]
    more = [*WHEEL, "tests/x.py", "tui/__pycache__/cli.pyc"]
    assert list(wheel_troubles(more, COMMITTED, "1.0")) == [
        "tests/x.py does not belong into the wheel",
        "tui/__pycache__/cli.pyc does not belong into the wheel",
    ]


def test_what_a_source_archive_lacks_or_has_too_much_is_told() -> None:
    needed = ("pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "PKG-INFO")
    names = [f"scrubjay-1.0/{name}" for name in (*needed, "tests/conftest.py")]
    assert list(source_troubles(names, "1.0")) == []
    told = list(source_troubles([*names[1:], "scrubjay-1.0/.venv/x"], "1.0"))
    assert told == [
        "the source archive lacks pyproject.toml",
        ".venv/x does not belong into the source archive",
    ]


def test_the_interpreters_that_are_here_are_found() -> None:
    found = pythons()
    assert found
    assert set(found) <= set(VERSIONS)


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">x</h1><a href="sub/">a</a><a href="#top">b</a><a href="https://x.org/">c</a>'
        '<a href="#bottom">d</a><img src="no.svg"><a href="sub/#place">e</a>'
    )
    (tmp_path / "sub" / "index.html").write_text('<p id="place"><a href="../index.html#top">f</a>')
    assert list(broken(tmp_path)) == [
        "index.html: #bottom leads to no place on its page",
        "index.html: no.svg leads nowhere",
    ]
