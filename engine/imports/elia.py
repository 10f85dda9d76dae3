"""Elia's database, `elia.sqlite` (https://github.com/darrenburns/elia).

The tables are those of `elia_chat/database/models.py` in versions 1.0 to 1.10: `chat` with `id`,
`model`, `title`, `started_at` and, in the later ones, `archived`; `message` with `id`, `chat_id`,
`role`, `content`, `timestamp`, `parent_id` and `model`. Times are in UTC, as SQLAlchemy writes
them for SQLite (`2026-03-01 12:30:00.000000`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.imports.base import sane
from engine.imports.databases import DatabaseReader, Kept
from storage.ids import stable_id
from storage.records import Message, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.foreign import ForeignDatabase


class EliaReader(DatabaseReader):
    """Reads elia's conversations."""

    format = "elia"
    columns = frozenset({"id", "chat_id", "role", "content", "timestamp", "parent_id", "model"})

    def chats(self, database: ForeignDatabase) -> Iterator[Kept]:
        """The conversations, by the numbers of their rows."""
        archiving = "archived" in database.columns("chat")
        columns = ["id", "title", "model", "started_at", "archived" if archiving else "id"]
        for number, title, model, started, archived in database.rows("chat", columns, order=["id"]):
            told_at = _seconds(started)
            yield Kept(
                number=number,
                title=title,
                created_at=told_at or self.path.stat().st_mtime,
                told_at=told_at,
                model=_ref(model),
                archived=bool(archiving and archived),
            )

    def messages(self, database: ForeignDatabase, chat: Kept) -> Iterator[Message]:
        """The messages, by time."""
        columns = ["id", "role", "content", "timestamp", "parent_id", "model"]
        ids: dict[Any, str] = {}
        for number, name, text, time, parent, model in database.rows(
            "message", columns, order=["timestamp", "id"], chat_id=chat.number
        ):
            role = self.role(name)
            if role is None:
                continue
            at = _seconds(time) or chat.created_at
            ids[number] = stable_id(f"elia:{chat.number}:{chat.told_at}:{number}", at)
            yield Message(
                id=ids[number],
                session_id="",
                parent_id=ids.get(parent),
                position=0,
                role=role,
                content=text or "",
                model=_ref(model) or chat.model if role is Role.ASSISTANT else None,
                created_at=at,
                finished_at=at,
            )


def _seconds(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return sane((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _ref(model: Any) -> str | None:
    """Elia's name of a model, which is litellm's: `ollama/llama3`, or `gpt-4o` alone."""
    if not model:
        return None
    provider, slash, name = str(model).partition("/")
    return f"{provider}:{name}" if slash else f"elia:{provider}"
