"""Finds what installed packages add: late, once, in a thread; what is broken is told and skipped.

Nothing of a plugin is imported before somebody needs what it may bring, and never before the first
frame.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from engine.events import Events, Notice, PluginsLoaded
from engine.plugin_guards import GuardedEmbedder, guarded_exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from engine.embedder import Embedder
    from engine.export import Exporter
    from engine.llm.base import Backend
    from engine.plugins import Plugin
    from engine.research.sources.base import Source
    from engine.tools.registry import Registry

log = logging.getLogger(__name__)

GROUP = "scrubjay.plugins"
"""The entry points' group."""

LOAD_SECONDS = 10.0
"""So long all plugins may take to be imported; those behind one that hangs, as long again."""

PROVIDERS = ("ollama", "embedded", "openai")
EMBEDDERS = ("embedded", "words")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin, as it was found."""

    name: str
    """Its entry point's."""

    package: str
    """Who brought it, with its version; empty where that isn't known."""

    adds: tuple[str, ...] = ()
    """What it adds, such as `tool weather`."""

    trouble: str = ""
    """Why it is skipped, as a sentence; empty when it is used."""


class Plugins:
    """What plugins add. All is empty before `load` has returned.

    Attributes:
        found: Every plugin, the broken ones too.
        sources: Where research looks, beside the built-in sources.
        backends: Places where models run, by their providers' names.
        embedders: By name.
        exporters: By name.
        themes: The fields of each theme, by its name. Whoever shows them checks them.
    """

    def __init__(self, tools: Registry, events: Events) -> None:
        """Keep where tools are added, and who is told of what is broken."""
        self.found: tuple[Found, ...] = ()
        self.sources: tuple[Source, ...] = ()
        self.backends: dict[str, type[Backend]] = {}
        self.embedders: dict[str, Embedder] = {}
        self.exporters: dict[str, Exporter] = {}
        self.themes: dict[str, Mapping[str, Any]] = {}
        self._tools = tools
        self._events = events
        self._loading = asyncio.Lock()
        self._loaded = False

    async def load(self) -> Plugins:
        """Import every plugin, if that has not been done. Returns itself; never raises."""
        async with self._loading:
            if not self._loaded:
                for name, package, plugin in await _imported():
                    self._take(name, package, plugin)
                self._loaded = True
                self._events.emit(PluginsLoaded(plugins=self))
                for one in self.found:
                    if one.trouble:
                        log.warning("the plugin %s is skipped: %s", one.name, one.trouble)
                        text = f"The plugin {one.name} is skipped: {one.trouble}"
                        self._events.emit(Notice(text=text, severity="warning"))
        return self

    def _take(self, name: str, package: str, loaded: object) -> None:
        """Add what a plugin brings; all of it, or nothing."""
        trouble = loaded.text if isinstance(loaded, _Broken) else _misfit(loaded)
        adds: tuple[str, ...] = ()
        if not trouble:
            plugin: Plugin = loaded  # type: ignore[assignment]  # _misfit has made sure
            names = list(_names(plugin))
            taken = self._taken()
            twice = [one for at, one in enumerate(names) if one in taken or one in names[:at]]
            if twice:
                trouble = f"the {' '.join(twice[0])} is there already."
            else:
                adds = tuple(" ".join(one) for one in names)
                self._add(plugin)
        found = Found(name=name, package=package, adds=adds, trouble=trouble)
        self.found = (*self.found, found)

    def _add(self, plugin: Plugin) -> None:
        for tool in plugin.tools:
            self._tools.add(tool)
        self.sources = (*self.sources, *plugin.sources)
        self.backends |= {kind.provider: kind for kind in plugin.backends}
        self.embedders |= {one.name: GuardedEmbedder(one) for one in plugin.embedders}
        self.exporters |= {one.name: guarded_exporter(one) for one in plugin.exporters}
        self.themes |= plugin.themes

    def _taken(self) -> set[tuple[str, str]]:
        """What there is, as kinds and names."""
        from engine.export import BUILT_IN
        from engine.research.sources import NAMES

        there: dict[str, Iterable[str]] = {
            "tool": [tool.name for tool in self._tools],
            "source": [*NAMES, *(source.name for source in self.sources)],
            "model provider": [*PROVIDERS, *self.backends],
            "embedder": [*EMBEDDERS, *self.embedders],
            "exporter": [*BUILT_IN, *self.exporters],
            "theme": self.themes,
        }
        return {(kind, name) for kind, names in there.items() for name in names}


class _Broken(msgspec.Struct, frozen=True):
    """In place of a plugin that could not be had: why."""

    text: str


async def _imported() -> list[tuple[str, str, object]]:
    """The name, the package and the `Plugin`, or what is there in its place, of every plugin.

    In daemon threads: an import that hangs holds neither this, nor what is imported after it, nor
    the program's end.
    """
    try:
        entries = await asyncio.to_thread(_entries)
    except Exception as error:  # what an installed package says of itself can't be read
        log.exception("the list of plugins can't be read")
        return [("(all)", "", _Broken(f"the packages' lists can't be read: {error}."))]
    found: list[object] = []
    while len(found) < len(entries):
        found += await _in_time(entries[len(found) :])
    return [(one.name, _package(one), it) for one, it in zip(entries, found, strict=True)]


def _entries() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))


async def _in_time(entries: Sequence[EntryPoint]) -> list[object]:
    """What some entries name, up to the first that takes too long; one of them at least."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    given_up = threading.Event()
    came: list[object] = []

    def work() -> None:
        try:
            for entry in entries:
                if given_up.is_set():
                    return
                came.append(_named_by(entry))
        finally:
            with suppress(RuntimeError):  # it took so long that the program is at its end
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, name="plugins", daemon=True).start()
    try:
        async with asyncio.timeout(LOAD_SECONDS):
            await done.wait()
    except TimeoutError:
        given_up.set()
        late = _Broken(f"it was not imported within {LOAD_SECONDS:g} seconds.")
        return [*came[: len(entries) - 1], late]
    return came


def _named_by(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except BaseException as error:  # SystemExit, too, ends no more than the plugin
        log.exception("the plugin %s can't be imported", entry.name)
        return _Broken(f"importing it raised {type(error).__name__}: {error}.")


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""


def _misfit(loaded: object) -> str:
    """Why that is no plugin for this program; empty when it is one."""
    from engine.embedder import Embedder
    from engine.export import Exporter
    from engine.plugins import API, Plugin
    from engine.research.sources.base import Source
    from engine.tools.registry import Tool

    if not isinstance(loaded, Plugin):
        kind = type(loaded).__name__
        return f"its entry point must name a Plugin, and names something of type {kind}."
    if loaded.api != API:
        remedy = "Upgrade Scrubjay" if _later(loaded.api) else "Look for a newer one"
        return f"it was made for version {loaded.api} of the interface; here is {API}. {remedy}."
    parts: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("tools", lambda one: isinstance(one, Tool), "a Tool, as the decorator tool makes them"),
        ("sources", lambda one: isinstance(one, Source), "a Source"),
        ("backends", _is_backend, "a class of Backend that has all its methods"),
        ("embedders", lambda one: isinstance(one, Embedder), "an Embedder"),
        ("exporters", lambda one: isinstance(one, Exporter), "an Exporter"),
    )
    for part, fits, what in parts:
        given = getattr(loaded, part)
        if not isinstance(given, tuple):
            return f"its {part} must be a tuple, and are of type {type(given).__name__}."
        for one in given:
            if not fits(one):
                return f"{one!r} among its {part} must be {what}."
    try:
        nameless = [kind for kind, name in _names(loaded) if not (isinstance(name, str) and name)]
    except (AttributeError, TypeError) as error:
        return f"something in it has no name: {error}."
    return f"a {nameless[0]} of it has no name." if nameless else ""


def _is_backend(one: Any) -> bool:
    from engine.llm.base import Backend

    return inspect.isclass(one) and issubclass(one, Backend) and not inspect.isabstract(one)


def _later(api: object) -> bool:
    from engine.plugins import API

    return isinstance(api, int) and api > API


def _names(plugin: Plugin) -> Iterator[tuple[str, str]]:
    """What a plugin adds, as kinds and names."""
    yield from (("tool", tool.name) for tool in plugin.tools)
    yield from (("source", source.name) for source in plugin.sources)
    yield from (("model provider", kind.provider) for kind in plugin.backends)
    yield from (("embedder", one.name) for one in plugin.embedders)
    yield from (("exporter", one.name) for one in plugin.exporters)
    yield from (("theme", name) for name in dict(plugin.themes))
