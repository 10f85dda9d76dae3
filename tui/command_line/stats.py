"""`scrubjay stats` and `scrubjay context`: what answers cost, and what the next one is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.cells import set_cell_size

from storage.errors import UnknownSessionError
from tui.command_line.console import Exit, say, say_json
from tui.command_line.running import opened
from tui.command_line.sessions import find, title_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from engine.config import Paths, Settings
    from engine.context.budget import Packed
    from engine.library import Library
    from storage.usage import Unit, UsageRow

UNITS: tuple[Unit, ...] = ("day", "model", "session")


async def stats(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Print what answers cost, in all and by day, model and session.

    Raises:
        StorageError: The database can't be used.
    """
    async with opened(settings, paths) as engine:
        library = engine.library
        total = await library.usage()
        by = {unit: await library.usage_by(unit, limit=options.limit) for unit in UNITS}
        if options.json:
            say_json({"total": total, "kept": await library.figures(), **_by_name(by)})
            return Exit.DONE
        say(f"{total.answers:,} answers, {total.prompt_tokens:,} tokens read, "
            f"{total.eval_tokens:,} written")  # fmt: skip
        for unit, rows in by.items():
            say("")
            say(f"{unit:<34} {'answers':>8} {'read':>12} {'written':>12} {'tok/s':>8} {'first':>8}")
            for row in rows:
                name = await _title(library, row.key) if unit == "session" else row.key
                say(_line(row, name))
    return Exit.DONE


async def context(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Print what a model would be shown if a session were answered now, part by part.

    Raises:
        CommandError: There is no such session.
        ModelError: There is no model to pack for, or the last question does not fit it.
        StorageError: The database can't be used.
    """
    async with opened(settings, paths) as engine:
        session = await find(engine.library, options.session)
        packed = await engine.preview(session.id)
        if options.json:
            say_json(_as_object(packed))
            return Exit.DONE
        about = "" if packed.exact else "~"
        say(f"{packed.model}: {about}{packed.tokens:,} of {packed.window:,} tokens, "
            f"{packed.reserve:,} kept for the answer")  # fmt: skip
        for segment in packed.segments:
            left_out = {0: "", -1: "more left out"}.get(
                segment.left_out, f"{segment.left_out} left out"
            )
            reason = " ".join(part for part in (left_out, segment.why) if part)
            figures = f"{segment.name:<14} {about}{segment.tokens:>8,} {segment.items:>5}"
            say(f"{figures}  {reason}".rstrip())
    return Exit.DONE


def _by_name(by: Mapping[Unit, Sequence[UsageRow]]) -> dict[str, Any]:
    return {
        f"by_{unit}": [
            {**msgspec.structs.asdict(row), "tokens_per_second": row.tokens_per_second}
            for row in rows
        ]
        for unit, rows in by.items()
    }


async def _title(library: Library, session_id: str) -> str:
    """The beginning of a session's id, as the list of sessions has it, and its title."""
    try:
        session = await library.session(session_id)
    except UnknownSessionError:  # it was purged
        return session_id
    return f"{session_id[:12]}  {title_of(session)}"


def _line(row: UsageRow, name: str) -> str:
    speed = "" if row.tokens_per_second is None else f"{row.tokens_per_second:.1f}"
    first = "" if row.first_token_seconds is None else f"{row.first_token_seconds:.2f} s"
    counts = f"{row.answers:>8,} {row.prompt_tokens:>12,} {row.eval_tokens:>12,}"
    return f"{set_cell_size(name, 34)} {counts} {speed:>8} {first:>8}".rstrip()


def _as_object(packed: Packed) -> dict[str, Any]:
    return {
        "model": packed.model,
        "window": packed.window,
        "tokens": packed.tokens,
        "exact": packed.exact,
        "reserve": packed.reserve,
        "segments": packed.segments,
        "recollections": packed.recollections,
        "messages": packed.request.messages,
        "tools": [tool.name for tool in packed.request.tools],
    }
