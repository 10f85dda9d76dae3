"""What a model may do beside talking: one file a tool."""

from __future__ import annotations

from engine.tools.calculator import calculator
from engine.tools.current_time import current_time
from engine.tools.fetch_page import fetch_page
from engine.tools.read_file import read_file
from engine.tools.registry import Registry
from engine.tools.research import research
from engine.tools.search_conversations import search_conversations


def built_in_tools() -> Registry:
    """The tools that come with the program."""
    return Registry(
        (calculator, current_time, search_conversations, read_file, fetch_page, research)
    )
