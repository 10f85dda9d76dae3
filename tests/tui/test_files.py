"""`/export` and `/import` on the screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.engine.imports.test_chatgpt import BRANCHED, chat, written
from tests.tui.chatting import chatting, keep_talk

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_conversation_is_exported_and_no_file_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    async with chatting(tmp_path, size=(140, 40)) as talk:
        await talk.ready()
        monkeypatch.chdir(folder)
        await talk.say("/export")
        await talk.until_shown("There is nothing to export.")
        await talk.say("Who sings?")
        await talk.until(lambda: talk.session_id and not talk.engine.turn(talk.session_id))
        await talk.say("/export")
        await talk.until(lambda: list(folder.glob("*-Who-sings-*.md")))
        await talk.until_shown("Exported to")
        await talk.say("/export json birds.json")
        await talk.until(lambda: (folder / "birds.json").exists())
        document = json.loads((folder / "birds.json").read_text(encoding="utf-8"))
        assert [one["content"] for one in document["messages"]] == ["Who sings?", "Who sings?"]
        await talk.say("/export birds.json")
        await talk.until_shown("is there already")
        await talk.say("/export /nowhere/at/all.html")
        await talk.until_shown("can't be written")


async def test_what_is_imported_is_in_the_list_and_can_be_opened(tmp_path: Path) -> None:
    file = written(tmp_path / "conversations.json", chat(*BRANCHED, current="n4"))
    async with chatting(tmp_path, size=(140, 40)) as talk:
        await keep_talk(talk.engine, "Old", "one", "two")
        await talk.ready()
        await talk.until_shown("Old")
        await talk.say(f"/import {file}")
        await talk.until_shown("Conversations: 1 new")
        await talk.until_shown("Jays")
        [session] = [one for one in await talk.engine.library.sessions() if one.title == "Jays"]
        talk.screen.open(session.id)
        await talk.until_shown("A crow.")
        await talk.say("/import /nowhere/at/all.json")
        await talk.until_shown("can't be read")
        await talk.say("/import")
        await talk.until(lambda: talk.composer.text == "/import ")
