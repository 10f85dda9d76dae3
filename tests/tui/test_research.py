"""`/research` on the screen: looked up, answered with citations, and seen in the inspector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.config import ResearchSettings
from tests.scripted import ScriptedBackend
from tests.tui.chatting import chatting, settings

if TYPE_CHECKING:
    from pathlib import Path


def local_only(folder: Path) -> Any:
    """Settings under which research reads this folder and asks nobody outside."""
    research = ResearchSettings(offline=True, folders=(str(folder),))
    return msgspec.structs.replace(settings(), research=research)


async def test_a_question_is_looked_up_in_local_files_and_the_answer_cites_them(
    tmp_path: Path,
) -> None:
    files = tmp_path / "notes"
    files.mkdir()
    (files / "jays.md").write_text("# Jays\n\nA jay hides thousands of acorns every autumn.\n")
    backend = ScriptedBackend(["A jay hides thousands of acorns [1]."])
    async with chatting(tmp_path, backend, size=(160, 45), chosen=local_only(files)) as chat:
        await chat.ready()
        await chat.say("/research How many acorns does a jay hide?")
        await chat.until_shown("thousands of acorns [1]")
        await chat.until(lambda: chat.session_id and not chat.engine.turn(chat.session_id))
        assert chat.session_id is not None
        article = (await chat.engine.library.articles(chat.session_id))[0]
        assert article.source == "files"
        await chat.pilot.press("ctrl+o", "3")
        await chat.until_shown("Articles")
        await chat.until_shown("files")


async def test_research_without_a_question_asks_for_one(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend()) as chat:
        await chat.ready()
        await chat.say("/research")
        await chat.until(lambda: chat.composer.text == "/research ")
        assert chat.session_id is None
