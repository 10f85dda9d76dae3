"""Whether a release could be made of what is committed: `make release-check`.

Builds from a clone, looks into what was built, and runs it on every Python that is here.

python -m tests.tools.release TOOLS [--unreleased] [--keep FOLDER]

TOOLS is an environment with the dependency group `release`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.embedded_weights import models_folder
from tests.homes import environment
from tests.terminal.app import ENTER, PROMPT, QUIT, is_over
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
PACKAGES = ("tui", "engine", "storage", "assets")
LEFT_OUT = "assets/pictures/"
LARGEST = {".whl": 4_000_000, ".gz": 6_000_000}
"""Bytes that an archive may have: more is something that does not belong there. The source has the
tests too, and a third of it is the pictures that they compare the screen with."""

QUESTION = "What is a jay?"
USABLE = "import ensurepip, sqlite3, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"


class NotReadyError(Exception):
    """Something that a release must not have; the message says what."""


def main() -> int:
    """Do all checks; the first that fails ends it. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", type=Path)
    parser.add_argument("--unreleased", action="store_true")
    parser.add_argument("--keep", type=Path, help="where what was built is put")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            wheel, source = build(folder, options.tools / "bin" / "python")
            _look(folder / "clone", wheel, source, unreleased=options.unreleased)
            run_on_every_python(wheel, folder)
        except NotReadyError as error:
            print(f"✗ {error}")
            return 1
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in (wheel, source):
                shutil.copy(file, options.keep)
    print(f"A release could be made of this ({time.monotonic() - began:.0f} s).")
    return 0


def build(folder: Path, tools: Path) -> tuple[Path, Path]:
    """The wheel and the source archive of a clone, the wheel made from the archive; checked.

    Raises:
        NotReadyError: They can't be built, or their metadata is wrong.
    """
    clone = folder / "clone"
    _run("git", "clone", "--quiet", str(ROOT), str(clone))
    _run(str(tools), "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(clone))
    [wheel] = (folder / "dist").glob("*.whl")
    [source] = (folder / "dist").glob("*.tar.gz")
    _run(str(tools), "-m", "twine", "check", "--strict", str(wheel), str(source))
    _say("the metadata is as an index wants it")
    return wheel, source


def _look(clone: Path, wheel: Path, source: Path, *, unreleased: bool) -> None:
    version = version_of(clone)
    troubles = [
        *changelog_troubles(
            (clone / "CHANGELOG.md").read_text(encoding="utf-8"), version, unreleased
        ),
        *wheel_troubles(_in_wheel(wheel), _committed(clone), version),
        *source_troubles(_in_source(source), version),
        *(
            f"{file.name} has {file.stat().st_size:,} bytes"
            for file in (wheel, source)
            if file.stat().st_size > LARGEST[file.suffix]
        ),
    ]
    if troubles:
        raise NotReadyError("\n✗ ".join(troubles))
    _say(f"version {version} is in the changelog")
    for file, names in ((wheel, _in_wheel(wheel)), (source, _in_source(source))):
        _say(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB, {len(names)} files")
    _run(sys.executable, "-m", "tests.tools.licences", cwd=clone)
    changed = _run("git", "status", "--porcelain", cwd=clone)
    if changed.strip():
        raise NotReadyError(f"the licences are not those of the packages: {changed}")
    _say("the licences are named")
    makefile = (clone / "Makefile").read_text(encoding="utf-8")
    if re.search(r"^sbom:", makefile, re.MULTILINE):
        _run("make", "sbom", cwd=ROOT)
        _say("the bill of materials is made")


def version_of(tree: Path) -> str:
    """The version, from the one place where it stands."""
    text = (tree / "engine" / "__init__.py").read_text(encoding="utf-8")
    [version] = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def changelog_troubles(text: str, version: str, unreleased: bool) -> Iterator[str]:
    """What is missing in the changelog for a version, or for what is not released yet."""
    sections = dict(re.findall(r"^## \[(.+?)\](.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    wanted = "Unreleased" if unreleased else version
    body = sections.get(wanted)
    if body is None:
        yield f"CHANGELOG.md has no section [{wanted}]"
    elif not re.search(r"^- ", body, re.MULTILINE):
        yield f"CHANGELOG.md says nothing below [{wanted}]"
    elif not unreleased and not re.match(r" - \d{4}-\d\d-\d\d\n", body):
        yield f"CHANGELOG.md has no day beside [{version}]"


def wheel_troubles(names: Iterable[str], committed: Iterable[str], version: str) -> Iterator[str]:
    """What the wheel lacks, and what does not belong into it."""
    there = set(names)
    info, data = f"scrubjay-{version}.dist-info/", f"scrubjay-{version}.data/data/share/man/man1/"
    wanted = {
        name
        for name in committed
        if name.split("/")[0] in PACKAGES and not name.startswith(LEFT_OUT)
    }
    wanted |= {f"{info}licenses/LICENSE", f"{info}licenses/THIRD_PARTY_LICENSES.md"}
    wanted |= {f"{info}{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    wanted.add(f"{data}scrubjay.1")
    yield from (f"the wheel lacks {name}" for name in sorted(wanted - there))
    yield from (f"{name} does not belong into the wheel" for name in sorted(there - wanted))


def source_troubles(names: Iterable[str], version: str) -> Iterator[str]:
    """What the source archive lacks, and what does not belong into it."""
    top = f"scrubjay-{version}/"
    there = {name.removeprefix(top) for name in names}
    needed = (
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "PKG-INFO",
        "tests/conftest.py",
    )
    yield from (f"the source archive lacks {name}" for name in needed if name not in there)
    for name in sorted(there):
        if "__pycache__" in name or name.startswith((".venv", "build/", "dist/")):
            yield f"{name} does not belong into the source archive"


def run_on_every_python(wheel: Path, folder: Path) -> None:
    """Install the wheel alone, and use it on a terminal.

    Raises:
        NotReadyError: It does not work on one, or there is none.
    """
    found = pythons()
    for version in VERSIONS:
        if version not in found:
            _say(f"Python {version} is not here, and was left out")
    if not found:
        raise NotReadyError(f"there is no Python of {', '.join(VERSIONS)}")
    for version, python in sorted(found.items()):
        began = time.monotonic()
        venv = folder / f"venv-{version}"
        _run(python, "-m", "venv", str(venv))
        pip = (str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet")
        _run(*pip, "install", str(wheel))
        _run(*pip, "check")
        use(venv, folder / f"home-{version}")
        _say(f"Python {version}: installed and used ({time.monotonic() - began:.0f} s)")
        shutil.rmtree(venv)


def use(venv: Path, home: Path) -> None:
    """Ask the doctor, and then a question in the app, by the keys of a person.

    Raises:
        NotReadyError: It does not answer, or does not end as it should.
    """
    program = str(venv / "bin" / "scrubjay")
    variables = environment(
        home, SCRUBJAY_MODELS_DIR=str(models_folder()), SCRUBJAY_MODEL_MAX_TOKENS="24"
    )
    home.mkdir(exist_ok=True)
    _run(program, "doctor", env=variables, cwd=home)
    try:
        with Terminal([program], env=variables, cwd=home) as terminal:
            terminal.wait_for(PROMPT)
            terminal.keys(QUESTION)
            terminal.wait_for(re.escape(QUESTION))
            terminal.keys(ENTER)
            terminal.wait_for(is_over)
            terminal.keys(QUIT)
            code = terminal.wait_for_end()
    except AssertionError as error:
        raise NotReadyError(str(error)) from error
    if code != 0:
        raise NotReadyError(f"quitting gave the exit code {code}")
    listed = _run(program, "sessions", "list", env=variables, cwd=home)
    if QUESTION not in listed:
        raise NotReadyError("the conversation was not kept")


def pythons() -> dict[str, str]:
    """The interpreters that can be used, by their versions: those on the path, and pyenv's."""
    places = [shutil.which(f"python{version}") or "" for version in VERSIONS]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    places += sorted(map(str, root.glob("versions/3.*/bin/python")), reverse=True)
    found: dict[str, str] = {}
    for place in filter(None, places):
        asked = subprocess.run([place, "-c", USABLE], capture_output=True, text=True, check=False)
        version = asked.stdout.strip()
        if asked.returncode == 0 and version in VERSIONS:
            found.setdefault(version, place)
    return found


def _committed(clone: Path) -> list[str]:
    return _run("git", "ls-files", cwd=clone).splitlines()


def _in_wheel(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


def _in_source(source: Path) -> list[str]:
    with tarfile.open(source) as archive:
        return [member.name for member in archive if member.isfile()]


def _run(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        words,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise NotReadyError(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _say(text: str) -> None:
    print(f"✓ {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
