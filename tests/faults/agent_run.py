"""A process that runs the agent over a scripted model, says how it went, and waits to be killed.

`python -m tests.faults.agent_run FOLDER` reads a `Job` as JSON from its standard input, and writes
an `Outcome` as one line of JSON.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TypeAlias

import msgspec

from engine.agent import Agent, AgentResult
from engine.config import ContextSettings, MemorySettings, ModelSettings, Settings, ToolSettings
from engine.engine import Engine
from engine.llm.base import ChatMessage, Chunk
from storage.records import ToolCall
from tests.embedded_weights import paths_under
from tests.scripted import INFO, ScriptedBackend

Says: TypeAlias = list[str | list[ToolCall]]
"""What the model says, or calls, each time that it is asked."""


class Job(msgspec.Struct, kw_only=True):
    """What happens in the process. Nothing is remembered but what the session holds."""

    ask: str
    session_id: str
    says: Says
    confirm: dict[str, bool] = {}


class Outcome(msgspec.Struct, kw_only=True):
    """What the agent returned, and what the model was shown, each time that it was asked."""

    result: AgentResult
    shown: list[tuple[ChatMessage, ...]]


async def run(folder: Path, job: Job) -> Outcome:
    says = [[text if isinstance(text, str) else Chunk(tool_calls=tuple(text))] for text in job.says]
    backend = ScriptedBackend(*says)
    backend.info = msgspec.structs.replace(
        INFO, parameters="7B", window=8192, capabilities=frozenset({"chat", "tools"})
    )
    settings = Settings(
        model=ModelSettings(default="scripted:parrot"),
        context=ContextSettings(summarize_after=0),
        memory=MemorySettings(recall=False, extract=False),
        tools=ToolSettings(folders=(str(folder / "files"),)),
    )
    engine = await Engine.open(settings, paths_under(folder), backends=[backend])
    result = await Agent(engine).run(
        job.ask, session_id=job.session_id, tool_confirmations=job.confirm
    )
    return Outcome(result=result, shown=[request.messages for request in backend.requests])


async def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    outcome = await run(Path(sys.argv[1]), job)
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.flush()
    await asyncio.sleep(600)  # until it is killed: nothing is closed, and nothing said goodbye


if __name__ == "__main__":
    asyncio.run(main())
