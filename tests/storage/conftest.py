"""A store on a real file, for every test here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytest.register_assert_rewrite("tests.storage.contract")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "scrubjay.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with await Store.open(path) as store:
        yield store
