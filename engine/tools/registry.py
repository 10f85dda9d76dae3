"""Tools: what each is called, takes and needs, told by its function's own signature.

A tool is an asynchronous function whose first parameter is a `ToolContext`. Its docstring's first
paragraph is what the model reads; its parameters' annotations are the schema that the model's
arguments must fit, a text in `Annotated[...]` being a parameter's description.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints
from urllib.parse import urlsplit

import msgspec

from engine.config import ResearchSettings
from engine.llm.base import ToolSpec
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from engine.memory.memories import Memories
    from storage.records import ToolCall
    from storage.store import Store

log = logging.getLogger(__name__)

Run: TypeAlias = Callable[..., Awaitable[str]]

NO_TEMPLATES: Mapping[str, str] = MappingProxyType({})

LONGEST_RESULT = 20_000
"""Characters of a result that reach the model; the rest is cut, and said to be."""


class ToolError(Exception):
    """A tool could not do it; the message is for the model, and says what would work."""


class ToolContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool may use."""

    session_id: str
    store: Store
    folders: tuple[Path, ...] = ()
    """Below these, and nowhere else, files may be read."""

    research: ResearchSettings = ResearchSettings()
    """How pages are fetched."""

    cache_dir: Path = Path()
    """Where fetched pages are kept for a while."""

    memory: Memories | None = None
    """What is remembered of the user."""

    question_id: str = ""
    """The message that the turn answers."""

    look_up: Callable[[str], Awaitable[str]] | None = None
    """Does research on a question within the turn; gives the articles as a model reads them."""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool call came to."""

    text: str
    failed: bool = False


class Tool:
    """A tool, ready to be offered to a model and to be run.

    Attributes:
        name: What the model calls it.
        consent: Whether a person must agree to each call.
        scope: The argument that "always" is bound to, beside the tool; empty: the tool alone.
        compacts_to: What stands for an old result, with the call's arguments as `{fields}`.
        seconds: How long a call may take.
        origin: Which other program runs it, for the person who is asked; empty: this one.
        edition: What changes when that program gives the name to something else; "always" holds
            for one edition.
    """

    origin = ""
    edition = ""

    def __init__(
        self, run: Run, *, consent: bool, scope: str, compacts_to: str, seconds: float
    ) -> None:
        self.name = run.__name__
        self.scope = scope
        self.consent = consent
        self.compacts_to = compacts_to
        self.seconds = seconds
        self.description = inspect.cleandoc(run.__doc__ or "").partition("\n\n")[0]
        self._run = run
        self._arguments = _arguments_of(run)

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model is told of it."""
        return ToolSpec(
            name=self.name, description=self.description, parameters=_schema(self._arguments)
        )

    async def call(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        """Run the tool. Whatever goes wrong becomes a result that tells the model."""
        try:
            fitting = self.fit(arguments)
        except msgspec.ValidationError as error:
            schema = msgspec.json.encode(self.spec.parameters).decode()
            return ToolResult(
                text=f"The arguments do not fit: {error}. They must fit this schema: {schema}",
                failed=True,
            )
        try:
            async with asyncio.timeout(self.seconds):
                text = await self._run(context, **fitting)
        except TimeoutError:
            return ToolResult(
                text=f"{self.name} was ended: it took longer than {self.seconds:g} seconds.",
                failed=True,
            )
        except ToolError as error:
            return ToolResult(text=str(error), failed=True)
        except StorageError as error:
            return ToolResult(text=f"{error.message} {error.next_step}".rstrip(), failed=True)
        except Exception as error:
            log.exception("the tool %s failed", self.name)
            return ToolResult(text=f"{self.name} failed: {type(error).__name__}.", failed=True)
        return ToolResult(text=shortened(text))

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the tool's function takes them.

        Raises:
            msgspec.ValidationError: They do not fit.
        """
        return msgspec.structs.asdict(msgspec.convert(arguments, self._arguments))

    def check_template(self, template: str) -> None:
        """Make sure that a template names nothing but this tool's arguments, as plain `{fields}`.

        Raises:
            ValueError: It does not; the message says what is wrong.
        """
        known = self._arguments.__struct_fields__
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"the template for {self.name}, {template!r}: {error}") from None
        for _, field, how, conversion in parts:
            if field is not None and (field not in known or how or conversion):
                names = ", ".join(f"{{{name}}}" for name in known) or "no fields"
                raise ValueError(
                    f"the template for {self.name}, {template!r}, may name {names}, as they are"
                )


def tool(
    *, consent: bool = False, scope: str = "", compacts_to: str = "", seconds: float = 30.0
) -> Callable[[Run], Tool]:
    """Make a tool of a function; see `Tool` for what the parameters mean."""

    def make(run: Run) -> Tool:
        return Tool(
            run,
            consent=consent,
            scope=scope,
            compacts_to=compacts_to
            or f"Result of {run.__name__}, left out. Call it again if needed.",
            seconds=seconds,
        )

    return make


class Registry:
    """The tools that there are, by name."""

    def __init__(
        self, tools: Iterable[Tool] = (), compaction: Mapping[str, str] = NO_TEMPLATES
    ) -> None:
        """Args:
            tools: The tools.
            compaction: Templates in place of the tools' own, by the tools' names.

        Raises:
            ValueError: A template is for no tool, or does not fit its tool.
        """
        self._tools = {tool.name: tool for tool in tools}
        self._sources: dict[str, tuple[str, ...]] = {}
        self._compaction = compaction
        for name, template in compaction.items():
            if (found := self.get(name)) is None:
                raise ValueError(f"there is no tool {name}; there are: {', '.join(self._tools)}")
            found.check_template(template)

    def put(self, source: str, tools: Iterable[Tool]) -> None:
        """Take the tools that a source, such as another program, has now, and drop those it had.

        Raises:
            ValueError: There is such a tool already, which no other may hide. None is taken.
        """
        had = self._sources.get(source, ())
        others = {name: tool for name, tool in self._tools.items() if name not in had}
        new: dict[str, Tool] = {}
        for one in tools:
            if one.name in others or one.name in new:
                raise ValueError(f"there is a tool {one.name} already")
            new[one.name] = one
        self._tools = {**others, **new}
        self._sources[source] = tuple(new)

    def as_now(self) -> Registry:
        """The tools as they are, whatever is put later: what was agreed to is what is run."""
        now = Registry(compaction=NO_TEMPLATES)
        now._tools, now._compaction = dict(self._tools), self._compaction
        return now

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def add(self, tool: Tool) -> None:
        """Let models have one more; the next request of each offers it."""
        self._tools[tool.name] = tool

    def get(self, name: str) -> Tool | None:
        """The tool of that name, or None."""
        return self._tools.get(name)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """All tools as a model is told of them."""
        return tuple(tool.spec for tool in self)

    def needs_consent(self, call: ToolCall) -> bool:
        """Whether a person must agree to a call. An unknown tool does nothing, so it needs none."""
        found = self.get(call.name)
        return found is not None and found.consent

    def scope(self, call: ToolCall) -> str:
        """What "always" means for a call: the tool, and the folder or the site it works in."""
        found = self.get(call.name)
        if found is not None and found.edition:
            return f"{call.name} as it is now ({found.edition})"
        where = str(call.arguments.get(found.scope, "")) if found and found.scope else ""
        around = _site if found and found.scope == "url" else _folder
        return f"{call.name} {around(where)}" if where else call.name

    def origin(self, call: ToolCall) -> str:
        """Which other program runs a call; empty: this one."""
        found = self.get(call.name)
        return found.origin if found else ""

    def reference(self, call: ToolCall) -> str:
        """The one line that stands for an old result of a call."""
        found = self.get(call.name)
        if found is None:
            return f"Result of {call.name}, left out."
        template = self._compaction.get(call.name, found.compacts_to)
        return template.format_map(_Fields(call.arguments))

    async def call(self, context: ToolContext, call: ToolCall) -> ToolResult:
        """Run one call of a model; an unknown name is answered with the known ones."""
        found = self.get(call.name)
        if found is None:
            names = ", ".join(self._tools)
            return ToolResult(
                text=f"There is no tool {call.name!r}; there are: {names}.", failed=True
            )
        return await found.call(context, call.arguments)


def shortened(text: str, longest: int = LONGEST_RESULT) -> str:
    """The beginning of a text of more than so many characters, and that it is no more than that."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}\n[… {len(text) - longest:,} more characters were cut]"


def _folder(path: str) -> str:
    """The folder of a file; of a path that goes up again, the whole: it could lead anywhere."""
    return path if ".." in Path(path).parts else str(Path(path).parent)


def _site(url: str) -> str:
    """The site of a page; of what is no address, the whole."""
    try:
        site = urlsplit(url)
    except ValueError:
        return url
    # The page's folder won't do: that of a site's first page would be every site.
    return f"{site.scheme}://{site.netloc}" if site.scheme and site.netloc else url


class _Fields(dict[str, Any]):
    """Arguments for a template; one that the model left out is a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


def _arguments_of(run: Run) -> type[msgspec.Struct]:
    """A record type with a field for each of the function's parameters but the context."""
    hints = get_type_hints(run, include_extras=True)
    fields: list[Any] = []
    for name, parameter in list(inspect.signature(run).parameters.items())[1:]:
        annotation = _described(hints[name])
        if parameter.default is inspect.Parameter.empty:
            fields.append((name, annotation))
        else:
            fields.append((name, annotation, parameter.default))
    return msgspec.defstruct(
        f"{run.__name__}_arguments", fields, kw_only=True, forbid_unknown_fields=True
    )


def _described(annotation: Any) -> Any:
    """The annotation with a plain text in `Annotated` read as a description."""
    from typing import Annotated

    texts = [extra for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, str)]
    if not texts:
        return annotation
    return Annotated[annotation.__origin__, msgspec.Meta(description=texts[0])]


def _schema(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(arguments)
    own: dict[str, Any] = schema["$defs"][arguments.__name__]
    return {key: own[key] for key in ("type", "properties", "required") if key in own}
