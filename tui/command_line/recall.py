"""`scrubjay recall`: what would be brought back for a question, and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tui.command_line.console import Exit, say, say_json
from tui.command_line.running import opened
from tui.figures import bar

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths, Settings
    from engine.memory.recall import Recollection

BAR_CELLS = 10
NAME_CELLS = 13
"""Of the longest ground, `kindred words`."""


async def recall(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Print what would be brought back for a question.

    Raises:
        StorageError: The database can't be used.
    """
    question = " ".join(options.question)
    async with opened(settings, paths) as engine:
        found = await engine.recall(
            question, options.limit, tokens=options.tokens, kinds=options.kinds
        )
    if options.json:
        say_json(found)
    elif not found:
        say("Nothing relevant is remembered.")
    else:
        for recollection in found:
            _tell(recollection, explain=options.explain)
    return Exit.DONE


def _tell(found: Recollection, *, explain: bool) -> None:
    when = datetime.fromtimestamp(found.created_at).astimezone()
    where = " ".join(found.session_title.split()) or ("Untitled" if found.session_id else "")
    what = f"{found.role} said" if found.kind == "message" else found.kind
    said = [what, f"in “{where}”" if where else "", "(pinned)" if found.pinned else ""]
    told = " ".join(filter(None, said))
    say(
        f"{found.score:>4.0%}  {when:%Y-%m-%d %H:%M}  {told}  {found.memory_id or found.message_id}"
    )
    say(f"      {' '.join(found.text.split())}")
    for reason in found.reasons if explain else ():
        drawn = f"{bar(reason.share, BAR_CELLS):<{BAR_CELLS}} {reason.share:>4.0%}"
        words = ", ".join(found.shared) if reason.name == "words" else ""
        say(f"      {reason.name:<{NAME_CELLS}} {drawn}  {words}".rstrip())
