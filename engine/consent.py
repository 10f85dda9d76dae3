"""Consent: which tool calls wait for a person, what was decided, and what holds for the session.

All of it lives in the session's state, on disk, before anybody is asked: the program may end while
a dialog is open, and the question is still there when it starts again. What a model or a page says
never reaches this file; only `Decision`s made by a person do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from storage.records import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.tools.registry import Registry
    from storage.records import Session
    from storage.store import Store

PENDING = "pending_tool_calls"
ALWAYS = "always_allowed"
"""Where a session's state holds the calls that wait, and the scopes that need not."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says to a call."""

    approve: bool
    reason: str = ""
    """Told to the model when the call is denied."""

    always: bool = False
    """Approve calls of the same tool and scope from now on, in this session."""


APPROVED = Decision(approve=True)


class Consent:
    """The consent of one session."""

    def __init__(self, store: Store, session_id: str) -> None:
        self._store = store
        self._session_id = session_id

    async def ask(self, calls: Sequence[ToolCall]) -> None:
        """Note calls that a model wants to make, before any is run."""
        await self._keep(PENDING, calls)

    async def waiting(self) -> tuple[ToolCall, ...]:
        """The calls that have not been settled."""
        return pending_calls(await self._store.sessions.get(self._session_id))

    async def decide(
        self, tools: Registry, decisions: Mapping[str, Decision]
    ) -> list[tuple[ToolCall, Decision]]:
        """The waiting calls that can go on now, each with its decision.

        A call that needs no consent is approved, and so is one that the user has allowed for the
        session. A call that needs consent and has no decision is left out: it goes on waiting.
        """
        session = await self._store.sessions.get(self._session_id)
        always = set(session.state.get(ALWAYS, ())) if session else set()
        calls = pending_calls(session)
        granted = {
            tools.scope(call)
            for call in calls
            if (decision := decisions.get(call.id)) and decision.approve and decision.always
        }
        if granted - always:
            always |= granted
            await self._keep(ALWAYS, sorted(always))
        verdicts = []
        for call in calls:
            if call.id in decisions:
                verdicts.append((call, decisions[call.id]))
            elif not tools.needs_consent(call) or tools.scope(call) in always:
                verdicts.append((call, APPROVED))
        return verdicts

    async def settle(self, call: ToolCall) -> None:
        """Take a call off the list, its result being on disk."""
        await self._keep(PENDING, [other for other in await self.waiting() if other.id != call.id])

    async def forget(self) -> None:
        """Drop the calls that wait: what made them is no longer shown."""
        await self._keep(PENDING, [])

    async def _keep(self, key: str, value: object) -> None:
        kept = msgspec.to_builtins(value) or None
        await self._store.sessions.set_state(self._session_id, key, kept)


def pending_calls(session: Session | None) -> tuple[ToolCall, ...]:
    """The calls of a session that wait for consent or for their result."""
    if session is None:
        return ()
    return msgspec.convert(session.state.get(PENDING, ()), tuple[ToolCall, ...])
