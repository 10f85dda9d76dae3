"""What changes a conversation in lines, or what is remembered: the commands, and undoing them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from msgspec import structs

from engine.library import tags_of
from engine.memory.quotas import QuotaExceededError
from engine.parameters import (
    ParameterError,
    Parameters,
    changed,
    in_words,
    parameters_of,
    personas,
)
from engine.pins import can_be_pinned
from storage.records import Role
from tui.command_line.console import CommandError, ask, say, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.engine import Engine
    from engine.memory.memories import Kept, Kind
    from storage.records import Message

LAST_TURN = 64
"""Among so many messages at the end the last question is looked for: a turn may have many."""

SHOWN = 20
"""Memories to choose from, of those that fit."""

MISSING = "Write it behind the command."


class ChatChanges(ABC):
    """Commands of a conversation in lines that change it, or what is remembered."""

    def __init__(self, engine: Engine, session_id: str | None) -> None:
        self._engine = engine
        self._session_id = session_id
        self._new_parameters = Parameters()
        """What a conversation that has not begun will have."""

        self._undo: list[Callable[[], Awaitable[None]]] = []

    @abstractmethod
    async def _greet(self, session_id: str) -> None:
        """Say what was said last in a conversation."""

    @abstractmethod
    async def _fresh(self) -> str | None:
        """The next line that a person writes from now on; None at the end."""

    def _known(self) -> str:
        if self._session_id is None:
            raise CommandError("There is no conversation yet.", "Ask something first.")
        return self._session_id

    async def do_rename(self, title: str) -> None:
        """Give the conversation another title."""
        if not title:
            raise CommandError("The title is missing.", MISSING)
        await self._engine.library.rename(self._known(), title)
        tell("Renamed.")

    async def do_tag(self, tag: str) -> None:
        """Put a tag on the conversation, or take it off; without one, list its tags."""
        library = self._engine.library
        session_id = self._known()
        session = await (library.tag(session_id, tag) if tag else library.session(session_id))
        tell(f"Its tags: {', '.join(tags_of(session)) or 'none'}.")

    async def do_delete(self, _argument: str) -> None:
        """Take the conversation out of the list."""
        deleted = self._known()
        await self._engine.library.delete(deleted)
        self._session_id = None

        async def undo() -> None:
            session = await self._engine.library.restore(deleted)
            self._session_id = session.id
            await self._greet(session.id)

        self._undo.append(undo)
        tell("Deleted. /undo brings it back.")

    async def do_take_back(self, _argument: str) -> None:
        """Take the last question back, and its answer with it."""
        question = await self._last(lambda message: message.role is Role.USER)
        if question is None:
            raise CommandError("There is no question to take back yet.")
        await self._engine.library.take_back(question)

        async def undo() -> None:
            self._session_id = question.session_id
            await self._engine.library.show(question)
            await self._greet(question.session_id)

        self._undo.append(undo)
        tell("Took it back, with what followed. /undo brings it back.")

    async def do_undo(self, _argument: str) -> None:
        """Bring back what was deleted or taken back last; forget what was remembered since."""
        if not self._undo:
            raise CommandError("Nothing was deleted in this run.")
        await self._undo.pop()()

    async def do_pin(self, _argument: str) -> None:
        """Pin the last message that can be, or let it go."""
        message = await self._last(can_be_pinned)
        if message is None:
            raise CommandError("There is nothing to pin yet.")
        pinned = await self._engine.library.pin(message)
        tell("Pinned: the model goes on seeing it." if pinned else "No longer pinned.")

    async def _last(self, fits: Callable[[Message], bool]) -> Message | None:
        """The last message of the conversation that fits."""
        session = await self._engine.library.session(self._known())
        end = session.message_count
        page = await self._engine.library.page(session.id, max(0, end - LAST_TURN), end)
        return next((message for message in reversed(page) if fits(message)), None)

    # Parameters

    async def do_set(self, written: str) -> None:
        """Set a parameter of this conversation, or take it away; without one, list them."""
        name, _, value = written.partition(" ")
        try:
            parameters = await self._parameters()
            if name:
                parameters = changed(parameters, name, value)
        except ParameterError as error:
            raise CommandError(str(error)) from error
        if name:
            await self._keep(parameters)
        tell(f"Here: {in_words(parameters)}." if in_words(parameters) else "As in the settings.")

    async def do_persona(self, name: str) -> None:
        """Let this conversation have a persona, or `none`; without a name, list them."""
        known = personas(self._engine.paths.config_dir)
        if name == "none" or name in known:
            await self.do_set(f"persona {'' if name == 'none' else name}")
        elif name:
            raise CommandError(f"There is no persona {name!r}.", "/persona lists those there are.")
        else:
            say("\n".join(known) if known else "No persona is written yet.")

    async def do_recall(self, wanted: str) -> None:
        """Let this conversation remember, or not."""
        if wanted not in ("on", "off"):
            raise CommandError("Write /recall on, or /recall off.")
        on = wanted == "on"
        recall = None if on == self._engine.settings.memory.recall else on
        await self._keep(structs.replace(await self._parameters(), recall=recall))
        tell("It remembers again." if on else "Nothing is brought back from memory here.")

    async def _parameters(self) -> Parameters:
        if self._session_id is None:
            return self._new_parameters
        return parameters_of(await self._engine.library.session(self._session_id))

    async def _keep(self, parameters: Parameters) -> None:
        if self._session_id is None:
            self._new_parameters = parameters
        else:
            await self._engine.library.set_parameters(self._session_id, parameters)

    async def _begin(self) -> None:
        """Let a conversation that begins have what was set for it."""
        if self._session_id is None and self._new_parameters != Parameters():
            session = await self._engine.library.create()
            await self._engine.library.set_parameters(session.id, self._new_parameters)
            self._session_id, self._new_parameters = session.id, Parameters()

    # What is remembered

    async def do_remember(self, text: str) -> None:
        """Keep a fact."""
        if not text:
            raise CommandError("What to remember is missing.", MISSING)
        await self._remember(text)

    async def do_skill(self, written: str) -> None:
        """Keep how something is done."""
        name, _, how = (part.strip() for part in written.partition(":"))
        if not (name and how):
            raise CommandError("A name, a colon, and how it is done are wanted.", MISSING)
        await self._remember(how, name, "skill")

    async def _remember(self, text: str, name: str = "", kind: Kind = "fact") -> None:
        memory, began = self._engine.memory, time.time()
        try:
            kept = await memory.remember(text, kind=kind, name=name, session_id=self._session_id)
        except QuotaExceededError as error:
            raise CommandError(error.message, error.next_step) from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        if kept.created_at < began or await memory.history(kept.id):
            tell(f"Remembered: {kept.text}")  # as it was before, or in place of another
            return

        async def undo() -> None:
            await memory.forget(kept.id)
            tell(f"Forgot: {kept.text}")

        self._undo.append(undo)
        tell(f"Remembered: {kept.text} /undo forgets it.")

    async def do_forget(self, text: str) -> None:
        """List the memories that fit, and forget the one whose number is written then."""
        if not text:
            raise CommandError("What to forget is missing.", MISSING)
        found: list[Kept] = await self._engine.memory.search(text, limit=SHOWN)
        if not found:
            raise CommandError(f"Nothing that fits “{text}” is remembered.")
        for number, kept in enumerate(found, 1):
            tell(f"{number}: {kept.text}")
        ask("Forget which? Its number, or nothing: ")
        said = (await self._fresh() or "").strip()
        if said.isdecimal() and 1 <= int(said) <= len(found):
            await self._engine.memory.forget(found[int(said) - 1].id)
            tell("Forgot it.")
        else:
            tell("Nothing was forgotten.")
