"""Oterm's database, `store.db` (https://github.com/ggozad/oterm).

The tables are those of `src/oterm/store/store.py` and its `upgrades` in versions 0.1.6 to 0.22.0.
Of `chat` the columns `id`, `name` and `model` are in all of them, `provider` is from 0.15.0 on; of
`message` there are `id`, `chat_id`, `author` and `text` in all, `images` in later ones. Authors
were `me` and `ollama` first, then `user`, `assistant`, `system` and `tool`.

Oterm keeps no times: messages get that of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.imports.databases import DatabaseReader, Kept
from storage.ids import stable_id
from storage.records import Message, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.foreign import ForeignDatabase


class OtermReader(DatabaseReader):
    """Reads oterm's conversations."""

    format = "oterm"
    columns = frozenset({"id", "chat_id", "author", "text"})

    def chats(self, database: ForeignDatabase) -> Iterator[Kept]:
        """The conversations, by the numbers of their rows."""
        written_at = self.path.stat().st_mtime
        by_provider = "provider" in database.columns("chat")
        columns = ["id", "name", "model", "provider" if by_provider else "id"]
        for number, name, model, provider in database.rows("chat", columns, order=["id"]):
            self.skip("time", "oterm keeps none; that of the file is taken")
            yield Kept(
                number=number,
                title=name,
                created_at=written_at,
                model=f"{provider if by_provider else 'ollama'}:{model}" if model else None,
            )

    def messages(self, database: ForeignDatabase, chat: Kept) -> Iterator[Message]:
        """The messages, by the numbers of their rows, which give their ids an order."""
        with_images = "images" in database.columns("message")
        columns = ["id", "author", "text", "images" if with_images else "id"]
        rows = database.rows("message", columns, order=["id"], chat_id=chat.number)
        for number, author, text, images in rows:
            role = self.role(author)
            if with_images and images not in (None, "", "[]"):
                self.skip("picture", "pictures of oterm are not imported")
            if role is not None:
                yield Message(
                    id=stable_id(f"oterm:{chat.number}:{number}:{text}", number / 1000),
                    session_id="",
                    parent_id=None,
                    position=0,
                    role=role,
                    content=text or "",
                    model=chat.model if role is Role.ASSISTANT else None,
                    created_at=chat.created_at,
                    finished_at=chat.created_at,
                )
