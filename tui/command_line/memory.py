"""`scrubjay memory`: what is remembered beside the conversations, from a script."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

from engine.memory.memories import KINDS
from engine.memory.quotas import QuotaExceededError
from tui.command_line.console import CommandError, Exit, complain, say, say_json, write
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths, Settings
    from engine.memory.memories import Kept, Memories

PAGE = 500
"""Memories that are read at a time."""


async def memory(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Do what `scrubjay memory ACTION` asks for.

    Raises:
        CommandError: There is no such memory, or nothing can be remembered.
        StorageError: The database can't be used.
    """
    try:
        return await _do(options, settings, paths)
    except (QuotaExceededError, ValueError) as error:
        raise CommandError(str(error)) from error


async def _do(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    async with opened(settings, paths) as engine:
        memories = engine.memory
        match options.action:
            case "list" | "search":
                found = await memories.search(
                    " ".join(options.query) if options.action == "search" else "",
                    kinds=options.kinds or KINDS,
                    limit=options.limit,
                    superseded=options.superseded,
                )
                _list(found, as_objects=options.json)
            case "show":
                await _show(memories, options)
            case "remember":
                return await _remember(memories, options)
            case "edit":
                before = await find(memories, options.memory)
                _told(await memories.edit(before.id, options.text), options, "Now it says")
            case "pin" | "unpin":
                before = await find(memories, options.memory)
                pinned = options.action == "pin"
                kept = await memories.pin(before.id, pinned)
                _told(kept, options, "Pinned" if pinned else "No longer pinned")
            case "forget":
                return await _forget(memories, options)
    return Exit.DONE


async def find(memories: Memories, name: str) -> Kept:
    """The memory that `name` means: an id, or the beginning of exactly one.

    Raises:
        CommandError: It means none, or more than one.
    """
    if not name:  # an unset variable of a shell would mean the only memory that there is
        raise CommandError("An empty name is no memory.", "`scrubjay memory list` shows them.")
    if exact := await memories.get(name.lower()):
        return exact
    found: list[Kept] = []
    offset = 0
    while page := await memories.search(limit=PAGE, offset=offset, superseded=True):
        found += [kept for kept in page if kept.id.startswith(name.lower())]
        offset += len(page)
    if not found:
        raise CommandError(f"There is no memory {name}.", "`scrubjay memory list` shows them.")
    if len(found) > 1:
        raise CommandError(f"{name} is the beginning of {len(found)} ids.", "Give more of it.")
    return found[0]


def describe(kept: Kept) -> None:
    """Print a memory: what it is and since when, and what it says."""
    since = datetime.fromtimestamp(kept.valid_from).astimezone()
    notes = [f"{since:%Y-%m-%d}"]
    if kept.valid_to is not None:
        notes.append(f"until {datetime.fromtimestamp(kept.valid_to).astimezone():%Y-%m-%d}")
    if kept.name:
        notes.append(_one_line(kept.name))
    if kept.process_id:
        notes.append(f"by {_one_line(kept.process_id)}")
    if kept.pinned:
        notes.append("pinned")
    if kept.confidence < 1:
        notes.append(f"{kept.confidence:.0%} sure")
    say(f"{kept.kind:<7}  {kept.id}  {' · '.join(notes)}")
    say(f"         {_one_line(kept.text)}")


def _list(found: list[Kept], *, as_objects: bool) -> None:
    if as_objects:
        say_json(found)
    elif not found:
        say("Nothing is remembered that fits.")
    else:
        for kept in found:
            describe(kept)


async def _show(memories: Memories, options: argparse.Namespace) -> None:
    kept = await find(memories, options.memory)
    sources = await memories.sources(kept.id)
    history = await memories.history(kept.id)
    if options.json:
        say_json({"memory": kept, "sources": sources, "before": history})
        return
    describe(kept)
    for source in sources:
        when = datetime.fromtimestamp(source.created_at).astimezone()
        say(f"from     {source.id}  {when:%Y-%m-%d %H:%M}  {source.role}")
        say(f"         {_one_line(source.content)}")
    if history:
        say("before:")
    for before in history:
        describe(before)


async def _remember(memories: Memories, options: argparse.Namespace) -> int:
    if options.kind == "skill" and not options.name:
        raise CommandError("A skill needs a name.", "Give it with `--name`.", code=Exit.USAGE)
    kept = await memories.remember(" ".join(options.text), kind=options.kind, name=options.name)
    _told(kept, options, "Remembered")
    return Exit.DONE


async def _forget(memories: Memories, options: argparse.Namespace) -> int:
    kept = await find(memories, options.memory)
    if not options.yes:
        if not sys.stdin.isatty():
            raise CommandError(
                "Nobody is there to ask.", "Say `--yes` to forget it.", code=Exit.USAGE
            )
        where = " and strike it out of its messages" if options.everywhere else ""
        write(f"Forget “{_one_line(kept.text)}” for good{where}? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            complain("Nothing was forgotten.")
            return Exit.FAILED
    await memories.forget(kept.id, everywhere=options.everywhere)
    _told(kept, options, "Forgot")
    return Exit.DONE


def _told(kept: Kept, options: argparse.Namespace, done: str) -> None:
    if options.json:
        say_json(kept)
    else:
        say(f"{done}: “{_one_line(kept.text)}” ({kept.id})")


def _one_line(text: str) -> str:
    return " ".join(text.split())
