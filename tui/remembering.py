"""What a person does with memories, from whichever widget: the dialogs, and what is said after."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textual.content import Content

from engine.memory.quotas import QuotaExceededError
from storage.errors import StorageError
from tui.telling import tell
from tui.widgets.days import Days
from tui.widgets.rows import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from textual.widget import Widget

    from engine.engine import Engine
    from engine.memory.memories import Kept, Kind
    from storage.records import Message
    from tui.screens.memory_edit import Written

SHOWN = 20
"""Memories to choose from, of those that fit."""

QUOTED = 60
"""Characters of a memory in a message that says what was done with it."""


class Remembering:
    """Does it for a widget, which is asked for dialogs and told what came of them."""

    def __init__(self, widget: Widget, engine: Engine) -> None:
        self._widget = widget
        self._memory = engine.memory

    async def remember(
        self, text: str, *, kind: Kind = "fact", name: str = "", session_id: str | None = None
    ) -> Kept | None:
        """Keep something and say so. Gives it if it is new, and nothing else gave way to it."""
        began = time.time()
        with self._errors_told():
            kept = await self._memory.remember(text, kind=kind, name=name, session_id=session_id)
            if kept.created_at < began:
                done = "Changed" if kind == "skill" else "Known already"
            elif before := await self._memory.history(kept.id):
                done = f"Instead of {quoted(before[0])} it is remembered"
            else:
                tell(self._widget, f"Remembered: {quoted(kept)} /undo forgets it.")
                return kept
            tell(self._widget, f"{done}: {quoted(kept)}")
        return None

    def write(
        self, kind: Kind, keep: Callable[[str, str], Coroutine[None, None, None]], *, name: str = ""
    ) -> None:
        """Ask what to remember."""
        from tui.screens.memory_edit import MemoryScreen

        def written(written: Written | None) -> None:
            if written is not None:
                self._do(keep(*written))

        skill = kind == "skill"
        title = "Teach a skill" if skill else "Remember something"
        self._widget.app.push_screen(MemoryScreen(title, name=name, ask_name=skill), written)

    async def take_back(self, kept: Kept) -> None:
        """Forget what was remembered a moment ago."""
        with self._errors_told():
            await self._memory.forget(kept.id)
            tell(self._widget, f"Forgot: {quoted(kept)}")

    def edit(self, kept: Kept) -> None:
        """Ask for other words."""
        from tui.screens.memory_edit import MemoryScreen

        async def keep(written: Written) -> None:
            await self._memory.edit(kept.id, written.text)
            tell(self._widget, "Kept as it reads now.")

        def written(written: Written | None) -> None:
            if written is not None and written.text != kept.text:
                self._do(keep(written))

        title = f"Edit the skill “{one_line(kept.name)}”" if kept.kind == "skill" else ""
        self._widget.app.push_screen(
            MemoryScreen(title or f"Edit this {kept.kind}", kept.text), written
        )

    def pin(self, kept: Kept, pinned: bool) -> None:
        """Let it be thought of at every question, or no more."""

        async def pin() -> None:
            await self._memory.pin(kept.id, pinned)

        self._do(pin())

    def forget(self, kept: Kept) -> None:
        """Ask, then remove it for good."""
        from tui.screens.memory_forget import ForgetScreen

        async def forget(*, everywhere: bool) -> None:
            await self._memory.forget(kept.id, everywhere=everywhere)
            tell(self._widget, f"Forgot: {quoted(kept)}")

        def decided(how: str | None) -> None:
            if how is not None:
                self._do(forget(everywhere=how == "everywhere"))

        self._widget.app.push_screen(ForgetScreen(kept), decided)

    async def forget_matching(self, text: str) -> None:
        """Let one of the memories that fit be chosen, and ask before it is removed."""
        found: list[Kept] = []
        with self._errors_told():
            found = await self._memory.search(text, limit=SHOWN)
        if not found:
            tell(self._widget, f"Nothing that fits “{one_line(text)}” is remembered.")
        elif len(found) == 1:
            self.forget(found[0])
        else:
            days = Days()
            about = [" · ".join(filter(None, _about(kept, days))) for kept in found]
            choices = [(kept.text, line) for kept, line in zip(found, about, strict=True)]
            self._choose("Forget which?", choices, lambda place: self.forget(found[place]))

    async def lead_to_source(self, kept: Kept, lead: Callable[[Message], object]) -> None:
        """Lead to the message that a memory was learnt from; let it be chosen if there are more."""
        sources: list[Message] = []
        with self._errors_told():
            sources = await self._memory.sources(kept.id)
        if len(sources) == 1:
            lead(sources[0])
        elif sources:
            days = Days()
            choices = [
                (one.content, f"{days.short(one.created_at)} · {one.role}") for one in sources
            ]
            self._choose("It was learnt from", choices, lambda place: lead(sources[place]))
        else:
            tell(self._widget, "The messages that it was learnt from are no longer kept.")

    def _choose(
        self, title: str, choices: list[tuple[str, str]], chosen: Callable[[int], object]
    ) -> None:
        from tui.screens.memory_choice import ChoiceScreen

        def decided(place: int | None) -> None:
            if place is not None:
                chosen(place)

        rows = [
            Content.assemble(Content(one_line(text)[:300]), "\n", (f"  {about}", "$text-muted"))
            for text, about in choices
        ]
        screen = ChoiceScreen(title, "enter chooses it · escape closes", rows)
        self._widget.app.push_screen(screen, decided)

    def _do(self, work: Coroutine[None, None, None]) -> None:
        async def told() -> None:
            with self._errors_told():
                await work

        self._widget.run_worker(told(), group="memories")

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (StorageError, QuotaExceededError, ValueError) as error:
            tell(self._widget, str(error), "error")


def quoted(kept: Kept) -> str:
    """A memory in a few words, in quotation marks."""
    text = one_line(kept.text)
    return f"“{text[: QUOTED - 1].rstrip()}…”" if len(text) > QUOTED else f"“{text}”"


def _about(kept: Kept, days: Days) -> tuple[str, ...]:
    return kept.kind, one_line(kept.name), days.short(kept.created_at)
