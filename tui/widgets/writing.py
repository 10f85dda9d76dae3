"""What is being written: drafts that are kept, history, completion, counting, the editor."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.attachments import FileNames
from engine.library import Draft
from engine.llm.base import ModelError
from engine.mcp.texts import resource_names
from storage.errors import StorageError
from tui.latest import run_latest
from tui.telling import tell, tell_error
from tui.widgets.completions import MOST, Completions
from tui.widgets.talk import Talk

if TYPE_CHECKING:
    from textual.timer import Timer

    from engine.engine import Engine
    from storage.records import Message, Session
    from tui.widgets.composer import Composer

log = logging.getLogger(__name__)

DRAFT_SECONDS = 1.0
"""A draft is kept when nothing has been typed for so long."""

WARM_SECONDS = 60.0
"""For so long a model that was got ready needs no asking again."""

COUNT_SECONDS = 0.3
"""What is being written is counted when nothing has been typed for so long."""

COUNTED_CHARACTERS = 80
"""A shorter text needs no counting: anybody can see that it is short."""


class Writing(Talk):
    """The composer of a conversation, and what becomes of its text before it is sent."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._draft_timer: Timer | None = None
        self._count_timer: Timer | None = None
        self._names: FileNames | None = None
        self._kept_draft = Draft()
        self._warm_until = 0.0
        self._edited: Message | None = None
        """The earlier question that is being written anew."""

    async def _keep_draft(self) -> None:
        if self._draft_timer is not None:
            self._draft_timer.stop()
            self._draft_timer = None
        if self._edited is not None:
            return  # what was being written before is the draft, and is kept
        draft = Draft(self.composer.text, self.composer.pastes)
        if draft != self._kept_draft:
            try:
                await self._engine.library.keep_draft(self._session_id, draft)
                self._kept_draft = draft
            except StorageError as error:
                log.warning("a draft could not be kept: %s", type(error).__name__)

    async def _put_draft(self, session: Session | None) -> None:
        self._kept_draft = await self._engine.library.draft(session)
        self.composer.put(self._kept_draft.text, self._kept_draft.pastes)

    async def _begin_with_draft(self) -> None:
        """Bring back what was being written last time; what was typed since stands behind it."""
        try:
            draft = await self._engine.library.draft(None)
        except StorageError as error:
            log.warning("the draft could not be read: %s", type(error).__name__)
            return
        if self._session_id is None and draft.text:
            self._kept_draft = draft
            typed = self.composer.text
            self.composer.put(draft.text + typed, draft.pastes)

    def on_text_area_changed(self) -> None:
        """Get the model ready for what is being written; keep the draft a moment later."""
        self._count_later()
        if self.composer.text == self._kept_draft.text:
            return
        if self._draft_timer is None:
            self._draft_timer = self.set_timer(DRAFT_SECONDS, self._keep_draft)
        else:
            self._draft_timer.reset()
        now = time.monotonic()
        if self._engine.models.current is not None and now >= self._warm_until:
            self._warm_until = now + WARM_SECONDS
            self.run_worker(self._warm(), group="warm")

    async def _warm(self) -> None:
        try:
            await self._engine.models.warm()
        except ModelError as error:
            log.info("the model could not be started early: %s", error.kind)

    def _count_later(self) -> None:
        if len(self.composer.text) < COUNTED_CHARACTERS and not self.composer.pastes:
            self.composer.border_subtitle = ""
            if self._count_timer is not None:
                self._count_timer.stop()
                self._count_timer = None
        elif self._count_timer is None:
            self._count_timer = self.set_timer(COUNT_SECONDS, self._begin_to_count)
        else:
            self._count_timer.reset()

    def _begin_to_count(self) -> None:
        self._count_timer = None
        run_latest(self, partial(self._count, self.composer.message), "count")

    async def _count(self, text: str) -> None:
        from engine.context.tokens import count

        tokens = await count(text)
        if text == self.composer.message:
            self.composer.border_subtitle = f"~{tokens:,} tokens"

    async def on_composer_history_wanted(self, message: Composer.HistoryWanted) -> None:
        """Give the composer what was asked, in this session and in others."""
        try:
            prompts = await self._engine.library.prompts(message.prefix)
        except StorageError as error:
            tell_error(self, error)
            return
        if prompts and self.composer.text == message.prefix:
            self.composer.offer_history(prompts[::-1])

    def on_composer_files_wanted(self, message: Composer.FilesWanted) -> None:
        """Give the composer the names of files that fit."""
        run_latest(self, partial(self._find_files, message.typed), "files")

    async def _find_files(self, typed: str) -> None:
        if self._names is None:
            self._names = FileNames(Path.cwd())
        names = resource_names(self._engine.servers, typed, MOST)
        names += await asyncio.to_thread(self._names.fitting, typed, MOST)
        self.composer.offer_files(typed, names)

    def on_composer_offered(self, message: Composer.Offered) -> None:
        """Show what completes the word that is being written."""
        self.query_one(Completions).show(message.offered, message.chosen)

    def on_completions_clicked(self, message: Completions.Clicked) -> None:
        """Complete it."""
        self.composer.take_offered(message.place)

    def on_composer_editor_wanted(self) -> None:
        """Let the user write in a program of their own."""
        self.run_worker(self._edit_outside(), group="editor", exclusive=True)

    async def _edit_outside(self) -> None:
        from tui.editor import EditorError, edit

        try:
            text = await edit(self.app, self.composer.message)
        except EditorError as error:
            tell(self, str(error), "error")
        else:
            self.composer.put(text)
