"""What can be done with the conversation as a whole: name, tag, delete, export; and undoing."""

from __future__ import annotations

from pathlib import Path

from engine.library import tags_of
from engine.memory.memories import Kept
from storage.errors import StorageError
from tui.actions.base import ChatBase
from tui.telling import tell, tell_error


class SessionActions(ChatBase):
    """The conversation that is shown, and those in files."""

    def action_rename(self, title: str = "") -> None:
        """Give the conversation another title; ask for it if none is given."""
        session = self.conversation.session
        if session is None:
            tell(self, "A conversation gets its title with its first message.")
        elif title:
            self.run_worker(self._rename(session.id, title), group="rename")
        else:
            from tui.screens.rename import RenameScreen

            def rename(title: str | None) -> None:
                if title:
                    self.action_rename(title)

            self.app.push_screen(RenameScreen(session.title), rename)

    async def _rename(self, session_id: str, title: str) -> None:
        try:
            await self._engine.library.rename(session_id, title)
        except StorageError as error:
            tell_error(self, error)

    async def action_delete(self) -> None:
        """Take the conversation out of the list; it can be brought back."""
        session = self.conversation.session
        if session is None:
            tell(self, "There is nothing to delete.")
            return
        try:
            for turn in reversed(self._engine.turns(session.id)):
                await turn.stop()
            await self._engine.library.delete(session.id)
        except StorageError as error:
            tell_error(self, error)
            return
        tell(self, f"Deleted “{session.title}”. /undo brings it back.")

    async def action_undo(self) -> None:
        """Bring back what was deleted or taken back last; forget what was remembered since."""
        if not self._deleted:
            tell(self, "Nothing was deleted in this run.")
            return
        last = self._deleted[-1]
        if isinstance(last, Kept):
            self._deleted.pop()
            await self._remembering.take_back(last)
            return
        if not isinstance(last, str):
            self._deleted.pop()
            await self.conversation.open(last.session_id)
            await self.conversation.bring_back(last)
            return
        try:
            session = await self._engine.library.restore(last)
        except StorageError as error:
            tell_error(self, error)
            return
        self.open(session.id)

    def action_tag(self, tag: str = "") -> None:
        """Put a tag on the conversation, or take it off; `tag:NAME` in a search finds it."""
        session = self.conversation.session
        if session is None:
            tell(self, "A conversation can be tagged once it has begun.")
        elif tag:
            self.run_worker(self._tag(session.id, tag), group="tag")
        else:
            tags = ", ".join(tags_of(session))
            tell(self, f"Its tags: {tags}." if tags else "/tag NAME puts a tag on it.")

    async def _tag(self, session_id: str, tag: str) -> None:
        try:
            session = await self._engine.library.tag(session_id, tag)
        except StorageError as error:
            tell_error(self, error)
        else:
            tags = ", ".join(tags_of(session))
            tell(self, f"Its tags: {tags}." if tags else "It has no tags now.")

    async def action_export(self, wanted: str = "") -> None:
        """Write the conversation to a file: Markdown, or the format that is named."""
        from engine import export

        session = self.conversation.session
        if session is None:
            tell(self, "There is nothing to export.")
            return
        exporter, file = export.wanted(wanted, session, await self._engine.exporters())
        try:
            await export.save(exporter.pieces(self._engine.library, session), file)
        except FileExistsError:
            tell(self, f"{file} is there already; name another after /export.", "warning")
        except OSError as error:
            tell(self, f"{file} can't be written: {error.strerror}.", "error")
        except StorageError as error:
            tell_error(self, error)
        else:
            tell(self, f"Exported to {file.absolute()}")

    def action_import_file(self, name: str = "") -> None:
        """Take in conversations from a file; the Workers tab shows how far it has come."""
        if name:
            self._engine.import_file(Path(name).expanduser())
        else:
            self.conversation.composer.put("/import ")
            self.conversation.composer.focus()
