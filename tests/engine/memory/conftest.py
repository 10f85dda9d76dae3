"""A store, and a way to have things said in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from storage.records import Message, Role
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

Say: TypeAlias = Callable[..., Awaitable[list[Message]]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "recall.db") as store:
        yield store


@pytest.fixture
def say(store: Store) -> Say:
    """Keeps texts as a session in which user and assistant take turns."""

    async def say(
        *texts: str, user_id: str | None = None, at: float | None = None
    ) -> list[Message]:
        session = await store.sessions.create(user_id=user_id)
        return [
            await store.messages.append(
                session.id,
                role=Role.ASSISTANT if place % 2 else Role.USER,
                content=text,
                created_at=None if at is None else at + place,
            )
            for place, text in enumerate(texts)
        ]

    return say
