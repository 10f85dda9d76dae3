"""What happens after an answer, in the background: title, summary, and learning of the user.

Nobody waits for these. A new question cancels them, and the next answer tries again; where there
are several model hosts, they run on another one and go on.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from engine.context.budget import DEFAULT_WINDOW
from engine.context.summary import STATE_KEY, extract, latest_summary, summarize
from engine.events import Notice
from engine.images import in_words
from engine.llm.base import ModelError
from engine.models import is_weak
from engine.pool import Job, Lane
from engine.titles import write_title
from storage.records import Role, TitleOrigin

if TYPE_CHECKING:
    from engine.context.summary import Summary
    from engine.library import Library
    from engine.llm.base import Backend, ModelInfo
    from engine.turn import Turn, Workshop
    from storage.records import Message

log = logging.getLogger(__name__)

TITLE_SECONDS = 60.0
SUMMARY_SECONDS = 300.0
"""What takes longer is given up, and tried again after the next answer."""

FOLDED_AT_MOST = 24
"""Messages that one call of the model folds into a summary."""


class Afterwards:
    """The work that follows an answer."""

    def __init__(self, shop: Workshop, library: Library) -> None:
        self._shop = shop
        self._library = library

    def begin(self, turn: Turn) -> None:
        """Hand in what there is to do after a turn."""
        backend, info = turn.backend, turn.info
        if backend is None or info is None:
            return
        if not is_weak(info):
            self._shop.pool.submit(
                "name the conversation",
                Lane.BACKGROUND,
                lambda _job: self._name(turn, backend, info),
                deadline=TITLE_SECONDS,
            )
        if self._shop.settings.context.summarize_after:
            self._shop.pool.submit(
                "sum up the conversation",
                Lane.BACKGROUND,
                lambda job: self._sum_up(job, turn, backend, info),
                deadline=SUMMARY_SECONDS,
            )
        self._shop.memory.read(turn.question, backend, info)

    async def _name(self, turn: Turn, backend: Backend, info: ModelInfo) -> None:
        session = await self._library.session(turn.session_id)
        if session.title_origin in (TitleOrigin.MODEL, TitleOrigin.USER):
            return
        try:
            title = await write_title(
                backend,
                info,
                in_words(turn.question.content),
                turn.answer.content,
                keep_alive=self._shop.settings.ollama.keep_alive,
            )
        except ModelError as error:
            log.info("no title from %s: %s", info.ref, error.kind)
            return
        if title is not None:
            await self._library.rename(turn.session_id, title, TitleOrigin.MODEL)

    async def _sum_up(self, job: Job[None], turn: Turn, backend: Backend, info: ModelInfo) -> None:
        """Fold what has grown old into the summary, a few messages at a time."""
        settings = self._shop.settings.context
        session = await self._library.session(turn.session_id)
        summary = latest_summary(session)
        done = summary.until if summary else 0
        waiting = session.message_count - settings.keep_last - done
        if waiting < settings.summarize_after and not _was_cut(turn):
            return
        end = session.message_count - settings.keep_last
        while done < end:
            folded = await self._to_fold(turn.session_id, done, end, info)
            if not folded:
                return
            summary = await self._next(backend, info, folded, summary)
            if summary is None:
                return
            done = summary.until
            await self._shop.store.sessions.set_state(
                turn.session_id, STATE_KEY, msgspec.to_builtins(summary)
            )
            job.report(detail=f"version {summary.version} covers {done:,} messages")

    async def _to_fold(
        self, session_id: str, start: int, end: int, info: ModelInfo
    ) -> list[Message]:
        """The next messages to fold: whole turns, as many as half a window holds, one at least."""
        page = await self._library.page(session_id, start, start + FOLDED_AT_MOST + 1)
        room = (info.window or info.context_length or DEFAULT_WINDOW) // 2
        borders = [n for n in range(1, len(page)) if page[n].role is Role.USER and start + n <= end]
        fitting = [n for n in borders if sum(m.token_count or 0 for m in page[:n]) <= room]
        if borders:
            return list(page[: max(fitting, default=borders[0])])
        # One turn that is longer than a page is folded in parts.
        return list(page) if start + len(page) <= end else []

    async def _next(
        self, backend: Backend, info: ModelInfo, folded: list[Message], before: Summary | None
    ) -> Summary | None:
        now = time.time()
        if is_weak(info):
            return extract(folded, before, now=now)
        try:
            return await summarize(
                backend,
                info,
                folded,
                before,
                now=now,
                keep_alive=self._shop.settings.ollama.keep_alive,
            )
        except ModelError as error:
            self._shop.events.emit(
                Notice(
                    text=f"The conversation was not summed up: {error} The summary before stays.",
                    severity="warning",
                )
            )
            return None


def _was_cut(turn: Turn) -> bool:
    """Whether the model was not shown all that it could have been."""
    return turn.packed is not None and any(
        segment.name == "conversation" and segment.left_out for segment in turn.packed.segments
    )
