"""The whole app over a real engine and store, with a scripted model, and the means to watch it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from engine.config import ModelSettings, Settings, UISettings
from engine.engine import Engine
from storage.records import Finish, Role, TitleOrigin, Usage
from tests.embedded_weights import paths_under
from tests.scripted import ScriptedBackend
from tui.app import ScrubjayApp
from tui.screens.chat import ChatScreen
from tui.transcript import Transcript
from tui.widgets.composer import Composer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from engine.llm.base import Backend
    from storage.records import Message, Session


class Chat(NamedTuple):
    """A running app, and its parts that tests ask about."""

    app: ScrubjayApp
    pilot: Pilot[None]
    engine: Engine

    @property
    def screen(self) -> ChatScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        return screen

    @property
    def composer(self) -> Composer:
        return self.screen.query_one(Composer)

    @property
    def transcript(self) -> Transcript:
        return self.screen.query_one(Transcript)

    @property
    def session_id(self) -> str | None:
        session = self.screen.conversation.session
        return session.id if session else None

    async def until(self, true: Callable[[], object], seconds: float = 15) -> None:
        """Wait for a condition; fail when it has not come true by the deadline."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"it did not come true; shown is\n{self.text}"
            await self.pilot.pause()
            await asyncio.sleep(0.005)

    async def until_shown(self, text: str) -> None:
        await self.until(lambda: text in self.text)

    async def ready(self) -> None:
        """Wait until the panes are there and the model is found."""
        await self.until(lambda: self.engine.models.current is not None)
        await self.until(lambda: self.screen.query(Transcript))

    async def still(self) -> None:
        """Wait until the screen has not changed for a while, and nobody works on a change."""
        before = ""
        while (now := self.text) != before or self._reading:
            before = now
            await self.pilot.pause(0.1)

    @property
    def _reading(self) -> bool:
        return any(w.group in ("figures", "vitals") and not w.is_finished for w in self.app.workers)

    async def open(self, session_id: str) -> None:
        """Show a kept conversation, and wait until that has given the focus to the composer."""
        self.screen.open(session_id)
        await self.until(lambda: self.session_id == session_id and not self._opening)

    @property
    def _opening(self) -> bool:
        return any(w.group == "open" and not w.is_finished for w in self.app.workers)

    async def say(self, text: str) -> None:
        """Write something and send it."""
        self.composer.put(text)
        await self.pilot.press("enter")

    async def messages(self) -> list[Message]:
        """What is on the disk of the session that is shown."""
        assert self.session_id is not None
        session = await self.engine.library.session(self.session_id)
        return list(await self.engine.library.page(session.id, 0, session.message_count))

    @property
    def text(self) -> str:
        """All that is on the screen, row by row."""
        screen = self.app.screen
        width, height = self.app.size
        rows = screen._compositor.render_strips()
        return "\n".join(row.text.ljust(width) for row in rows[:height])


def settings(theme: str = "scrubjay-dark") -> Settings:
    return Settings(model=ModelSettings(default="scripted:parrot"), ui=UISettings(theme=theme))


@asynccontextmanager
async def chatting(
    folder: Path,
    backend: Backend | None = None,
    *,
    size: tuple[int, int] = (120, 40),
    chosen: Settings | None = None,
    before: Callable[[Engine], object] | None = None,
) -> AsyncIterator[Chat]:
    """The app on an in-memory terminal; `before` may look at the engine before the app starts."""
    engine = await Engine.open(
        chosen or settings(), paths_under(folder), backends=[backend or ScriptedBackend()]
    )
    try:
        if before is not None:
            before(engine)
        app = ScrubjayApp(engine)
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Chat(app, pilot, engine)
    finally:
        await engine.close()


QUESTION = "How do I read a file line by line in Python?"

ANSWER = """\
Open it with `open()` and loop over it; the file is read *as you go*:

```python
from pathlib import Path

with Path("birds.txt").open(encoding="utf-8") as file:
    for number, line in enumerate(file, start=1):
        print(number, line.rstrip())
```

| way | memory | when |
|---|---|---|
| `for line in file` | one line | nearly always |
| `file.readlines()` | whole file | small files |

1. **Name the encoding.** The default depends on the system.
2. Leave the closing to `with`.
"""

FIRST_AT = 1_790_000_000.0
"""When the kept conversations begin: 21 September 2026, 14:13:20 UTC."""

USAGE = Usage(prompt_tokens=412, eval_tokens=163, prompt_seconds=0.31, eval_seconds=4.1)


async def keep_talk(engine: Engine, title: str, *texts: str, at: float = FIRST_AT) -> Session:
    """Put a conversation into the store, as if it had been held at `at`."""
    session = await engine.library.create()
    for place, text in enumerate(texts):
        asked = place % 2 == 0
        await engine._store.messages.append(
            session.id,
            role=Role.USER if asked else Role.ASSISTANT,
            content=text,
            model=None if asked else "scripted:parrot",
            finish=Finish.COMPLETE,
            usage=None if asked else USAGE,
            created_at=at + place,
        )
    return await engine.library.rename(session.id, title, TitleOrigin.USER)
