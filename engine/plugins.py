"""What a plugin is made of: everything that one may import of Scrubjay, and nothing else.

A plugin is an installed package with an entry point in the group `scrubjay.plugins`, which names a
`Plugin`. It is code like Scrubjay's own: it may do whatever the user may.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (msgspec reads the hints)
from types import MappingProxyType
from typing import Any

import msgspec

from engine.embedder import Embedder
from engine.export import Exporter
from engine.llm.base import (
    Backend,
    ChatMessage,
    ChatRequest,
    Chunk,
    ModelError,
    ModelInfo,
    TokenCount,
)
from engine.research.errors import FetchError
from engine.research.sources.base import Query, Reach, Source
from engine.tools.registry import Tool, ToolContext, ToolError, tool
from storage.articles import Draft
from storage.records import ToolCall, Usage

__all__ = [
    "API",
    "Backend",
    "ChatMessage",
    "ChatRequest",
    "Chunk",
    "Draft",
    "Embedder",
    "Exporter",
    "FetchError",
    "ModelError",
    "ModelInfo",
    "Plugin",
    "Query",
    "Reach",
    "Source",
    "TokenCount",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "Usage",
    "tool",
]

API = 1
"""The version of this interface. It is raised when plugins have to be changed."""


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """What a package adds to Scrubjay. Its names may not be taken already."""

    api: int
    """The version of the interface that it was written for; see `API`."""

    tools: tuple[Tool, ...] = ()
    """What models may do; made with the decorator `tool`."""

    sources: tuple[Source, ...] = ()
    """Where research looks."""

    backends: tuple[type[Backend], ...] = ()
    """Places where models run, made without arguments when one is first asked for."""

    embedders: tuple[Embedder, ...] = ()
    """What makes vectors, by the name that `[memory] embedder` and `[research] embedder` say."""

    exporters: tuple[Exporter, ...] = ()
    """Forms that conversations are written in."""

    themes: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Colours by the theme's name, with the fields of a user's own `themes/NAME.toml`."""
