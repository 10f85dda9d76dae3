"""The databases of other assistants in the terminal: what reading them has in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

from engine.imports.base import Conversation, Reader, in_session, session_of
from storage import foreign
from storage.records import Message, Placed, Role

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import Any


class Kept(msgspec.Struct):
    """A conversation in such a database."""

    number: int
    """Of its row."""

    title: str | None
    created_at: float
    told_at: float | None = None
    """What the database says of that; None when it says nothing."""

    model: str | None = None
    archived: bool = False


class DatabaseReader(Reader):
    """Reads the tables `chat` and `message` of a database.

    The numbers of rows are the same in every such database. What tells its conversations from those
    of another is how they begin, which does not change when they grow.
    """

    columns: ClassVar[frozenset[str]]
    """What tells the table of messages from other programs'."""

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether it is a database with the tables of that program."""
        if not foreign.is_database(path):
            return False
        with foreign.opened(path) as database:
            return bool(database.columns("chat")) and cls.columns <= database.columns("message")

    def conversations(self) -> Generator[Conversation]:
        """The conversations, the oldest first."""
        with foreign.opened(self.path) as database:
            total = database.count("chat") or 1
            for number, kept in enumerate(self.chats(database), 1):
                placed = self._placed(kept, list(self.messages(database, kept)))
                self.share = number / total
                if not placed:
                    self.skip("conversation", "nothing is said in it")
                    continue
                session = session_of(
                    self.format,
                    self._key(kept, placed[0].message),
                    title=kept.title,
                    created_at=kept.created_at,
                    updated_at=placed[-1].message.created_at,
                    placed=placed,
                    told_at=kept.told_at,
                    archived=kept.archived,
                )
                yield Conversation(
                    session,
                    iter(
                        [
                            Placed(message=in_session(one.message, session), shown=one.shown)
                            for one in placed
                        ]
                    ),
                )

    @abstractmethod
    def chats(self, database: foreign.ForeignDatabase) -> Iterator[Kept]:
        """The conversations, the oldest first."""

    @abstractmethod
    def messages(self, database: foreign.ForeignDatabase, chat: Kept) -> Iterator[Message]:
        """The messages of one, in order; a `parent_id` of None stands for the one before."""

    def role(self, name: Any) -> Role | None:
        """Who speaks, by the name that the database has for them; None is left out, and noted."""
        match str(name).lower():
            case "user" | "me" | "human":
                return Role.USER
            case "assistant" | "ollama" | "ai":
                return Role.ASSISTANT
            case "system":
                self.skip("message", "an instruction to the model, not a part of the conversation")
            case _:
                self.skip("message", f"of an unknown speaker ({name})")
        return None

    def _key(self, chat: Kept, first: Message) -> str:
        return f"{chat.number}:{chat.told_at or ''}:{first.id}"

    def _placed(self, chat: Kept, messages: list[Message]) -> list[Placed]:
        """The messages as a tree; the branch of the last one is shown."""
        before: str | None = None
        tree: dict[str, Message] = {}
        for message in messages:
            parent_id = message.parent_id if message.parent_id in tree else before
            tree[message.id] = msgspec.structs.replace(message, parent_id=parent_id)
            before = message.id
        path = set()
        while before is not None:
            path.add(before)
            before = tree[before].parent_id
        return [Placed(message=one, shown=one.id in path) for one in tree.values()]
