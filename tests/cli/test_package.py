"""The wheel holds all that the program needs, and works in an environment of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from engine import __version__
from tests.cli.conftest import ROOT
from tests.homes import environment
from tests.tools.licences import FILE, needed

if TYPE_CHECKING:
    from pathlib import Path


BROUGHT = {"engine/memory/clients/streams.py: anthropic"}
"""Imported for an object of that library alone, by whoever has made it."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a clone, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "clone")], check=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(folder), str(folder / "clone")),
        ],
        check=True,
    )
    [built] = folder.glob("*.whl")
    return built


def test_everything_but_the_tests_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    listing = subprocess.run(
        ["git", "ls-files", "tui", "engine", "storage", "assets", ":!assets/pictures"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(listing.stdout.splitlines()) <= inside
    assert not [name for name in inside if name.startswith("tests/")]
    licences = f"scrubjay-{__version__}.dist-info/licenses"
    assert {f"{licences}/LICENSE", f"{licences}/THIRD_PARTY_LICENSES.md"} <= inside


def test_every_import_is_of_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    ours = {"tui", "engine", "storage", "assets"}
    distributions = packages_distributions()
    undeclared = {
        f"{file.relative_to(ROOT)}: {name}"
        for package in ours
        for file in (ROOT / package).rglob("*.py")
        for name in _imported(file) - ours - sys.stdlib_module_names
        if declared.isdisjoint(map(canonicalize_name, distributions.get(name, [name])))
    }
    assert undeclared - BROUGHT == set()


def test_every_package_that_is_needed_is_named_with_its_licence() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert [name for name in needed() if f"\n| {name} | " not in text] == []


@pytest.mark.timeout(300)
def test_an_installed_wheel_works_away_from_its_source(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    # What the wheel requires is here already; a fresh download of it would test the index.
    [site] = (venv / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{_site_packages()}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"),
            *("--no-deps", str(wheel)),
        ],
        check=True,
    )
    env = environment(tmp_path / "home")

    def scrubjay(*arguments: str) -> str:
        done = subprocess.run(
            [str(venv / "bin" / "scrubjay"), *arguments],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert scrubjay("--version") == f"scrubjay {__version__}\n"
    assert scrubjay("sessions", "list", "--json").strip() == "[]"
    assert str(venv) in scrubjay("doctor")
    code = (
        "import tui.app, engine.context.tokens as tokens; tui.app.ScrubjayApp;"
        "print(tokens.count_text('a jay'), tokens.__file__)"
    )
    counted = subprocess.run(
        [str(python), "-P", "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    assert counted[0] == "2"
    assert counted[1].startswith(str(venv))


def _imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _site_packages() -> str:
    import textual

    return textual.__file__.rpartition("/textual/")[0]
