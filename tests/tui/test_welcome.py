"""The first screen: which model runs and how to get a better one, on a small terminal too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.llm.catalog import DEFAULT, KNOWN
from tests.tui.chatting import Chat, chatting
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST = (60, 16)


def middle(chat: Chat) -> str:
    """What the middle of the screen says, on one line."""
    region = chat.screen.query_one(Welcome).region
    rows = chat.text.splitlines()[region.y : region.bottom]
    return " ".join(" ".join(row[region.x : region.right] for row in rows).split())


def runs(chat: Chat, provider: str, name: str, note: str = "") -> None:
    models = chat.engine.models
    assert models.current is not None
    models.current = msgspec.structs.replace(
        models.current, provider=provider, name=name, note=note
    )
    models._tell("ready")


@pytest.mark.parametrize("size", [SMALLEST, (80, 24), (200, 60)], ids=str)
async def test_the_demonstration_model_says_what_it_is_and_what_is_better(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with chatting(tmp_path, size=size) as chat:
        await chat.ready()
        runs(chat, "embedded", DEFAULT, KNOWN[DEFAULT].note)
        await chat.until_shown("inside this program")
        text = middle(chat)
        assert f"{DEFAULT} answers, inside this program." in text
        assert "it invents facts and can't calculate. For real answers run Ollama" in text
        assert "ctrl+t fetches others." in text
        assert "Every conversation stays on this computer, in" in text


async def test_a_model_of_ollama_is_named_with_the_way_to_others(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALLEST) as chat:
        await chat.ready()
        runs(chat, "ollama", "llama3.2:latest")
        await chat.until_shown("llama3.2:latest answers, on your Ollama server.")
        assert "ctrl+t chooses another model. Every conversation stays" in middle(chat)


async def test_without_any_model_the_way_to_one_is_told(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALLEST) as chat:
        await chat.ready()
        chat.engine.models.current = None
        chat.engine.models._tell("failed", "No package index answers. Connect, or run Ollama.")
        await chat.until_shown("No package index answers.")
        text = middle(chat)
        assert "ctrl+t chooses a model, or fetches one; what you send meanwhile is kept." in text
        assert "Every conversation stays" in text
