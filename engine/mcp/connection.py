"""One open connection to a server, through the SDK. Imported with the first connection, off the
loop: it brings pydantic's models of the whole protocol along.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from mcp import types
from mcp.client.client import Client
from mcp.client.subscriptions import ListenNotSupportedError
from mcp.shared.exceptions import MCPError

from engine import __version__
from engine.mcp.errors import ServerError, reason
from engine.mcp.offers import Argument, Offers, Prompt, RemoteTool, Resource
from engine.mcp.transport import address, child, filled, watched
from engine.tools.registry import ToolResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from engine.config import McpServer
    from engine.mcp.transport import Watch

# It quotes what servers send, which is not for the log; what matters is told by `ServerError`.
logging.getLogger("mcp").setLevel(logging.CRITICAL)

MOST_LISTED = 2_000
"""Tools, resources or prompts of one server that are looked at."""

MOST_PAGES = 20

PROBE_SECONDS = 5.0
"""A server that lists nothing for so long after a call was late hangs."""


@contextlib.asynccontextmanager
async def connected(
    name: str, settings: McpServer, logins: Path, watch: Watch, changed: Callable[[], None]
) -> AsyncIterator[Connection]:
    """A connection, once both sides have agreed on the protocol's version.

    Args:
        name: What the settings call the server.
        settings: The rest of what they say.
        logins: Where it is kept what servers have granted.
        watch: Hears what the server does beside answering.
        changed: Called when the server says that it offers something else now.

    Raises:
        ServerError: It can't be reached, or speaks something else.
    """
    if settings.command:
        args, env = settings.args, filled(settings.env)
        way = child(settings.command, args, env, watch)
    else:
        auth = None
        if settings.login:
            from engine.mcp.login import granted

            auth = await asyncio.to_thread(granted, name, settings.url, logins)
        way = address(settings.url, filled(settings.headers), auth)

    async def hear(message: types.ServerNotification | Exception) -> None:
        if isinstance(
            message,
            types.ToolListChangedNotification
            | types.ResourceListChangedNotification
            | types.PromptListChangedNotification,
        ):
            changed()
        if isinstance(message, types.LoggingMessageNotification):
            watch.said(f"{message.params.level}: {_plain(message.params.data)}")

    client = Client(
        watched(way, watch),
        message_handler=hear,
        client_info=types.Implementation(name="scrubjay", version=__version__),
        cache=None,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(client)
        except (Exception, ExceptionGroup) as error:
            raise ServerError(reason(error)) from None
        listening = asyncio.create_task(_listen(client, changed))
        try:
            yield Connection(client, watch)
        finally:
            listening.cancel()
            await asyncio.wait([listening])


class Connection:
    """What a server can be asked."""

    def __init__(self, client: Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch

    async def offers(self) -> Offers:
        """All that the server offers now.

        Raises:
            ServerError: It does not answer as the protocol has it.
        """
        can = self._client.server_capabilities
        tools: list[types.Tool] = []
        resources: list[types.Resource] = []
        prompts: list[types.Prompt] = []
        if can.tools:
            tools = await _all(self._client.list_tools, "tools")
        if can.resources:
            resources = await _all(self._client.list_resources, "resources")
        if can.prompts:
            prompts = await _all(self._client.list_prompts, "prompts")
        return Offers(
            tools=tuple(_tool(one) for one in tools if not _is_task(one)),
            resources=tuple(
                Resource(uri=str(one.uri), title=one.title or one.name) for one in resources
            ),
            prompts=tuple(_prompt(one) for one in prompts),
        )

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Let the server do something.

        Raises:
            ServerError: It could not even be asked.
        """

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            share = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
            self._watch.said(f"{name}: {share} {message or ''}".rstrip())

        result = await _asked(self._client.call_tool(name, arguments, progress_callback=progressed))
        parts = [_text(one) for one in result.content]
        if not parts and result.structured_content is not None:
            parts = [_plain(result.structured_content)]
        return ToolResult(text="\n".join(parts), failed=bool(result.is_error))

    async def read(self, uri: str) -> str:
        """The text of a resource.

        Raises:
            ServerError: There is none of that address, or it is no text.
        """
        result = await _asked(self._client.read_resource(uri))
        texts = [one.text for one in result.contents if isinstance(one, types.TextResourceContents)]
        if not texts:
            raise ServerError(f"has no text at {uri}")
        return "\n".join(texts)

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        """The text of a prompt.

        Raises:
            ServerError: There is none of that name, or an argument is missing.
        """
        result = await _asked(self._client.get_prompt(name, arguments))
        return "\n\n".join(_text(message.content) for message in result.messages)

    async def answers(self) -> bool:
        """Whether the server still does. `ping` is gone from newer versions of the protocol."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._client.list_tools()
        except MCPError as error:
            return error.code != types.CONNECTION_CLOSED
        except (TimeoutError, OSError):
            return False
        return True


async def _listen(client: Client, changed: Callable[[], None]) -> None:
    """Hear of changes where the protocol's version has them on a stream of their own."""
    try:
        async with client.listen(
            tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
        ) as news:
            async for _ in news:
                changed()
    except ListenNotSupportedError:
        return  # an older version: they come by themselves
    except Exception:  # the server has no such stream; what it offers is read at each start
        return


async def _all(ask: Callable[..., Awaitable[Any]], what: str) -> list[Any]:
    """What a server lists, page by page."""
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await _asked(ask(cursor=cursor))
        found += getattr(page, what)
        cursor = page.next_cursor
        if cursor is None or len(found) >= MOST_LISTED:
            break
    return found[:MOST_LISTED]


async def _asked(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except (Exception, ExceptionGroup) as error:
        lost = isinstance(error, MCPError) and (
            error.code == types.CONNECTION_CLOSED or error.message == "Session terminated"
        )
        raise ServerError(reason(error), lost=lost) from None


def _is_task(tool: types.Tool) -> bool:
    """Whether calls of a tool only begin something, whose end would have to be asked for."""
    return tool.execution is not None and tool.execution.task_support == "required"


def _tool(tool: types.Tool) -> RemoteTool:
    return RemoteTool(
        name=tool.name,
        description=tool.description or tool.title or "",
        parameters=tool.input_schema,
    )


def _prompt(prompt: types.Prompt) -> Prompt:
    return Prompt(
        name=prompt.name,
        description=prompt.description or prompt.title or "",
        arguments=tuple(
            Argument(name=one.name, required=bool(one.required)) for one in prompt.arguments or ()
        ),
    )


def _plain(data: object) -> str:
    return data if isinstance(data, str) else msgspec.json.encode(data).decode()


def _text(content: object) -> str:
    """A piece of what a server gives, as text; of what is none, that it is there."""
    match content:
        case types.TextContent(text=text):
            return text
        case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            return text
        case types.EmbeddedResource(resource=resource):
            return f"[what is at {resource.uri} is no text, and not shown]"
        case types.ResourceLink(uri=uri, name=name):
            return f"[there is more at {uri}: {name}]"
        case (
            types.ImageContent(mime_type=kind, data=data)
            | types.AudioContent(mime_type=kind, data=data)
        ):
            return f"[{kind} of {len(data) * 3 // 4:,} bytes, not shown]"
        case _:
            return "[something that is no text]"
