"""A store of every kind, for every test here: what one promises, all keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.postgres.address import Address

KINDS = ["sqlite", "postgres"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with every store; those of vectors with those that the server finds, too."""
    if "place" in metafunc.fixturenames:
        vectors = metafunc.module.__name__.endswith("test_vectors")
        metafunc.parametrize("place", [*KINDS, *["pgvector"] * vectors], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Address:
    if request.param == "sqlite":
        return tmp_path / "scrubjay.db"
    server = "postgres" if request.param == "postgres" else "pgvector"
    return request.getfixturevalue(server).cleared()  # type: ignore[no-any-return]


@pytest.fixture
async def store(place: Path | Address) -> AsyncIterator[Store]:
    async with await Store.open(place) as store:
        yield store
