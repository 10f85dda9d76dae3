"""The agent: one call that asks, runs tools, and comes back with an answer or asks for consent.

It is the engine's turn without a screen, for the command line, for scripts and for other programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from engine.consent import Decision
from storage.records import Failure, Finish, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.engine import Engine
    from engine.turn import Turn

Status: TypeAlias = Literal["completed", "pending", "stopped", "failed"]


class AgentResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended."""

    status: Status
    output: str
    """What the model said last."""

    session_id: str
    model: str | None
    usage: Usage | None
    pending_tool_calls: tuple[ToolCall, ...] = ()
    """With `pending`: the calls that a person must decide on."""

    failure: Failure | None = None
    """With `failed`: why."""


class Agent:
    """Runs turns in an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(
        self,
        user_input: str,
        context: str | None = None,
        session_id: str | None = None,
        tool_confirmations: Mapping[str, Decision | bool] | None = None,
    ) -> AgentResult:
        """Ask something, or go on where consent was asked for.

        Args:
            user_input: What to ask; leave it empty to only go on.
            context: More for the model to know, in this run alone.
            session_id: The session to go on in; it is made if there is none of that id. None
                makes a new one.
            tool_confirmations: Decisions by the ids of the calls that wait; True approves and
                False denies.

        Raises:
            StorageError: The store can't be used.
            ValueError: There is nothing to ask and nothing that waits.
        """
        extra = context or ""
        turn: Turn | None = None
        if session_id is not None and tool_confirmations:
            decisions = {
                call: decision if isinstance(decision, Decision) else Decision(approve=decision)
                for call, decision in tool_confirmations.items()
            }
            turn = await self._engine.confirm(session_id, decisions, extra=extra)
            if turn is not None:
                await turn.wait()
        if user_input and not (turn is not None and turn.pending):
            if session_id is not None:
                session_id = (await self._engine.library.get_or_create(session_id)).id
            turn = await self._engine.send(session_id, user_input, extra=extra)
            await turn.wait()
        if turn is None:
            raise ValueError("there is nothing to ask, and no tool call waits for consent")
        return _result(turn)


def _result(turn: Turn) -> AgentResult:
    answer = turn.answer
    status: Status = "completed"
    if turn.pending:
        status = "pending"
    elif answer.finish is Finish.FAILED:
        status = "failed"
    elif answer.finish is not Finish.COMPLETE:
        status = "stopped"
    return AgentResult(
        status=status,
        output=answer.content,
        session_id=turn.session_id,
        model=answer.model,
        usage=answer.usage,
        pending_tool_calls=turn.pending,
        failure=answer.failure,
    )
