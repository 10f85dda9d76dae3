"""The embedded model's process as its parent sees it: started, asked, ended, never left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import msgspec

from engine.llm.base import ModelError
from engine.llm.embedded_host import KEY_VARIABLE

if TYPE_CHECKING:
    from engine.config import EmbeddedSettings, Paths
    from engine.llm.openai_compatible import OpenAICompatible

log = logging.getLogger(__name__)

HOST = Path(__file__).with_name("embedded_host.py")
START_SECONDS = 120.0
"""A model of several gigabytes comes off a slow disk in this time."""

_END_SECONDS = 1.0
_SIGNAL_MEANINGS = {
    "SIGILL": "this processor lacks instructions (AVX2) that the runtime needs",
    "SIGKILL": "most likely the system ran out of memory",
}
_LONGEST_SOCKET_FOLDER = 90
"""Characters; the system's limit for the whole address is 104 on macOS and 108 on Linux."""

_LONGEST_LOG = 2**20


class RuntimeMissingError(Exception):
    """The child could not load llama.cpp; the message is the loader's."""


class _Report(msgspec.Struct):
    address: str = ""
    load_seconds: float = 0.0
    error: str = ""


class EmbeddedChild:
    """One running server of one model.

    Attributes:
        model: The model that it serves.
        window: Its context, in tokens.
        load_seconds: What the start took.
        server: The client that speaks to it.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        *,
        model: str,
        window: int,
        folder: Path,
        server: OpenAICompatible,
        load_seconds: float,
    ) -> None:
        self.model = model
        self.window = window
        self.server = server
        self.load_seconds = load_seconds
        self._process = process
        self._folder = folder

    @classmethod
    async def start(
        cls,
        file: Path,
        *,
        model: str,
        window: int,
        settings: EmbeddedSettings,
        paths: Paths,
        silence_seconds: float,
    ) -> Self:
        """Start a process that serves `file`, and wait until it listens.

        Cancelling this leaves no process behind.

        Args:
            file: The GGUF file.
            model: The name to serve it under.
            window: The context, in tokens.
            settings: The numbers of threads.
            paths: Where the log and the fetched runtime library are.
            silence_seconds: How long it may send nothing of an answer.

        Raises:
            RuntimeMissingError: A shared library is missing.
            ModelError: It does not start (`crashed`).
        """
        try:
            return await cls._start(file, model, window, settings, paths, silence_seconds)
        except OSError as error:
            raise ModelError(
                "crashed",
                f"The embedded model's process can't be started: {error}.",
                "Check that there is memory, and that the folders can be written.",
            ) from error

    @classmethod
    async def _start(
        cls,
        file: Path,
        model: str,
        window: int,
        settings: EmbeddedSettings,
        paths: Paths,
        silence_seconds: float,
    ) -> Self:
        folder = _socket_folder()
        on_socket = sys.platform != "win32"
        # llama.cpp knows a Unix socket by this ending.
        address = str(folder / "llm.sock") if on_socket else "127.0.0.1"
        key = secrets.token_urlsafe(32)
        command = [sys.executable, "-P", str(HOST), "--model", str(file), "--alias", model]
        command += ["--address", address, "--context-length", str(window)]
        command += ["--threads", str(settings.threads)]
        command += ["--batch-threads", str(settings.batch_threads)]
        process = None
        try:
            with _open_log(log_file(paths)) as log_stream:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log_stream,
                    env=_environment(key, paths),
                    # Ctrl-C at the terminal is for the parent, which ends the child in its time.
                    start_new_session=True,
                )
            report = await _first_report(process)
            if report.error:
                raise _start_failure(report.error, file, paths)
            server = _client(report.address, address if on_socket else None, key, silence_seconds)
        except BaseException:
            if process is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                await _end(process, folder)
            raise
        return cls(
            process,
            model=model,
            window=window,
            folder=folder,
            server=server,
            load_seconds=report.load_seconds,
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def serves(self, model: str) -> bool:
        """Whether the process still runs, with that model, and was not stopped from outside."""
        return self.model == model and self._process.returncode is None and not self._is_stopped

    @property
    def _is_stopped(self) -> bool:
        import psutil

        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:  # gone this moment: whoever asks it will notice
            return False

    async def fate(self) -> str:
        """How the process ended, in words, waiting a moment for an end that is under way.

        Empty when it still runs.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        code = self._process.returncode
        if code is None:
            return ""
        if code >= 0:
            return f"ended by itself (exit code {code})"
        name = signal.Signals(-code).name
        meaning = _SIGNAL_MEANINGS.get(name)
        return f"was ended by {name}" + (f": {meaning}" if meaning else "")

    async def stop(self) -> None:
        """End the process: it is asked, then told, then killed, within a few seconds."""
        try:
            await self.server.close()
        finally:
            await _end(self._process, self._folder)


def log_file(paths: Paths) -> Path:
    """Where llama.cpp's own warnings go. It does not log prompts or answers."""
    return paths.state_dir / "embedded.log"


def library_folder(paths: Paths) -> Path:
    """Where a shared library that the system lacks is put for the child."""
    return paths.data_dir / "lib"


async def _first_report(process: asyncio.subprocess.Process) -> _Report:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
            if not line:
                await process.wait()
    except TimeoutError:
        return _Report(error=f"it was not ready after {START_SECONDS:.0f} seconds")
    if not line:
        code = process.returncode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _Report(error=f"the process ended while loading ({how})")
    try:
        return msgspec.json.decode(line, type=_Report)
    except msgspec.DecodeError:
        return _Report(error=f"the process said {line[:80]!r}")


def _start_failure(error: str, file: Path, paths: Paths) -> Exception:
    if "cannot open shared object file" in error or "No module named" in error:
        return RuntimeMissingError(error)
    step = f"Try again; the reason may be in {log_file(paths)}."
    if "SIGILL" in error:
        step = f"The processor may be too old: {_SIGNAL_MEANINGS['SIGILL']}. Use Ollama instead."
    return ModelError(
        "crashed", f"The embedded model {file.name} can't be loaded: {error.rstrip('.')}.", step
    )


async def _end(process: asyncio.subprocess.Process, folder: Path) -> None:
    """End a process by closing its stdin, then by signals; returns when it is gone."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        for force in (process.terminate, process.kill):
            try:
                async with asyncio.timeout(_END_SECONDS):
                    await process.wait()
            except TimeoutError:
                force()
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _client(address: str, socket: str | None, key: str, silence_seconds: float) -> OpenAICompatible:
    import httpx

    from engine.llm.openai_compatible import OpenAICompatible

    if socket is None:
        return OpenAICompatible(
            f"{address}/v1", key, provider="embedded", silence_seconds=silence_seconds
        )
    return OpenAICompatible(
        "http://localhost/v1",
        key,
        provider="embedded",
        # No TLS crosses this socket: making a context for it would cost the loop some 20 ms.
        transport=httpx.AsyncHTTPTransport(uds=socket, verify=False),
        silence_seconds=silence_seconds,
    )


def _environment(key: str, paths: Paths) -> dict[str, str]:
    # Waiting threads that spin would take the processor from whatever else runs.
    environment = os.environ | {KEY_VARIABLE: key, "OMP_WAIT_POLICY": "passive"}
    folder = library_folder(paths)
    if folder.is_dir():
        rest = os.environ.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = f"{folder}:{rest}" if rest else str(folder)
    return environment


def _socket_folder() -> Path:
    """A folder that only this user can enter, with a path short enough for a socket's address."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = tempfile.mkdtemp(
        prefix="scrubjay-", dir=runtime if os.access(runtime, os.W_OK) else None
    )
    if len(folder) > _LONGEST_SOCKET_FOLDER:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="scrubjay-", dir="/tmp")
    return Path(folder)


def _open_log(file: Path) -> IO[bytes]:
    file.parent.mkdir(parents=True, exist_ok=True)
    too_long = file.exists() and file.stat().st_size > _LONGEST_LOG
    return file.open("wb" if too_long else "ab")
