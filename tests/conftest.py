"""What tests in every folder share."""

from __future__ import annotations

import faulthandler
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ollama_server import OllamaServer
    from tests.postgres_server import Server


END_SECONDS = 30
TRIED = "inputs tried"


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process, and say where it hangs, when a thread that a test left behind keeps it.

    A process that ran a part of the tests waits for the others, and is ended by the first one.
    """
    if not hasattr(config, "workerinput"):
        faulthandler.dump_traceback_later(END_SECONDS, exit=True, file=sys.__stderr__ or 2)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Have a process that runs a part of the tests tell what its fuzzers tried."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        from tests.fuzz import tried

        told[TRIED] = tried.counts()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take in what such a process tells."""
    from tests.fuzz import tried

    tried.add(getattr(node, "workeroutput", {}).get(TRIED, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs the fuzzers tried."""
    from tests.fuzz import tried

    if said := tried.summary():
        terminalreporter.write_line(said)


@pytest.fixture(scope="session")
def ollama_host() -> Iterator[str]:
    """The `host:port` of a real Ollama server: the developer's in OLLAMA_HOST, else the tests' own.

    A test that ends or breaks the server asks for `ollama_server` instead.
    """
    if host := os.environ.get("OLLAMA_HOST"):
        yield host
        return
    with _running() as server:
        yield server.host


@pytest.fixture
def ollama_server() -> Iterator[OllamaServer]:
    """A real Ollama server that the test may stop, kill and start again."""
    with _running() as server:
        yield server


@pytest.fixture(scope="module")
def own_ollama_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The `host:port` of a real Ollama server for tests that make models, which no other sees."""
    with _running(apart=tmp_path_factory.mktemp("models")) as server:
        yield server.host


@contextmanager
def _running(apart: Path | None = None) -> Iterator[OllamaServer]:
    # Not for tests that need no server: it brings an HTTP client along.
    from tests.ollama_server import OllamaServer, Unavailable

    server = OllamaServer(apart=apart)
    try:
        server.start()
    except Unavailable as reason:
        pytest.skip(f"no Ollama server here: {reason}")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL server. A test that ends or breaks it asks for `frail_postgres` instead."""
    yield from _postgres()


@pytest.fixture
def frail_postgres() -> Iterator[Server]:
    """A real PostgreSQL server that the test may stop, kill and start again."""
    yield from _postgres()


@pytest.fixture(scope="session")
def pgvector() -> Iterator[Server]:
    """A real PostgreSQL server with pgvector."""
    yield from _postgres(vectors=True)


def _postgres(*, vectors: bool = False) -> Iterator[Server]:
    # Not for tests that need no server: it brings a driver along.
    pytest.importorskip("psycopg", reason="the extra scrubjay[postgres] is not installed")
    from tests.postgres_server import programs, running

    found = programs(vectors=vectors)
    if found is None:
        pytest.skip(f"no PostgreSQL{' with pgvector' if vectors else ''} is installed here")
    with running(found) as server:
        yield server
