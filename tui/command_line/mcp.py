"""`scrubjay mcp`: Scrubjay's tools for other programs, and the servers that it uses itself."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from engine.mcp.errors import ServerError
from engine.mcp.servers import ServerState
from tui.command_line.console import CommandError, Exit, say, say_json, tell
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths, Settings
    from engine.mcp.servers import Server


async def mcp(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Serve until standard input ends, list the servers of the settings, or log in to one.

    Raises:
        CommandError: There is no such server, or it did not come to a log-in.
        StorageError: The database can't be used.
    """
    if options.action == "list":
        return await _list(settings, paths, as_objects=options.json)
    if options.action in ("login", "logout"):
        return await _log_in_or_out(options, settings, paths)
    allow = {*settings.mcp.allow, *options.allow}
    if sys.stdin is not None and sys.stdin.isatty():
        tell(
            "This is for a program that speaks the Model Context Protocol; name it `scrubjay mcp`"
            " there. Ctrl-d ends it."
        )
    async with opened(settings, paths) as engine:
        serving = await asyncio.to_thread(import_module, "engine.mcp.serving")
        engine.load_memory()
        await serving.serve(engine, allow, settings.mcp.entity or None)
    return Exit.DONE


async def _log_in_or_out(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    name: str = options.server
    server = settings.mcp.servers.get(name)
    if server is None or not server.login:
        raise CommandError(
            f"The settings name no server {name} with `login = true`.",
            f"Write it below [mcp.servers.{name}] in {paths.settings_file}.",
        )
    library = await asyncio.to_thread(import_module, "engine.mcp.login")
    if options.action == "logout":
        await asyncio.to_thread(library.Login(server.url, paths.logins_dir).forget)
        say(f"What {name} had granted is forgotten.")
        return Exit.DONE

    def show(page: str) -> None:
        tell(f"Log in to {name} in the browser that opens, or at\n{page}")

    try:
        await library.log_in(server.url, server.headers, paths.logins_dir, show)
    except ServerError as error:
        raise CommandError(f"The server {name} {error}.") from None
    say(f"You are logged in to {name}.")
    return Exit.DONE


async def _list(settings: Settings, paths: Paths, *, as_objects: bool) -> int:
    async with opened(settings, paths) as engine:
        await engine.servers.settled(None)
        servers = list(engine.servers)
        # At the end they are stopped.
        failed = any(server.state is ServerState.FAILED for server in servers)
        if as_objects:
            say_json([_as_object(server) for server in servers])
        elif not servers:
            say(f"No server is named below [mcp.servers] in {paths.settings_file}.")
        else:
            for server in servers:
                describe(server)
    return Exit.FAILED if failed else Exit.DONE


def describe(server: Server) -> None:
    """Print how a server is, and which tools it has."""
    trouble = f": it {server.trouble}" if server.state is ServerState.FAILED else ""
    say(f"{server.name}  {server.state}{trouble}  ({server.place})")
    for note in server.notes:
        say(f"    {note}")
    for tool in server.offers.tools:
        say(f"    {tool.name}  {' '.join(tool.description.split())}")


def _as_object(server: Server) -> dict[str, object]:
    return {
        "name": server.name,
        "state": server.state,
        "trouble": server.trouble,
        "place": server.place,
        "offers": server.offers,
        "notes": server.notes,
    }
