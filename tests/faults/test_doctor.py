"""`scrubjay doctor` on faults that are really there: one line that says what is amiss, and one that
mends it. `tests/cli/test_doctor.py` has more of what it looks at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from engine.config import find_paths
from engine.doctor import Finding, State, examine
from storage import database
from storage.store import Store
from tests.embedded_weights import models_folder
from tests.faults.model_servers import ModelServer
from tests.faults.test_machine import BOUND
from tests.homes import environment
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.doctor import Finding

ROOT = Path(__file__).parents[2]
DOCTOR = (sys.executable, "-m", "tui.cli", "doctor")


class Home(NamedTuple):
    """A home, and what doctor finds in it."""

    env: dict[str, str]

    @property
    def database(self) -> Path:
        return Path(self.env["HOME"]) / ".local/share/scrubjay/scrubjay.db"

    @property
    def models(self) -> Path:
        return Path(self.env["HOME"]) / ".local/share/scrubjay/models"

    def finds(self, name: str, *command: str, **variables: str) -> dict[str, Any]:
        """The finding of that name; nothing else may be a problem."""
        done = subprocess.run(
            [*command, *DOCTOR, "--json"],
            env={**self.env, **variables},
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert b"Traceback" not in done.stderr
        findings = msgspec.json.decode(done.stdout)
        problems = {one["name"] for one in findings if one["state"] == "problem"}
        assert done.returncode == (1 if problems else 0)
        assert problems <= {name, "log"}
        (found,) = (one for one in findings if one["name"] == name)
        assert isinstance(found, dict)
        return found

    def on_terminal(self, **variables: str) -> str:
        """What doctor says of the terminal that it runs on, and what to do."""
        env = {**self.env, **variables}
        with Terminal(DOCTOR, env=env, cwd=ROOT, columns=150) as terminal:
            terminal.wait_for_end()
            (at,) = (
                number
                for number, line in enumerate(terminal.text.splitlines())
                if " terminal " in line
            )
            return "\n".join(terminal.text.splitlines()[at : at + 2])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    env = environment(tmp_path / "home")
    return Home({name: value for name, value in env.items() if "proxy" not in name.lower()})


@contextmanager
def serving(server: ModelServer) -> Iterator[str]:
    """A model server in a thread of its own; gives its address."""
    import threading

    loop = asyncio.new_event_loop()
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# The terminal


def test_a_dumb_terminal(home: Home) -> None:
    assert "scrubjay chat" in home.on_terminal(TERM="dumb")


def test_a_terminal_without_utf_8(home: Home) -> None:
    assert "LANG" in home.on_terminal(PYTHONIOENCODING="iso-8859-1")


def test_a_terminal_without_colours(home: Home) -> None:
    assert "unset NO_COLOR" in home.on_terminal(NO_COLOR="1")


def test_a_terminal_of_few_colours(home: Home) -> None:
    assert "COLORTERM" in home.on_terminal(TERM="xterm")
    assert "COLORTERM" not in home.on_terminal(TERM="xterm", COLORTERM="truecolor")


# What is kept


def test_a_locked_database(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(_make(home.database))
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        found = _examined(home, "database")
    assert found.state is State.PROBLEM
    assert "Close" in found.next_step


def test_a_damaged_database(home: Home) -> None:
    asyncio.run(_make(home.database))
    os.truncate(home.database, home.database.stat().st_size // 2)
    assert "scrubjay doctor --repair" in home.finds("database")["next_step"]


def test_a_newer_database(home: Home) -> None:
    asyncio.run(_make(home.database))
    with closing(sqlite3.connect(home.database)) as other:
        other.execute("PRAGMA user_version = 999")
    assert "Install the newer version" in home.finds("database")["next_step"]


def test_a_read_only_database(home: Home) -> None:
    asyncio.run(_make(home.database))
    home.database.parent.chmod(0o555)
    home.database.chmod(0o444)
    found = home.finds("database", *BOUND)
    assert "permission" in found["next_step"]
    assert found["state"] == "problem"


def test_no_home(home: Home, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    found = home.finds("database", *BOUND, HOME=str(tmp_path / "locked" / "nobody"))
    assert "SCRUBJAY_DATA_DIR" in found["next_step"]
    assert found["state"] == "problem"


def test_a_disk_that_is_nearly_full(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in for what the system says: a test does not fill its disk.
    usage = type(shutil.disk_usage("/"))(100_000_000_000, 99_999_000_000, 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = _examined(home, "disk")
    assert found.state is State.PROBLEM
    assert "room" in found.next_step


def test_mistakes_in_the_settings(home: Home) -> None:
    file = Path(home.env["HOME"]) / ".config/scrubjay/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[model]\ntemperature = 'hot'\n")
    found = home.finds("settings")
    assert "line 2" in found["text"]
    assert str(file) in found["next_step"]


# Models


def test_an_embedder_that_there_is_not(home: Home) -> None:
    found = home.finds("embedder", SCRUBJAY_MEMORY_EMBEDDER="embeded")
    assert found["text"] == "[memory] embedder is 'embeded', and there is no such embedder"
    assert "embedded" in found["next_step"]


def test_no_ollama_where_one_is_wanted(home: Home) -> None:
    found = home.finds("ollama", SCRUBJAY_OLLAMA_HOST="127.0.0.1:1")
    assert "ollama serve" in found["next_step"]


def test_an_ollama_host_that_is_no_address(home: Home) -> None:
    found = home.finds("ollama", SCRUBJAY_OLLAMA_HOST="ftp://example.org")
    assert "OLLAMA_HOST" in found["next_step"]


def test_an_ollama_host_where_something_else_answers(home: Home) -> None:
    with serving(ModelServer("openai")) as address:
        found = home.finds("ollama", SCRUBJAY_OLLAMA_HOST=address)
    assert "ollama.host" in found["next_step"]


def test_an_ollama_without_models(home: Home) -> None:
    server = ModelServer("ollama")
    server.models = ()
    with serving(server) as address:
        found = home.finds("ollama", OLLAMA_HOST=address)
    assert "ollama pull" in found["next_step"]


def test_a_key_that_is_missing_or_wrong(home: Home) -> None:
    server = ModelServer("openai")
    server.key = "right"
    with serving(server) as address:
        url = {"SCRUBJAY_OPENAI_BASE_URL": f"http://{address}/v1"}
        assert "Set OPENAI_API_KEY" in home.finds("openai", **url)["next_step"]
        wrong = home.finds("openai", **url, OPENAI_API_KEY="wrong")
        assert "Correct the key in OPENAI_API_KEY" in wrong["next_step"]
        assert home.finds("openai", **url, OPENAI_API_KEY="right")["state"] == "ok"


def test_a_proxy_where_nobody_answers(home: Home) -> None:
    for variables in (
        {"HTTPS_PROXY": "http://user:secret@127.0.0.1:1"},
        {"SCRUBJAY_RESEARCH_PROXY": "http://127.0.0.1:1"},
    ):
        found = home.finds("proxy", **variables)
        assert found["state"] == "problem"
        assert "127.0.0.1:1" in found["text"]
        assert "secret" not in found["text"]
        assert found["next_step"].startswith("Correct ")
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        assert home.finds("proxy", HTTP_PROXY=address)["state"] == "ok"


def test_weights_that_are_missing(home: Home) -> None:
    assert "scrubjay models add smollm2-135m" in home.finds("weights")["next_step"]


def test_weights_that_are_damaged(home: Home) -> None:
    home.models.mkdir(parents=True)
    for file in models_folder().glob("smollm2-135m.*"):
        shutil.copy(file, home.models)
    os.truncate(home.models / "smollm2-135m.gguf", 1_000_000)
    assert "scrubjay models remove smollm2-135m" in home.finds("weights")["next_step"]


def test_weights_of_which_half_has_come(home: Home) -> None:
    home.models.mkdir(parents=True)
    (home.models / "qwen2.5-1.5b.gguf.part").write_bytes(b"\0" * 3_000_000)
    found = home.finds("weights")
    assert "3 MB of qwen2.5-1.5b" in found["text"]
    assert "scrubjay models add qwen2.5-1.5b" in found["next_step"]


def test_a_runtime_without_libgomp(home: Home, tmp_path: Path) -> None:
    # A stand-in for the package on a system without the library: this one has it.
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "xllamacpp.py").write_text(
        "raise ImportError('libgomp.so.1: cannot open shared object file')"
    )
    found = home.finds("runtime", PYTHONPATH=str(tmp_path / "without"))
    assert "libgomp1" in found["next_step"]


def test_a_runtime_that_is_broken(home: Home, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "xllamacpp.py").write_text("import os; os.abort()")
    found = home.finds("runtime", PYTHONPATH=str(tmp_path / "broken"))
    assert "Install Scrubjay again" in found["next_step"]


def _examined(home: Home, name: str) -> Finding:
    """A finding, looked for in this process."""
    paths = find_paths({**home.env, "SCRUBJAY_DATA_DIR": str(home.database.parent)})
    (found,) = (one for one in asyncio.run(examine(paths)) if one.name == name)
    return found


async def _make(file: Path) -> None:
    async with await Store.open(file) as store:
        await store.sessions.create(title="Birds")
