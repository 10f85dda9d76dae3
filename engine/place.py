"""Where everything is kept: a file on this machine, or a database server for several machines."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from storage.store import Store

if TYPE_CHECKING:
    from engine.config import Paths, Settings
    from storage.postgres.address import Address


async def open_store(settings: Settings, paths: Paths) -> Store:
    """Open the store that the settings choose.

    Raises:
        StorageError: It can't be used; the error says what to do.
    """
    url = settings.storage.url
    if not url:
        return await Store.open(paths.database_file)
    return await Store.open(await address(url), waiting_in=paths.state_dir / "waiting")


async def place_of(text: str) -> Path | Address:
    """The store that was named on the command line: a URL, or the path of a file.

    Raises:
        StorageError: It looks like a URL, and is none.
    """
    return await address(text) if "://" in text else await asyncio.to_thread(Path(text).expanduser)


async def address(url: str) -> Address:
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
