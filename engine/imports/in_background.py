"""An import as a job of the pool: how far it is, and at its end a notice of what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import Notice
from engine.imports import UnreadableError, take_in
from storage.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.events import Events
    from engine.imports import Report
    from engine.library import Library
    from engine.pool import Job


async def take_in_and_tell(job: Job[None], file: Path, library: Library, events: Events) -> None:
    """Take in a file's conversations."""

    def tell(report: Report, share: float) -> None:
        job.report(share, f"{report.conversations:,} conversations")

    try:
        report = await take_in(library, file, progress=tell)
    except (UnreadableError, StorageError) as error:
        text = f"{error.message} {error.next_step}".rstrip()
        events.emit(Notice(text=text, severity="error"))
    except OSError as error:
        text = f"{file} can't be read: {error.strerror or error}."
        events.emit(Notice(text=text, severity="error"))
    else:
        text = f"{report.problem} {report.summary}".lstrip()
        events.emit(Notice(text=text, severity="warning" if report.problem else "information"))
