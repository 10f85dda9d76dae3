"""`scrubjay sessions`: the kept conversations, from a script."""

from __future__ import annotations

import os
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.export import as_json, as_markdown
from tui.command_line.console import CommandError, Exit, complain, say, say_json, write
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Sequence

    from engine.config import Paths, Settings
    from engine.library import Library
    from storage.records import Session

PAGE = 500
"""Sessions that are read at a time."""

SHORTEST_ID = 12
"""Of an id's 32 digits: they count the milliseconds, so they nearly always tell sessions apart."""


async def sessions(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Do what `scrubjay sessions ACTION` asks for.

    Raises:
        CommandError: There is no such session, or the file can't be written.
        StorageError: The database can't be used.
    """
    async with opened(settings, paths) as engine:
        library = engine.library
        match options.action:
            case "list":
                listed = await library.sessions(limit=options.limit, archived=options.archived)
                _list(listed, as_objects=options.json)
            case "show":
                session = await find(library, options.session)
                await _put_out(as_markdown(library, session))
            case "export":
                session = await find(library, options.session)
                export = as_json if options.format == "json" else as_markdown
                pieces = export(library, session)
                if options.output is None:
                    await _put_out(pieces)
                else:
                    await _save(pieces, Path(options.output), replace=options.force)
            case "delete":
                return await _delete(library, options.session, sure=options.yes)
            case "archive":
                session = await find(library, options.session)
                await library.archive(session.id)
                again = f"`scrubjay sessions restore {session.id}`"
                say(f"Archived “{_title(session)}”. {again} brings it back.")
            case "restore":
                session = await library.restore(options.session)
                say(f"Restored “{_title(session)}”.")
    return Exit.DONE


async def find(library: Library, name: str) -> Session:
    """The session that `name` means: an id, the beginning of exactly one, or `last`.

    Raises:
        CommandError: It means none, or more than one.
    """
    if name == "last":
        latest = await library.latest()
        if latest is None:
            raise CommandError("There is no session yet.", "Start one with `scrubjay ask`.")
        return latest
    found = [session async for session in _all(library) if session.id.startswith(name.lower())]
    if not found:
        raise CommandError(f"There is no session {name}.", "`scrubjay sessions list` shows them.")
    exact = [session for session in found if session.id == name.lower()]
    if len(exact or found) > 1:
        raise CommandError(f"{name} is the beginning of {len(found)} ids.", "Give more of it.")
    return (exact or found)[0]


async def _all(library: Library) -> AsyncGenerator[Session]:
    page: Sequence[Session] = await library.sessions(limit=PAGE)
    while page:
        for session in page:
            yield session
        page = await library.sessions(limit=PAGE, before=page[-1])


def _list(listed: Sequence[Session], *, as_objects: bool) -> None:
    if as_objects:
        say_json([_object(session) for session in listed])
        return
    if not listed:
        say("No conversations yet.")
        return
    digits = _telling(listed)
    for session in listed:
        changed = datetime.fromtimestamp(session.updated_at).astimezone()
        count = f"{session.message_count} message{'' if session.message_count == 1 else 's'}"
        say(f"{session.id[:digits]}  {changed:%Y-%m-%d %H:%M}  {count:>12}  {_title(session)}")


def _telling(listed: Sequence[Session]) -> int:
    """How many digits of their ids tell these sessions apart."""
    longest = max(len(session.id) for session in listed)
    for digits in range(SHORTEST_ID, longest):
        if len({session.id[:digits] for session in listed}) == len(listed):
            return digits
    return longest


def _object(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "title": session.title,
        "model": session.model,
        "message_count": session.message_count,
        "created_at": _iso(session.created_at),
        "updated_at": _iso(session.updated_at),
    }


async def _delete(library: Library, name: str, *, sure: bool) -> int:
    session = await find(library, name)
    if not sure:
        if not sys.stdin.isatty():
            raise CommandError(
                "Nobody is there to ask.", "Say `--yes` to delete it.", code=Exit.USAGE
            )
        count = session.message_count
        write(f"Delete “{_title(session)}” with its {count} messages? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            complain("Nothing was deleted.")
            return Exit.FAILED
    await library.delete(session.id)
    say(f"Deleted “{_title(session)}”. `scrubjay sessions restore {session.id}` brings it back.")
    return Exit.DONE


async def _put_out(pieces: AsyncGenerator[str]) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            write(piece)


async def _save(pieces: AsyncGenerator[str], file: Path, *, replace: bool) -> None:
    """Write a file that is whole or not there."""
    _check_free(file, replace=replace)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        async with aclosing(pieces):
            with part.open("w", encoding="utf-8") as target:
                async for piece in pieces:
                    target.write(piece)
        part.replace(file)
    except OSError as error:
        raise CommandError(f"{file} can't be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    complain(f"Wrote {file}.")


def _check_free(file: Path, *, replace: bool) -> None:
    if file.exists() and not replace:
        raise CommandError(f"{file} is there already.", "Say `--force` to replace it.")


def _title(session: Session) -> str:
    return " ".join(session.title.split()) or "Untitled"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
