"""How much may be remembered of a person, and what a day of remembering may cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.config import MemorySettings
    from storage.store import Store

SPENT = "memory tokens"
"""Where the store keeps what was spent today: a day, and tokens by person."""


class QuotaExceededError(Exception):
    """Nothing more is remembered: `message` says why, `next_step` what helps. Chats go on."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.message = message
        self.next_step = next_step


class Quotas:
    """The limits that the settings set, each for one person; 0 is no limit."""

    def __init__(self, store: Store, settings: MemorySettings) -> None:
        self._store = store
        self._settings = settings

    async def room(self, entity_id: str | None) -> float:
        """How many more memories a person may have."""
        if not self._settings.max_memories:
            return float("inf")
        store = self._store
        counts = [
            await each.count(entity_id) for each in (store.facts, store.episodes, store.skills)
        ]
        return max(0, self._settings.max_memories - sum(counts))

    def full(self) -> QuotaExceededError:
        """The error that there is no room for another memory."""
        return QuotaExceededError(
            f"Memory is full: {self._settings.max_memories:,} memories are kept.",
            "Forget some, or raise max_memories in the section [memory] of the settings file.",
        )

    async def check_tokens(self, entity_id: str | None) -> None:
        """Make sure that a model may still be asked for a person's sake today.

        Raises:
            QuotaExceededError: The day's tokens are spent.
        """
        most = self._settings.max_tokens_a_day
        if most and (await self._today()).get(entity_id or "", 0) >= most:
            raise QuotaExceededError(
                f"Today's {most:,} tokens for remembering are spent.",
                "Tomorrow it goes on; or raise max_tokens_a_day in the section [memory] of the"
                " settings file.",
            )

    async def spend(self, entity_id: str | None, tokens: int) -> None:
        """Note what a model cost."""
        spent = await self._today()
        spent[entity_id or ""] = spent.get(entity_id or "", 0) + tokens
        await self._store.set_state(SPENT, {"day": _day(), "tokens": spent})

    async def _today(self) -> dict[str, int]:
        kept = await self._store.state(SPENT)
        return dict(kept["tokens"]) if kept and kept["day"] == _day() else {}


def _day() -> str:
    return time.strftime("%Y-%m-%d")
