"""Real servers of tools, an engine that is connected to them, and a look at their processes."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import sysconfig
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest

from engine.config import McpServer, McpSettings
from engine.llm.base import Chunk
from engine.tools.registry import ToolContext, ToolResult
from storage.records import ToolCall
from tests.engine.support import SETTINGS, running_engine
from tests.ollama_server import _CACHE
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from engine.engine import Engine

SCRIPTS = Path(sysconfig.get_path("scripts"))

TIME = McpServer(command=str(SCRIPTS / "mcp-server-time"))
"""The protocol's reference server for times of day."""

MISBEHAVING = McpServer(
    command=sys.executable, args=("-S", str(Path(__file__).with_name("misbehaving.py")))
)

EVERYTHING = "@modelcontextprotocol/server-everything@2026.8.31"
"""The protocol's own server for trying clients: tools, resources and prompts, by either way."""


def everything() -> str:
    """The file of that server for Node.js; installed once. Skips where there is none."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    folder = Path(_CACHE).absolute() / "mcp"
    file = folder / "node_modules" / EVERYTHING.rpartition("@")[0] / "dist" / "index.js"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), EVERYTHING],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{EVERYTHING} can't be had: {done.stderr.decode()[-300:]}")
    return str(file)


@asynccontextmanager
async def connected(
    folder: Path, backend: ScriptedBackend | None = None, **servers: McpServer
) -> AsyncIterator[Engine]:
    """An engine whose servers have been started."""
    settings = msgspec.structs.replace(SETTINGS, mcp=McpSettings(servers=servers))
    async with running_engine(folder, backend, settings) as engine:
        await engine.servers.settled(30)
        yield engine


async def call(engine: Engine, name: str, **arguments: Any) -> ToolResult:
    """Call a tool as an approved call is."""
    found = engine.tools.get(name)
    assert found is not None, [tool.name for tool in engine.tools]
    return await found.call(ToolContext(session_id="", store=engine.store), arguments)


def able(*scripts: list[Any]) -> ScriptedBackend:
    """A model that is offered tools."""
    backend = ScriptedBackend(*scripts)
    backend.info = msgspec.structs.replace(
        INFO, parameters="1B", window=8192, capabilities=frozenset({"chat", "tools"})
    )
    return backend


def calls(name: str, id: str = "call", **arguments: Any) -> Chunk:
    return Chunk(tool_calls=(ToolCall(id=id, name=name, arguments=arguments),))


def processes(mark: str) -> list[psutil.Process]:
    """The children of this process whose command line has these words."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if mark in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition; fail when it has not come true by the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
