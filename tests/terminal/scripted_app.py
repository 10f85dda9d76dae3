"""The app over a scripted model, for tests that need an exact answer on a real terminal.

`python -m tests.terminal.scripted_app FOLDER SAYS`: SAYS is a JSON list of what the model says, as
texts, or calls, as lists of calls. It may read what is in FOLDER/files.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from engine.config import ContextSettings, MemorySettings, ModelSettings, Settings, ToolSettings
from engine.engine import Engine
from engine.llm.base import Chunk
from storage.records import ToolCall
from tests.embedded_weights import paths_under
from tests.scripted import INFO, ScriptedBackend
from tui.app import ScrubjayApp


async def main(folder: Path, says: str) -> None:
    script = msgspec.json.decode(says, type=list[str | list[ToolCall]])
    backend = ScriptedBackend(
        *([step if isinstance(step, str) else Chunk(tool_calls=tuple(step))] for step in script)
    )
    backend.info = msgspec.structs.replace(
        INFO, parameters="1B", window=8192, capabilities=frozenset({"chat", "tools"})
    )
    settings = Settings(
        model=ModelSettings(default="scripted:parrot"),
        context=ContextSettings(summarize_after=0),
        memory=MemorySettings(recall=False, extract=False),
        tools=ToolSettings(folders=(str(folder / "files"),)),
    )
    engine = await Engine.open(settings, paths_under(folder), backends=[backend])
    try:
        await ScrubjayApp(engine).run_async()
    finally:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
