"""What the pilot sent, and whether it is all kept, once, with answers that were really given."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from storage.records import Finish, Role
from tests.soak.parrot import REF, SAID, TOKEN, Answer

if TYPE_CHECKING:
    from storage.records import Message
    from storage.store import Store

PAGE = 500


class Ledger:
    """The pilot's own account of its questions.

    Attributes:
        times: How often each question has to be found: 0 if it came back to the composer.
    """

    def __init__(self, seed: int) -> None:
        self.times: dict[str, int] = {}
        self._seed = seed

    def next_token(self) -> str:
        """What marks the next question."""
        token = f"q{len(self.times):05}x"
        self.times[token] = 1
        return token

    async def count(self, store: Store, token: str) -> int:
        """How often a question is on the disk now."""
        [(count,)] = await store._database.fetch_all(
            "SELECT count(*) FROM messages WHERE role = 'user' AND instr(content, ?)", (token,)
        )
        return int(count)

    async def compare(self, store: Store) -> tuple[list[str], Counter[str]]:
        """What is wrong with what a store keeps, and how the answers in it ended."""
        problems: list[str] = []
        questions: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        ends: Counter[str] = Counter()
        for session in await store.recall_source.sessions_of(None):
            kept = await _every(store, session.id)
            answered = {message.parent_id for message in kept}
            for message in kept:
                ends[message.finish] += 1
                if message.finish is Finish.STREAMING:
                    problems.append(f"{message.id} is still being written")
                if message.role is Role.USER:
                    tokens = TOKEN.findall(message.content)
                    questions.update(tokens)
                    if message.id not in answered:
                        problems.append(f"{tokens} has no answer")
                elif not self._was_said(message):
                    problems.append(f"{message.id} is not what was said: {message.content[:80]!r}")
            shown = await store.messages.page(session.id, 0, len(kept) + 1)
            if [one.position for one in shown] != list(range(session.message_count)):
                problems.append(f"the messages that {session.id} shows have gaps")
            answers.update(
                one for message in shown for one in SAID.findall(_from_the_model(message))
            )
        for token, times in self.times.items():
            if questions[token] != times:
                problems.append(f"{token} is kept {questions[token]} times and not {times}")
        problems += [f"{token} was never sent" for token in questions.keys() - self.times.keys()]
        problems += [f"the answer {one} is shown {n} times" for one, n in answers.items() if n > 1]
        problems += await store.check()
        return problems, ends

    def _was_said(self, message: Message) -> bool:
        """Whether an answer is kept whole, or, where it broke off, as it began.

        It may have broken off and been continued.
        """
        text = _from_the_model(message)
        parts = list(SAID.finditer(text))
        ends = [part.start() for part in parts[1:]] + [len(text)]
        for part, end in zip(parts, ends, strict=False):
            about, times = part.groups()
            said = "".join(Answer.to(self._seed, f"q{about}x", int(times)).pieces())
            kept = text[part.start() : end]
            whole = message.finish is Finish.COMPLETE and part is parts[-1]
            if kept != said if whole else not said.startswith(kept):
                return False
        return True


def _from_the_model(message: Message) -> str:
    """What the server said: what research puts under it quotes other answers.

    The embedded model, which sees such answers, says what looks like them.
    """
    return message.content.partition("\n\n")[0] if message.model == REF else ""


async def _every(store: Store, session_id: str) -> list[Message]:
    kept: list[Message] = []
    while page := await store.messages.every(
        session_id, after=kept[-1] if kept else None, limit=PAGE
    ):
        kept += [placed.message for placed in page]
    return kept
