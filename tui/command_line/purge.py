"""`scrubjay purge`: conversations removed for good, so that nothing of them is left on the disk."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from storage.errors import StorageError, UnknownSessionError
from tui.command_line import sessions
from tui.command_line.console import CommandError, Exit, ask, complain, say, say_json, tell
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from engine.config import Paths, Settings
    from engine.library import Library
    from storage.purging import Purged
    from storage.records import Session

NAMED = 10
"""So many conversations are named in the question; of more, the rest is counted."""


async def purge(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Remove conversations for good.

    Raises:
        CommandError: There is no such conversation, or nobody to ask.
        StorageError: The database can't be used.
    """
    async with opened(settings, paths) as engine:
        library = engine.library
        going = await _chosen(library, options)
        ids = [session.id for session in going]
        if going and not options.yes:
            outline = await library.would_purge(ids)
            if not _sure(going, outline, keep_facts=options.keep_facts):
                complain("Nothing was purged.")
                return Exit.FAILED
        purged = await library.purge(ids, keep_facts=options.keep_facts)
        # Also when nothing goes now: what went before may have left words behind.
        clean = await library.scrub()
        began = time.monotonic()
        try:
            clean = clean and await library.vacuum()
        except StorageError as error:
            complain(f"The file keeps its size: {error.message}", error.next_step)
        seconds = time.monotonic() - began
        copies = await library.copies(ids) if ids else ()
        size = (await library.figures()).database_bytes
    if options.json:
        say_json(
            {
                "purged": purged,
                "session_ids": ids,
                "log_emptied": clean,
                "vacuum_seconds": round(seconds, 3),
                "database_bytes": size,
                "copies": [str(copy) for copy in copies],
            }
        )
    else:
        _told(purged, copies, size, seconds)
    if settings.storage.url:
        tell(
            "The server's log, its free pages and its backups may hold words of it for a while:"
            " they are its keeper's."
        )
    if not clean:
        complain(
            "Another Scrubjay still reads the database, so its log holds words of what was purged.",
            "Close it and say `scrubjay purge --all-deleted` again.",
        )
        return Exit.FAILED
    return Exit.DONE


async def _chosen(library: Library, options: argparse.Namespace) -> Sequence[Session]:
    if options.session is None:
        return await library.deleted(options.before)
    try:
        return [await library.session(options.session.lower())]
    except UnknownSessionError:
        beginning = options.session.lower()
        deleted = await library.deleted() if beginning else []
        found = [one for one in deleted if one.id.startswith(beginning)]
        return found if len(found) == 1 else [await sessions.find(library, options.session)]


def _sure(going: Sequence[Session], outline: Purged, *, keep_facts: bool) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("Nobody is there to ask.", "Say `--yes` to purge.", code=Exit.USAGE)
    for session in going[:NAMED]:
        note = "" if session.deleted_at else "  (not deleted yet)"
        tell(f"  {session.id[: sessions.SHORTEST_ID]}  {sessions.title_of(session)}{note}")
    if len(going) > NAMED:
        tell(f"  and {len(going) - NAMED:,} more")
    if keep_facts:
        tell(f"The {_count(outline.facts, 'fact')} learnt from nothing else are kept.")
    ask(f"Remove {_summary(outline, facts=not keep_facts)} for good? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _told(purged: Purged, copies: Sequence[Path], size: int, seconds: float) -> None:
    say(f"Removed {_summary(purged)} for good." if purged.sessions else "Nothing was to be purged.")
    say(f"The database has {size / 1e6:,.1f} MB now; writing it anew took {seconds:.1f} s.")
    if copies:
        say("These copies still hold what was purged, or may; delete them yourself:")
    for copy in copies:
        say(f"  {copy}")


def _summary(purged: Purged, *, facts: bool = True) -> str:
    parts = [
        _count(purged.sessions, "conversation"),
        _count(purged.messages, "message"),
        _count(purged.articles, "article"),
        _count(purged.episodes, "episode"),
        *([_count(purged.facts, "fact")] if facts else []),
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
