"""What servers have to read and to send: resources named with `@`, and prompts as commands."""

from __future__ import annotations

import asyncio
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from engine.attachments import LARGEST_BYTES, MENTION, STOPS, AttachmentError, block
from engine.mcp.errors import ServerError
from engine.tools.registry import shortened

if TYPE_CHECKING:
    from engine.mcp.offers import Prompt
    from engine.mcp.servers import Server, Servers

READ_SECONDS = 30.0
"""The longest wait for a text."""

COMMAND = re.compile(r"/([A-Za-z0-9-]+):(\S+)(?:\s+(.*))?", re.DOTALL)


class Wanted(NamedTuple):
    """A server's prompt, as it was written."""

    server: Server
    prompt: str
    written: str


async def with_resources(text: str, whole: str, servers: Servers) -> str:
    """A message with the resources that it names as `@SERVER:URI` behind it.

    Args:
        text: What was written.
        whole: The same, with the files that it names.
        servers: Whose resources.

    Raises:
        AttachmentError: A resource can't be read; the message says why.
    """
    blocks: dict[str, str] = {}
    for match in MENTION.finditer(text):
        name = match[1] or match[2].rstrip(STOPS)
        server_name, colon, uri = name.partition(":")
        server = servers.get(server_name) if colon and uri else None
        if server is not None and name not in blocks:
            blocks[name] = block(name, await _read(server, uri))
    return "\n\n".join([whole, *blocks.values()])


def resource_names(servers: Servers, typed: str, limit: int) -> list[str]:
    """Names of resources that fit what was typed, in the servers' order."""
    wanted = typed.casefold()
    names = [f"{server.name}:{one.uri}" for server in servers for one in server.offers.resources]
    return [name for name in names if wanted and wanted in name.casefold()][:limit]


def prompt_commands(servers: Servers) -> list[tuple[str, str]]:
    """The prompts as commands: how each is written, and what it is for."""
    return [
        (f"/{server.name}:{one.name} {one.takes}".rstrip(), " ".join(one.description.split()))
        for server in servers
        for one in server.offers.prompts
        if " " not in one.name
    ]


def wanted_prompt(servers: Servers, text: str) -> Wanted | None:
    """The prompt that a text asks for, as `/SERVER:PROMPT NAME=VALUE`; None if it asks for none."""
    found = COMMAND.fullmatch(text.strip())
    server = servers.get(found[1]) if found else None
    return Wanted(server, found[2], (found[3] or "").strip()) if found and server else None


async def prompt_text(wanted: Wanted) -> str:
    """The text of a prompt.

    Raises:
        ServerError: It can't be had; the message completes a sentence that begins with the server.
    """
    connection = await wanted.server.connection()
    known = {one.name: one for one in wanted.server.offers.prompts}
    prompt = known.get(wanted.prompt)
    if prompt is None:
        there = f": it has {', '.join(known)}" if known else ""
        raise ServerError(f"has no prompt {wanted.prompt}{there}")
    arguments = _arguments(prompt, wanted.written)
    try:
        async with asyncio.timeout(READ_SECONDS):
            return shortened(await connection.prompt(prompt.name, arguments))
    except TimeoutError:
        raise ServerError("does not answer") from None


async def _read(server: Server, uri: str) -> str:
    try:
        async with asyncio.timeout(READ_SECONDS):
            text = await (await server.connection()).read(uri)
    except TimeoutError:
        raise AttachmentError(f"The server {server.name} does not answer.") from None
    except ServerError as error:
        raise AttachmentError(f"The server {server.name} {error}.") from None
    if len(text) > LARGEST_BYTES:
        raise AttachmentError(
            f"{uri} has {len(text) / 1e6:.1f} million characters; at most"
            f" {LARGEST_BYTES / 1e6:.0f} million can be attached."
        )
    return text


def _arguments(prompt: Prompt, written: str) -> dict[str, str]:
    """What was written behind a prompt: `NAME=VALUE`, or the value of the only one.

    Raises:
        ServerError: It does not fit.
    """
    names = [one.name for one in prompt.arguments]
    try:
        pairs = [part.partition("=") for part in shlex.split(written)]
    except ValueError:
        raise ServerError(f"takes {prompt.takes}, and a quotation is not closed") from None
    if len(names) == 1 and written and pairs[0][0] != names[0]:
        return {names[0]: written}
    if wrong := [name for name, equals, _ in pairs if not equals or name not in names]:
        takes = f"takes {prompt.takes}" if names else "takes nothing"
        raise ServerError(f"{takes} for {prompt.name}, and no {wrong[0]!r}")
    given = {name: value for name, _, value in pairs}
    missing = [one.name for one in prompt.arguments if one.required and one.name not in given]
    if missing:
        raise ServerError(f"takes {prompt.takes} for {prompt.name}; {missing[0]} is missing")
    return given
