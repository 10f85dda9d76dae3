"""A library on a real store, to export from and to import into."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from engine.events import Events
from engine.library import Library
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def library_in(folder: Path) -> AsyncIterator[Library]:
    async with await Store.open(folder / "scrubjay.db") as store:
        yield Library(store, Events())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "home" / "scrubjay.db") as store:
        yield store


@pytest.fixture
def library(store: Store) -> Library:
    return Library(store, Events())
