"""The view of the model hosts: what is shown of them, and that nobody looks when nobody looks."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from engine.config import ModelSettings, OllamaSettings, Settings
from engine.pool import Job, Lane
from tests.tui.chatting import Chat, chatting
from tui.screens.hosts import HostsScreen
from tui.widgets.rows import RowView

if TYPE_CHECKING:
    from pathlib import Path


def dead_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def watching(chat: Chat) -> list[Job[object]]:
    return chat.engine.pool.living(Lane.FETCH)


async def until_row(chat: Chat, pattern: str) -> None:
    await chat.until(lambda: re.search(pattern, chat.text))


async def test_each_host_is_shown_as_it_is_and_looked_at_only_while_it_is_shown(
    tmp_path: Path, ollama_host: str
) -> None:
    dead = dead_port()
    settings = Settings(
        model=ModelSettings(default="scripted:parrot"),
        ollama=OllamaSettings(host=ollama_host, hosts=(dead,)),
    )
    async with chatting(tmp_path, chosen=settings) as chat:
        await chat.ready()
        assert watching(chat) == []
        await chat.pilot.press("f8")
        # Each is asked on its own, and a busy one may answer last.
        for row in (
            rf"● {re.escape(ollama_host)} +ollama +reachable +[\d.]+ m?s +0 +–",
            rf"✗ {re.escape(dead)} +ollama +gone",
            r"(loaded|has) .*smollm2:135m",
        ):
            await until_row(chat, row)
        assert watching(chat)
        await chat.pilot.press("escape")
        await chat.until(lambda: not watching(chat))


async def test_the_hosts_are_a_command_too(tmp_path: Path) -> None:
    settings = Settings(
        model=ModelSettings(default="scripted:parrot"), ollama=OllamaSettings(host=dead_port())
    )
    async with chatting(tmp_path, chosen=settings, size=(80, 24)) as chat:
        await chat.ready()
        await chat.say("/hosts")
        await chat.until(lambda: isinstance(chat.app.screen, HostsScreen))
        await chat.until_shown("gone")
        await chat.until_shown("can't be reached")
        # A dialog that closes loses its widgets one after the other; here it stops halfway.
        hosts = chat.app.screen
        assert isinstance(hosts, HostsScreen)
        await hosts.query(RowView).remove()
        await hosts._list()
        await chat.pilot.press("f8")
        await chat.until(lambda: chat.app.screen is chat.screen)
