"""Where everything is kept: a file on this machine, or a database server for several machines."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import StorageError
from storage.store import Store

if TYPE_CHECKING:
    from engine.config import Paths, Settings
    from storage.copying import Copied, Progress
    from storage.postgres.address import Address

WAITING = "waiting"
"""The folder, beside the log, of what waits while a server is out of reach."""


async def open_store(settings: Settings, paths: Paths) -> Store:
    """Open the store that the settings choose.

    Raises:
        StorageError: It can't be used; the error says what to do.
    """
    url = settings.storage.url
    if not url:
        return await Store.open(paths.database_file)
    return await Store.open(await _address(url), waiting_in=waiting_in(paths))


def waiting_in(paths: Paths) -> Path:
    """The folder of writes that wait for a server."""
    return paths.state_dir / WAITING


def waiting(paths: Paths) -> Path | None:
    """The folder with writes that wait for a server, if there are any."""
    folder = waiting_in(paths)
    return folder if folder.is_dir() and any(folder.iterdir()) else None


async def copy(source: str, target: str, progress: Progress) -> Copied:
    """Copy everything from one store to another, or go on with a copy that broke off.

    Args:
        source: A file, or the URL of a database.
        target: Another, which is empty.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        StorageError: One can't be used, the target holds something else, or they differ.
    """
    from storage.copying import copy

    places = [await _place(text) for text in (source, target)]
    if isinstance(places[0], Path) and not await asyncio.to_thread(places[0].is_file):
        raise StorageError(f"There is no file {source}.", "Name a database that is there.")
    async with await Store.open(places[0]) as one, await Store.open(places[1]) as other:
        return await copy(one, other, progress)


async def _address(url: str) -> Address:
    """The address that a URL names, with the password if the keyring has it.

    Raises:
        StorageError: It is none.
    """
    from storage.postgres.address import Address

    found = Address.of(url)
    if found.password is not None or os.environ.get("PGPASSWORD"):
        return found
    from engine.secrets import from_keyring

    # In a thread: the keyring may ask the user.
    return Address(url=found.url, password=await asyncio.to_thread(from_keyring, found.url))


async def _place(text: str) -> Path | Address:
    if "://" in text:
        return await _address(text)
    return await asyncio.to_thread(Path(text).expanduser)
