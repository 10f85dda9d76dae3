"""`scrubjay plugins`: what installed packages add, and which of them are skipped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.events import Events
from engine.plugin_finder import Plugins
from engine.tools import built_in_tools
from tui.command_line.console import Exit, say, say_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from engine.config import Paths, Settings
    from engine.export import Exporter


async def plugins(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Print the plugins. The exit code is 1 when something of one can't be used."""
    loaded = await _load()
    troubles: list[str] = []
    if loaded.themes:
        from tui.themes import themes_of  # late: it imports Textual

        troubles = themes_of(loaded.themes).troubles
    if options.json:
        say_json(loaded.found)
    else:
        for one in loaded.found:
            mark = "✗" if one.trouble else "✓"
            say(f"{mark} {one.name}  {one.package}\n  {one.trouble or ', '.join(one.adds)}")
        for trouble in troubles:
            say(f"✗ {trouble}")
        if not loaded.found:
            say("No plugins are installed.")
    broken = bool(troubles) or any(one.trouble for one in loaded.found)
    return Exit.FAILED if broken else Exit.DONE


def exporters() -> Mapping[str, Exporter]:
    """The exporters that plugins add."""
    return asyncio.run(_load()).exporters


async def _load() -> Plugins:
    return await Plugins(built_in_tools(), Events()).load()
