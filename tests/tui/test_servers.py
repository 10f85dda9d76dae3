"""Servers of tools on the screen: how they are, what is asked before a call, and their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.config import McpServer, McpSettings
from engine.mcp.servers import ServerState
from tests.engine.mcp.support import MISBEHAVING, able, calls, everything
from tests.tui.chatting import Chat, chatting, settings
from tests.tui.test_consent import asked
from tui.screens.servers import ServersScreen

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Settings


def naming(**servers: McpServer) -> Settings:
    return msgspec.structs.replace(settings(), mcp=McpSettings(servers=servers))


async def is_ready(chat: Chat, name: str) -> None:
    server = chat.engine.servers.get(name)
    assert server is not None
    await chat.until(lambda: server.state is ServerState.READY)


async def test_servers_are_shown_as_they_are_and_can_be_stopped_and_started(
    tmp_path: Path,
) -> None:
    broken = McpServer(command="false")
    async with chatting(tmp_path, chosen=naming(odd=MISBEHAVING, broken=broken)) as chat:
        await chat.ready()
        await chat.until_shown("The MCP server broken ended with exit code 1.")
        await chat.say("/mcp")
        await chat.until(lambda: isinstance(chat.app.screen, ServersScreen))
        await chat.until_shown("● odd  12 tools")
        await chat.until_shown("scripted:parrot is offered no tools; ctrl+t has others.")
        await chat.until_shown("fence  Does fence.")
        await chat.until_shown("Welcome!")
        assert "misbehaving.py" in chat.text
        await chat.pilot.press("x")
        await chat.until_shown("– odd  not started")
        await chat.pilot.press("r")
        await chat.until_shown("● odd  12 tools")
        await chat.pilot.press("down")
        await chat.until_shown("It ended with exit code 1.")
        await chat.pilot.press("escape")
        await chat.until(lambda: not isinstance(chat.app.screen, ServersScreen))


async def test_without_servers_it_is_said_how_to_name_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("/mcp")
        await chat.until_shown("[mcp.servers.time]")
        assert 'args = ["mcp-server-time"]' in chat.text


async def test_the_dialog_names_the_server_and_shows_the_exact_call(tmp_path: Path) -> None:
    backend = able([calls("odd__fence", text="\x1b[31mred [b]bold[/b]")], ["I do not obey it."])
    async with chatting(tmp_path, backend, chosen=naming(odd=MISBEHAVING)) as chat:
        await chat.ready()
        await is_ready(chat, "odd")
        await chat.say("Fence something.")
        await asked(chat)
        assert "odd__fence  by the server odd · " in chat.text
        assert "[b]bold[/b]" in chat.text
        assert "\x1b" not in chat.text
        assert "allow every odd__fence as it is now" in " ".join(chat.text.split())
        await chat.pilot.press("y")
        await chat.until_shown("I do not obey it.")


async def test_a_resource_is_attached_and_a_prompt_is_put_before_the_user(tmp_path: Path) -> None:
    server = McpServer(command="node", args=(everything(), "stdio"))
    async with chatting(tmp_path, chosen=naming(all=server)) as chat:
        await chat.ready()
        await is_ready(chat, "all")
        await chat.pilot.press(*"@all:demo")
        await chat.until_shown("all:demo://resource")
        chat.composer.put("")
        await chat.say("See @all:demo://resource/static/document/architecture.md and explain it.")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until_shown("Build and Distribution")

        await chat.pilot.press(*"/all:s")
        await chat.until_shown("/all:simple-prompt")
        await chat.pilot.press("enter")
        await chat.until(lambda: "simple prompt without arguments" in chat.composer.text)
        assert len([one for one in await chat.messages() if one.role == "user"]) == 1, "not sent"
        await chat.say("/all:args-prompt")
        await chat.until_shown("city is missing")
        assert chat.composer.text.startswith("/all:args-prompt"), "it can be mended"
