"""A look at everything the assistant needs: one finding each, with what to do where it is amiss."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from engine.config import Settings, SettingsError, load_settings
from engine.llm.base import ModelError
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.config import Paths
    from engine.llm.base import ModelInfo
    from engine.llm.hosts import Host
    from storage.repair import Repaired

ROOM = 500_000_000
"""Bytes that should be free: enough for the default weights twice over and for a database."""

PROBE_SECONDS = 2.0
IMPORT_SECONDS = 60.0


class State(StrEnum):
    """How a thing was found."""

    OK = "ok"
    NOTE = "note"
    """Not as it could be, but nothing has to be done."""

    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    next_step: str = ""
    """What to do, as a sentence."""


async def examine(paths: Paths) -> list[Finding]:
    """Look at the settings, the database, the models, the servers of tools, the disk and the log.

    Changes nothing, but for an upgrade of a database that an older version wrote. Never raises for
    what it finds.
    """
    settings, read = await asyncio.to_thread(_settings, paths)
    hosts = await asyncio.to_thread(_hosts, settings)
    looks = [
        *(_host(host, name, settings) for name, host in hosts.items()),
        *(_runtime(), _weights(paths)),
    ]
    if settings.workers.executor == "dask":
        looks.append(_cluster(settings))
    looks += [_proxy(name, address) for name, address in _proxies(settings)]
    models = await asyncio.gather(*looks)
    servers = await _servers(settings, paths) if settings.mcp.servers else []
    plugins = await _plugins(settings)
    disk, log = await asyncio.to_thread(lambda: (_disk(paths), _log(paths)))
    return [read, await _database(settings, paths), *models, *servers, *plugins, disk, log]


async def repair(paths: Paths) -> tuple[Repaired, Path]:
    """Put what can be read of the database into a new one in its place.

    No other process may have it open.

    Returns: What was saved, and where the old file is kept.

    Raises:
        StorageError: There is no database, or it is on a server, nothing of it can be read, or
            the disk fails.
    """
    from storage.errors import from_os
    from storage.repair import repair

    settings, _ = await asyncio.to_thread(_settings, paths)
    if settings.storage.url:
        raise StorageError(
            f"Everything is kept at {settings.storage.url}: there is no file to repair.",
            "Whoever keeps the server restores it from a backup.",
        )
    file = paths.database_file
    if not await asyncio.to_thread(file.exists):
        raise StorageError(f"There is no database {file}.", "Nothing has to be repaired.")
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    fresh = file.with_name(f"{file.name}.repaired-{stamp}")
    kept = file.with_name(f"{file.name}.damaged-{stamp}")
    repaired = await repair(file, fresh)
    try:
        for ending in ("-wal", "-shm", ""):
            part = file.with_name(file.name + ending)
            if part.exists():
                part.rename(kept.with_name(kept.name + ending))
        fresh.rename(file)
    except OSError as error:
        raise from_os(error, file) from error
    return repaired, kept


def _settings(paths: Paths) -> tuple[Settings, Finding]:
    file = paths.settings_file
    try:
        settings = load_settings(file)
    except SettingsError as error:
        problem = _problem("settings", str(error), f"Correct {file}, or the variable it names.")
        return Settings(), problem
    there = f"{file}" if file.is_file() else f"the defaults; {file} is not there"
    return settings, _ok("settings", there)


async def _database(settings: Settings, paths: Paths) -> Finding:
    if settings.storage.url:
        return await _server(settings, paths)
    from storage.store import Store

    file = paths.database_file
    if not await asyncio.to_thread(file.exists):
        if not await asyncio.to_thread(_can_be_made, file):
            return _problem(
                "database",
                f"{file} can't be made",
                "Give yourself write permission, or set SCRUBJAY_DATA_DIR to a folder of your own.",
            )
        return _ok("database", f"{file} will be made with the first question")
    try:
        async with await Store.open(file) as store:
            figures = await store.figures()
    except StorageError as error:
        return _problem("database", error.message, error.next_step)
    size = (figures.database_bytes + figures.wal_bytes) / 1e6
    return _ok(
        "database",
        f"{file}: sessions: {figures.sessions:,}, messages: {figures.messages:,}, {size:.1f} MB",
    )


async def _server(settings: Settings, paths: Paths) -> Finding:
    """Whether the server that keeps everything can be used, and what it keeps."""
    from engine.place import open_store, waiting

    try:
        async with await open_store(settings, paths) as store:
            figures = await store.figures()
            vectors = store.compares_vectors
    except StorageError as error:
        kept = await asyncio.to_thread(waiting, paths)
        text = f"{error.message} Writes that wait for it are in {kept}." if kept else error.message
        return _problem("database", text, error.next_step)
    return _ok(
        "database",
        f"{figures.path}: sessions: {figures.sessions:,}, messages: {figures.messages:,},"
        f" {figures.database_bytes / 1e6:.1f} MB, {'with' if vectors else 'without'} pgvector",
    )


def _hosts(settings: Settings) -> dict[str, Host]:
    """The model servers by what their findings are called; their clients are slow to import."""
    from engine.llm.hosts import ollama_hosts, openai_hosts

    found: dict[str, Host] = {}
    for host in (*ollama_hosts(settings.ollama), *openai_hosts(settings.openai)):
        found[f"{host.kind} {host.name}" if host.kind in found else host.kind] = host
    return found


async def _host(host: Host, name: str, settings: Settings) -> Finding:
    """Whether a model server answers, and what it has."""
    from engine.llm.ollama_errors import bad_host
    from engine.llm.ollama_host import server_url

    wanted = (
        name != "ollama"
        or bool(settings.ollama.host)
        or settings.model.default.startswith("ollama:")
    )
    try:
        if host.kind == "ollama":
            server_url(host.name)
            if not await host.backend.answers(PROBE_SECONDS):
                if not wanted:
                    return _note(name, "no server answers; the embedded model is used")
                setting = "ollama.host" if name == "ollama" else "ollama.hosts"
                step = f"Start it with `ollama serve`, or correct {setting}."
                return _problem(name, f"no Ollama server answers at {host.name}", step)
        found = await host.backend.models()
    except ValueError as error:
        failure = bad_host(host.name, error).failure
        return _problem(name, failure.message, failure.next_step)
    except ModelError as error:
        step = error.failure.next_step
        if error.kind == "unauthorized" and host.key_variable:
            step = f"Set {host.key_variable}, or keep the key in the system's keyring."
            if os.environ.get(host.key_variable):
                step = f"Correct the key in {host.key_variable}."
        return _problem(name, error.failure.message, step)
    finally:
        await host.backend.close()
    if not found:
        return _note(
            name, f"{host.name} answers, but has no models", "Run `ollama pull llama3.2` there."
        )
    return _ok(name, f"{host.name} answers, and has {_names(found)}")


async def _cluster(settings: Settings) -> Finding:
    """Whether there is a Dask cluster that can do the work."""
    from engine.cluster import ClusterError, connect

    scheduler = settings.workers.scheduler
    try:
        cluster = await asyncio.to_thread(connect, scheduler)
    except ClusterError as error:
        return _problem("workers", str(error), "Correct the section [workers] of the settings.")
    await asyncio.to_thread(cluster.shutdown)
    return _ok("workers", f"Dask at {scheduler}, {cluster.threads} threads")


async def _servers(settings: Settings, paths: Paths) -> list[Finding]:
    """Start each server of tools, and end it again."""
    from engine.events import Events
    from engine.mcp.servers import Servers, ServerState
    from engine.pool import Pool
    from engine.tools.registry import Registry

    events = Events()
    pool = Pool(events)
    servers = Servers(settings.mcp.servers, Registry(), pool, events, paths.logins_dir)
    found = []
    try:
        await servers.settled(None)
        for server in servers:
            if server.state is ServerState.READY:
                found.append(_ok("mcp", f"{server.name}: tools: {len(server.offers.tools)}"))
            elif server.state is ServerState.OFF:
                found.append(_note("mcp", f"{server.name} is turned off"))
            else:
                wrong, _, remedy = (server.trouble or "does not answer").partition("; ")
                correct = f"Correct [mcp.servers.{server.name}], or set `enabled = false` there"
                found.append(_problem("mcp", f"{server.name} {wrong}", f"{remedy or correct}."))
    finally:
        await pool.close()
    return found


def _proxies(settings: Settings) -> list[tuple[str, str]]:
    """Where proxies are named, and what they are named; each of them once."""
    variables = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
    named = [
        ("[research] proxy", settings.research.proxy),
        *((name, os.environ.get(name, "")) for name in variables),
    ]
    found = {address: name for name, address in reversed(named) if address}
    return [(name, address) for address, name in found.items()]


async def _proxy(name: str, address: str) -> Finding:
    """Whether somebody listens there. An address may hold a password, and is not shown whole."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    wrong = f"Correct {name}, or remove it."
    try:
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host or "", port)
        writer.close()
    except ValueError:
        return _problem("proxy", f"{name} is no address", wrong)
    except OSError:
        return _problem("proxy", f"{name}: nobody answers at {host}:{port}", wrong)
    return _ok("proxy", f"{name}: {host}:{port} answers")


async def _runtime() -> Finding:
    """Load llama.cpp in a process of its own: a broken library can take its process with it."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", "import xllamacpp; print(xllamacpp.__version__)"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return _problem(
            "runtime",
            f"{sys.executable} can't be started: {error.strerror}",
            "Install Scrubjay with a Python that your account may run.",
        )
    try:
        async with asyncio.timeout(IMPORT_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return _problem("runtime", "llama.cpp did not load in a minute", "Look at the disk.")
    if process.returncode == 0:
        return _ok("runtime", f"llama.cpp (xllamacpp {out.decode().strip()})")
    reason = err.decode(errors="replace").strip().rpartition("\n")[2] or (
        f"its process ended with {process.returncode}"
    )
    if "libgomp" in reason:
        return _note(
            "runtime",
            "libgomp is missing here; a copy is fetched with the first answer",
            "Where that can't be: `apt install libgomp1`, or what your system calls it.",
        )
    return _problem("runtime", f"llama.cpp can't be loaded: {reason}", "Install Scrubjay again.")


async def _weights(paths: Paths) -> Finding:
    from engine.llm import catalog, weights

    found = await asyncio.to_thread(catalog.installed, paths)
    try:
        for model in found:
            await weights.check(paths, model)
    except ModelError as error:
        return _problem("weights", error.failure.message, error.failure.next_step)
    if begun := await asyncio.to_thread(lambda: sorted(paths.models_dir.glob("*.gguf.part"))):
        name = begun[0].name.removesuffix(".gguf.part")
        return _note(
            "weights",
            f"{begun[0].stat().st_size / 1e6:.0f} MB of {name} have come, and not the rest",
            f"`scrubjay models add {name if name in catalog.KNOWN else 'ADDRESS'}` goes on where "
            "it ended.",
        )
    if not found:
        size = weights.DEFAULT_WHEEL.wheel_bytes / 1e6
        return _note(
            "weights",
            f"no embedded model yet; {catalog.DEFAULT} ({size:.0f} MB) is fetched when needed",
            f"`scrubjay models add {catalog.DEFAULT}` fetches it now.",
        )
    return _ok("weights", f"{', '.join(model.name for model in found)} in {paths.models_dir}")


async def _plugins(settings: Settings) -> list[Finding]:
    """The plugins, and the embedders of the settings, which may be theirs, that there are not."""
    from engine.events import Events
    from engine.plugin_finder import EMBEDDERS, PROVIDERS, Plugins
    from engine.tools import built_in_tools

    plugins = await Plugins(built_in_tools(), Events()).load()
    names = ", ".join(one.name for one in plugins.found)
    findings = [_ok("plugins", names or "none are installed")]
    broken = [one for one in plugins.found if one.trouble]
    if broken:
        text = " ".join(f"{one.name} is skipped: {one.trouble}" for one in broken)
        findings = [_problem("plugins", text, "`scrubjay plugins list` shows them all.")]
    embedders = [*EMBEDDERS, *plugins.embedders]
    for section in ("memory", "research"):
        wanted: str = getattr(settings, section).embedder
        provider, _, model = wanted.partition(":")
        served = model and provider in (*PROVIDERS, *plugins.backends)
        if wanted and wanted not in embedders and not served:
            text = f"[{section}] embedder is {wanted!r}, and there is no such embedder"
            remedy = f"Name one of {', '.join(embedders)}, or `ollama:NAME`."
            findings.append(_problem("embedder", text, remedy))
    return findings


def _names(found: Sequence[ModelInfo]) -> str:
    return ", ".join(info.name for info in found[:3]) + (" …" if len(found) > 3 else "")


def _disk(paths: Paths) -> Finding:
    folders = {_nearest(folder) for folder in (paths.data_dir, paths.models_dir)}
    folder = min(folders, key=lambda folder: shutil.disk_usage(folder).free)
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free for {folder}"
    return _ok("disk", text) if free >= ROOM else _problem("disk", text, "Make some room.")


def _log(paths: Paths) -> Finding:
    file = paths.log_file
    if os.access(file, os.W_OK) or _can_be_made(file):
        return _ok("log", str(file))
    return _problem(
        "log",
        f"{file} can't be written",
        "Give yourself write permission, or set SCRUBJAY_STATE_DIR to a folder of your own.",
    )


def _can_be_made(file: Path) -> bool:
    folder = _nearest(file.parent)
    return not file.exists() and folder.is_dir() and os.access(folder, os.W_OK)


def _nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _ok(name: str, text: str) -> Finding:
    return Finding(name=name, state=State.OK, text=text)


def _note(name: str, text: str, next_step: str = "") -> Finding:
    return Finding(name=name, state=State.NOTE, text=text, next_step=next_step)


def _problem(name: str, text: str, next_step: str) -> Finding:
    return Finding(name=name, state=State.PROBLEM, text=text, next_step=next_step)
