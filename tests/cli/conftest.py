"""The program as a script meets it: a process with arguments, pipes and an exit code."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.config import find_paths
from storage.store import Store
from tests.embedded_weights import models_folder
from tests.homes import environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.config import Paths

ROOT = Path(__file__).parents[2]


class Scrubjay:
    """`scrubjay` in a home of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.environment = environment(home, **variables)
        self.command = [sys.executable, "-m", "tui.cli"]

    @property
    def paths(self) -> Paths:
        """Where this home keeps things. The folders are those of a Linux system."""
        home = Path(self.environment["HOME"])
        here = {
            "SCRUBJAY_CONFIG_DIR": str(home / ".config/scrubjay"),
            "SCRUBJAY_DATA_DIR": str(home / ".local/share/scrubjay"),
            "SCRUBJAY_STATE_DIR": str(home / ".local/state/scrubjay"),
        }
        return find_paths({**here, **self.environment})

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            [*self.command, *arguments],
            input=stdin.encode(),
            capture_output=True,
            cwd=ROOT,
            env={**self.environment, **variables},
            timeout=150,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run a command that the test ends; nothing is piped in."""
        return subprocess.Popen(
            [*self.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=self.environment,
        )

    def stored(self, work: Callable[[Store], Awaitable[Any]]) -> Any:
        """Do something with this home's store, as another process would."""

        async def do() -> Any:
            async with await Store.open(self.paths.database_file) as store:
                return await work(store)

        return asyncio.run(do())


class Result:
    """What a finished command left."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """The output, which must be JSON."""
        return msgspec.json.decode(self.out)

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


@pytest.fixture
def scrubjay(tmp_path: Path) -> Scrubjay:
    """The program in an empty home, without a model."""
    return Scrubjay(tmp_path / "home")


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Scrubjay:
    """The program with the real embedded model, in a home that the tests of a file share."""
    home = tmp_path_factory.mktemp("home")
    return Scrubjay(home, SCRUBJAY_MODELS_DIR=str(models_folder()), SCRUBJAY_MODEL_MAX_TOKENS="40")
