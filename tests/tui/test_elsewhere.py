"""Two apps with one memory: what happens in one appears in the other, and a lost server shows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.config import ModelSettings, Settings, StorageSettings
from storage.errors import StorageError
from tests.scripted import ScriptedBackend
from tests.tui.chatting import Chat, chatting, settings
from tui.widgets.session_list import SessionList

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_server import Server


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Settings]:
    if request.param == "sqlite":
        return "sqlite", settings()
    return "postgres", on(request.getfixturevalue("postgres"), monkeypatch)


def on(server: Server, monkeypatch: pytest.MonkeyPatch) -> Settings:
    address = server.cleared()
    monkeypatch.setenv("PGPASSWORD", address.password or "")
    return Settings(
        model=ModelSettings(default="scripted:parrot"), storage=StorageSettings(url=address.url)
    )


def sidebar(chat: Chat) -> str:
    [sessions] = chat.screen.query(SessionList)
    x, y, width, height = sessions.region
    return "\n".join(line[x : x + width] for line in chat.text.splitlines()[y : y + height])


async def test_what_is_said_in_one_appears_in_the_other(
    tmp_path: Path, shared: tuple[str, Settings]
) -> None:
    kind, chosen = shared
    go_on = asyncio.Event()
    homes = [tmp_path, tmp_path] if kind == "sqlite" else [tmp_path / "one", tmp_path / "other"]
    writing = ScriptedBackend(["The scrub jay ", go_on, "caches acorns."])
    async with (
        chatting(homes[0], writing, chosen=chosen) as one,
        chatting(homes[1], chosen=chosen) as other,
    ):
        await one.ready()
        await other.ready()
        await other.until(lambda: other.screen.query(SessionList))
        await asyncio.sleep(0.5)
        await one.say("What does a jay do?")
        await other.until(lambda: "What does a jay do?" in sidebar(other))
        assert one.session_id is not None
        other.screen.open(one.session_id)
        await other.until_shown("The scrub jay")
        go_on.set()
        await other.until_shown("The scrub jay caches acorns.")
        # The other goes on, and the first shows it.
        await one.until(lambda: one.engine.turn(one.session_id or "") is None)
        await other.say("And a crow?")
        await one.until_shown("And a crow?")
        await one.until(lambda: one.text.count("And a crow?") == 2)  # the parrot's answer
        # Another branch is shown here, too, and a deleted conversation is left.
        answer = (await other.messages())[-1]
        await other.engine.retry(answer.session_id)
        await one.until(lambda: "2 of 2" in one.text or "2/2" in one.text)
        await other.engine.library.delete(answer.session_id)
        await one.until(lambda: one.session_id is None)
        await one.until(lambda: "What does a jay do?" not in sidebar(one))


async def test_a_lost_server_shows_and_a_chat_that_is_open_goes_on(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting(tmp_path, chosen=on(postgres, monkeypatch)) as chat:
        await chat.ready()
        await chat.say("What does a jay do?")
        await chat.until(lambda: chat.text.count("What does a jay do?") >= 3)
        await chat.until(lambda: not chat.engine.turns(chat.session_id or ""))
        await chat.until(lambda: not chat.engine.pool.living())
        await asyncio.to_thread(postgres.stop)
        try:
            await chat.until_shown("✖ server out of reach")
            await chat.say("And a crow?")
            await chat.until_shown("to send")
            await chat.until(lambda: chat.text.count("And a crow?") >= 2)
            session_id = chat.session_id
            assert session_id is not None
            await chat.until(lambda: not chat.engine.turns(session_id))
            with pytest.raises(StorageError):
                await chat.engine.library.search("jay")
        finally:
            await asyncio.to_thread(postgres.start)
        await chat.until_shown("The server is back")
        await chat.until(lambda: "out of reach" not in chat.text.splitlines()[-2])
        said = [message.content for message in await chat.messages()]
        assert said == ["What does a jay do?"] * 2 + ["And a crow?"] * 2
        assert len(await chat.engine.library.search("crow")) == 1
