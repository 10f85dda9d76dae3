"""`scrubjay sessions`: the kept conversations, from a script."""

from __future__ import annotations

import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import export, imports
from tui.command_line.console import (
    CommandError,
    Exit,
    Progress,
    complain,
    say,
    say_json,
    write,
)
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Sequence

    from engine.config import Paths, Settings
    from engine.export import Exporter
    from engine.imports import Report
    from engine.library import Library
    from storage.records import SearchHit, Session

PAGE = 500
"""Sessions that are read at a time."""

READABLE = "Check the name, and that you may read the file."

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
            case "search":
                query = " ".join(options.query)
                _found(await library.search(query, limit=options.limit), as_objects=options.json)
            case "show":
                session = await find(library, options.session)
                await _put_out(export.BUILT_IN["markdown"].pieces(library, session))
            case "export":
                await _export(library, (await engine.exporters())[options.format], options)
            case "import":
                return await _import(library, options)
            case "delete":
                return await _delete(library, options.session, sure=options.yes)
            case "archive":
                session = await find(library, options.session)
                await library.archive(session.id)
                again = f"`scrubjay sessions restore {session.id}`"
                say(f"Archived “{title_of(session)}”. {again} brings it back.")
            case "restore":
                session = await library.restore(options.session)
                say(f"Restored “{title_of(session)}”.")
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
    if not name:  # an unset variable of a shell would mean the only session that there is
        raise CommandError("An empty name is no session.", "`scrubjay sessions list` shows them.")
    found = [session async for session in _all(library) if session.id.startswith(name.lower())]
    if not found:
        raise CommandError(f"There is no session {name}.", "`scrubjay sessions list` shows them.")
    exact = [session for session in found if session.id == name.lower()]
    if len(exact or found) > 1:
        raise CommandError(f"{name} is the beginning of {len(found)} ids.", "Give more of it.")
    return (exact or found)[0]


async def _all(library: Library, *, archived: bool = False) -> AsyncGenerator[Session]:
    """The listed sessions, and then, if they are wanted, the archived ones."""
    for put_away in (False, True)[: 1 + archived]:
        page: Sequence[Session] = await library.sessions(limit=PAGE, archived=put_away)
        while page:
            for session in page:
                yield session
            page = await library.sessions(limit=PAGE, before=page[-1], archived=put_away)


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
        say(f"{session.id[:digits]}  {changed:%Y-%m-%d %H:%M}  {count:>12}  {title_of(session)}")


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
        write(f"Delete “{title_of(session)}” with its {count} messages? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            complain("Nothing was deleted.")
            return Exit.FAILED
    await library.delete(session.id)
    say(f"Deleted “{title_of(session)}”. `scrubjay sessions restore {session.id}` brings it back.")
    return Exit.DONE


def _found(hits: Sequence[SearchHit], *, as_objects: bool) -> None:
    if as_objects:
        say_json(
            [
                {
                    **_object(hit.session),
                    "message_id": hit.message_id,
                    "position": hit.position,
                    "snippet": "".join(span.text for span in hit.snippet),
                }
                for hit in hits
            ]
        )
        return
    if not hits:
        say("Nothing was found.")
        return
    digits = _telling([hit.session for hit in hits])
    for hit in hits:
        changed = datetime.fromtimestamp(hit.session.updated_at).astimezone()
        say(f"{hit.session.id[:digits]}  {changed:%Y-%m-%d %H:%M}  {title_of(hit.session)}")
        if snippet := " ".join("".join(span.text for span in hit.snippet).split()):
            say(f"  {snippet}")


async def _export(library: Library, exporter: Exporter, options: argparse.Namespace) -> None:
    """Write one conversation, or all of them into a folder."""
    if options.all == bool(options.session):
        raise CommandError(
            "It is not clear what to export.",
            "Name one conversation, or say `--all`.",
            code=Exit.USAGE,
        )
    output = Path(options.output) if options.output else None
    if not options.all:
        session = await find(library, options.session)
        pieces = exporter.pieces(library, session)
        if output is None:
            await _put_out(pieces)
            return
        file = output / export.file_name(session, exporter) if output.is_dir() else output
        await save(pieces, file, replace=options.force)
        complain(f"Wrote {file}.")
        return
    if output is None:
        raise CommandError(
            "Each conversation is written into a file of its own.",
            "Name a folder for them with `--output`.",
            code=Exit.USAGE,
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"{output} can't be made a folder: {error.strerror}.", "Name another with `--output`."
        ) from error
    written = 0
    with Progress() as progress:
        total = (await library.figures()).sessions or 1
        async for session in _all(library, archived=True):
            file = output / export.file_name(session, exporter)
            await save(exporter.pieces(library, session), file, replace=options.force)
            written += 1
            progress.show(f"{written:,} conversations", min(written / total, 1.0))
    complain(f"Wrote {written:,} conversations into {output}.")


async def _import(library: Library, options: argparse.Namespace) -> int:
    """Take conversations in from files, and tell what came of each."""
    reports: list[Report] = []
    failed = False
    for file in _files(options.files):
        try:
            report = await _import_one(library, file, options.format)
        except imports.UnreadableError as error:
            complain(error.message, error.next_step)
            failed = True
            continue
        except OSError as error:
            complain(f"{file} can't be read: {error.strerror or error}.", READABLE)
            failed = True
            continue
        reports.append(report)
        if report.problem:
            complain(report.problem, report.next_step)
            failed = True
        if not options.json:
            _tell(report)
    if options.json:
        say_json(reports)
    return Exit.FAILED if failed else Exit.DONE


async def _import_one(library: Library, file: Path, format: str | None) -> Report:
    with Progress() as progress:

        def show(report: Report, share: float) -> None:
            progress.show(f"{file}: {report.conversations:,}", share)

        return await imports.take_in(library, file, format=format, progress=show)


def _files(names: Sequence[str]) -> list[Path]:
    """The files that are meant; a folder stands for the exported conversations in it."""
    files: list[Path] = []
    for name in names:
        path = Path(name)
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise CommandError("There is no JSON file in the folder.", "Name the files themselves.")
    return files


def _tell(report: Report) -> None:
    say(f"{report.file} ({report.format})\n  {report.summary}")
    for skipped in report.skipped:
        say(f"  Left out: {skipped.count:,} × {skipped.what}: {skipped.why}")


async def _put_out(pieces: AsyncGenerator[str]) -> None:
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                write(piece)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, or a plugin's exporter that failed
        raise CommandError(f"It can't be written out: {error.strerror}.") from error


async def save(pieces: AsyncGenerator[str], file: Path, *, replace: bool) -> None:
    """Write a file that is whole or not there.

    Raises:
        CommandError: There is one already, or it can't be written.
    """
    try:
        await export.save(pieces, file, replace=replace)
    except FileExistsError:
        again = "Say `--force` to replace it, or name another."
        raise CommandError(f"{file} is there already.", again) from None
    except OSError as error:
        raise CommandError(
            f"{file} can't be written: {error.strerror}.", "Name a place where you may write."
        ) from error


def title_of(session: Session) -> str:
    """A session's title on one line."""
    return " ".join(session.title.split()) or "Untitled"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
