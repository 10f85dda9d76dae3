"""What a model may do beside talking: one file a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.tools.calculator import calculator
from engine.tools.current_time import current_time
from engine.tools.fetch_page import fetch_page
from engine.tools.forget import forget
from engine.tools.read_file import read_file
from engine.tools.registry import NO_TEMPLATES, Registry
from engine.tools.remember import remember
from engine.tools.research import research
from engine.tools.search_conversations import search_conversations

if TYPE_CHECKING:
    from collections.abc import Mapping


def built_in_tools(compaction: Mapping[str, str] = NO_TEMPLATES) -> Registry:
    """The tools that come with the program.

    Args:
        compaction: Templates in place of the tools' own; see `Tool.compacts_to`.

    Raises:
        ValueError: A template does not fit.
    """
    return Registry(
        (
            calculator,
            current_time,
            search_conversations,
            read_file,
            fetch_page,
            research,
            remember,
            forget,
        ),
        compaction,
    )
