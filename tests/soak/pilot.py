"""Uses the app with keys, as a person would, and keeps account of what it sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.models import DEFAULT_REF
from tests.soak.faults import SIZES
from tests.soak.parrot import HOSTILE, REF, WORDS

if TYPE_CHECKING:
    import random

    from storage.store import Store
    from tests.soak.ledger import Ledger
    from tests.soak.schedule import Step
    from tests.tui.chatting import Chat

SETTLED_SECONDS = 90.0
"""For so long the app may take to be idle again, on a busy machine."""

KEYS = {" ": "space", "?": "question_mark"}


class Pilot:
    """Does what the schedule says; each act is a method that takes what decides on its details.

    Attributes:
        problems: What went wrong on the way.
    """

    def __init__(self, chat: Chat, store: Store, ledger: Ledger) -> None:
        self.problems: list[str] = []
        self._chat = chat
        self._store = store
        self._ledger = ledger

    async def do(self, step: Step) -> None:
        """Do one thing, from the composer on."""
        await self._go_to_the_composer()
        await getattr(self, step.act)(step.chance)

    async def settle(self) -> None:
        """Wait until nothing is being done any more."""
        pool = self._chat.engine.pool
        deadline = time.monotonic() + SETTLED_SECONDS
        while living := pool.living():
            if time.monotonic() > deadline:
                self.problems += [f"a job does not end: {job.name}" for job in living]
                return
            await self._chat.pilot.pause(0.02)

    async def rest(self) -> None:
        """Wait until all is done; nothing is on the screen then but an empty conversation."""
        await self._go_to_the_composer()
        await self._press("ctrl+n")
        await self._chat.pilot.resize_terminal(*SIZES[0])
        await self.settle()
        await self._chat.pilot.pause(0.2)

    async def send(self, chance: random.Random) -> None:
        await self._send(chance, typed=chance.random() < 0.2)

    async def research(self, chance: random.Random) -> None:
        await self._send(chance, "/research ")

    async def ask_embedded(self, chance: random.Random) -> None:
        conversation = self._chat.screen.conversation
        await conversation.use_model(DEFAULT_REF)
        await self._send(chance)
        await conversation.use_model(REF)

    async def _send(self, chance: random.Random, command: str = "", *, typed: bool = False) -> None:
        token = self._ledger.next_token()
        text = " ".join([token, *chance.choices(WORDS, k=chance.randrange(1, 12)), "?"])
        if chance.random() < 0.1:
            text += " " + HOSTILE
            typed = False
        if typed:
            self._chat.composer.put("")
            await self._press(*text)
            if self._chat.composer.text != text:  # a question of the app came in between
                self._ledger.times[token] = 0
                self._chat.composer.put("")
                return
        else:
            self._chat.composer.put(command + text)
        await self._press("enter")
        deadline = time.monotonic() + SETTLED_SECONDS
        while self._sending or not (
            await self._ledger.count(self._store, token) or token in self._chat.composer.text
        ):
            if time.monotonic() > deadline:
                self.problems.append(f"{token} was neither kept nor given back")
                break
            await self._chat.pilot.pause(0.01)
        kept = await self._ledger.count(self._store, token)
        if token in self._chat.composer.text:
            self._ledger.times[token] = 0
            if kept:
                self.problems.append(f"{token} was kept, and given back, too")

    @property
    def _sending(self) -> bool:
        conversation = self._chat.screen.conversation
        return conversation._sending.locked() or any(
            not worker.is_finished for worker in self._chat.app.workers if worker.group == "send"
        )

    async def stop(self, chance: random.Random) -> None:
        await self._press("escape")

    async def retry(self, chance: random.Random) -> None:
        await self._press("ctrl+r")

    async def go_on(self, chance: random.Random) -> None:
        await self._in_the_transcript("end", "m")

    async def edit(self, chance: random.Random) -> None:
        await self._in_the_transcript("left_curly_bracket", "e")
        await self._send(chance)

    async def branch(self, chance: random.Random) -> None:
        step = chance.choice(["less_than_sign", "greater_than_sign"])
        await self._in_the_transcript("left_curly_bracket", step)

    async def take_back(self, chance: random.Random) -> None:
        await self._in_the_transcript("d")

    async def scroll(self, chance: random.Random) -> None:
        keys = ["home", "end", "pageup", "pagedown", "space", "i", "t", "alt+down"]
        await self._in_the_transcript(*chance.choices(keys, k=4))

    async def search(self, chance: random.Random) -> None:
        await self._in_the_sidebar("slash", *chance.choice(WORDS), "escape", "escape")

    async def other_session(self, chance: random.Random) -> None:
        moves = chance.choices(["down", "up"], k=chance.randrange(4))
        await self._in_the_sidebar(*moves, "enter")

    async def delete(self, chance: random.Random) -> None:
        await self._in_the_sidebar("down", "d", *chance.choice([["u"], []]))

    async def new(self, chance: random.Random) -> None:
        await self._press("ctrl+n")

    async def inspect(self, chance: random.Random) -> None:
        await self._press("ctrl+o", *chance.choices("12345", k=2), "escape")

    async def find(self, chance: random.Random) -> None:
        await self._press("ctrl+f", *chance.choice(WORDS)[:3], "enter", "escape")

    async def dialogs(self, chance: random.Random) -> None:
        await self._press(chance.choice(["f1", "ctrl+p", "ctrl+t", "f2"]), "escape")

    async def resize(self, chance: random.Random) -> None:
        await self._chat.pilot.resize_terminal(*chance.choice(SIZES))

    async def _press(self, *keys: str) -> None:
        await self._chat.pilot.press(*(KEYS.get(key, key) for key in keys))

    async def _go_to_the_composer(self) -> None:
        """Close dialogs, and write."""
        for _ in range(20):
            if len(self._chat.app.screen_stack) == 1:
                break
            await self._press("escape")
        else:
            self.problems.append(f"a dialog stays: {self._chat.app.screen}")
        self._chat.composer.focus()
        await self._chat.pilot.pause()

    async def _in_the_transcript(self, *keys: str) -> None:
        if self._chat.session_id is None:
            return
        self._chat.transcript.focus()
        await self._press(*keys)

    async def _in_the_sidebar(self, *keys: str) -> None:
        if self._chat.app.size.width < 80:  # it has no room
            return
        await self._press("ctrl+b")
        if self._chat.screen.query("SessionList:focus-within"):
            await self._press(*keys)
