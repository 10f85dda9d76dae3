"""Every keeper of sessions and messages passes the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.in_memory import InMemorySessionManager
from tests.storage.contract import Contract

if TYPE_CHECKING:
    from storage.base import BaseMessages, BaseSessionManager
    from storage.store import Store


class TestInStore(Contract):
    @pytest.fixture
    def sessions(self, store: Store) -> BaseSessionManager:
        return store.sessions

    @pytest.fixture
    def messages(self, store: Store) -> BaseMessages:
        return store.messages


class TestInMemory(Contract):
    @pytest.fixture
    def sessions(self) -> InMemorySessionManager:
        return InMemorySessionManager()

    @pytest.fixture
    def messages(self, sessions: InMemorySessionManager) -> BaseMessages:
        return sessions.messages
