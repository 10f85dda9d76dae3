"""Images that a question names with `@`: what is shown of them, and how they open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.images import png
from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import Chat, chatting

if TYPE_CHECKING:
    from pathlib import Path

PHOTO = png(640, 480)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program was started, with a photo, and nothing else in the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(PHOTO)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def seeing() -> ScriptedBackend:
    backend = ScriptedBackend()
    backend.info = msgspec.structs.replace(INFO, capabilities=frozenset({"chat", "vision"}))
    return backend


async def ask(chat: Chat) -> None:
    await chat.ready()
    await chat.say("What is in @photo.png?")
    await chat.until(lambda: chat.screen.conversation.last is not None)
    await chat.until(lambda: not chat.screen.conversation.answering)


def opener(folder: Path, does: str) -> None:
    """Put a program in the place of the one that opens files with what the system has for them."""
    file = folder / "bin" / "xdg-open"
    file.write_text(f"#!/bin/sh\n{does}\n")
    file.chmod(0o700)


async def test_it_is_one_line_in_the_question(folder: Path) -> None:
    async with chatting(folder / "home", seeing()) as chat:
        await chat.ready()
        await chat.pilot.press(*"Look: @pho")
        await chat.until_shown("photo.png")
        await chat.pilot.press("tab", "enter")
        await chat.until_shown("▣ photo.png, 640×480, 1 kB")
        assert "](image:" not in chat.text


async def test_o_opens_it_with_what_the_system_has(folder: Path) -> None:
    opener(folder, f'cp "$1" {folder}/seen.png')
    async with chatting(folder / "home", seeing()) as chat:
        await ask(chat)
        chat.transcript.focus()
        await chat.pilot.press("[", "[", "o")
        await chat.until_shown("Opening the image")
        assert (folder / "seen.png").read_bytes() == PHOTO
        viewer = chat.screen._viewer._folder
        assert viewer is not None
        assert viewer.exists()
    assert not viewer.exists()


async def test_where_nothing_opens_it_that_is_said(folder: Path) -> None:
    opener(folder, "exit 3")
    async with chatting(folder / "home", seeing()) as chat:
        await ask(chat)
        chat.transcript.focus()
        await chat.pilot.press("[", "[", "o")
        await chat.until_shown("xdg-open found no program")


async def test_a_model_that_sees_nothing_says_so_under_the_question(folder: Path) -> None:
    async with chatting(folder / "home") as chat:
        await ask(chat)
        await chat.until_shown("scripted:parrot can't see images.")
        await chat.until_shown("ctrl+r answers again")


async def test_what_can_t_be_attached_goes_back_to_the_composer(folder: Path) -> None:
    (folder / "photo.png").write_bytes(PHOTO[:17])
    async with chatting(folder / "home", seeing()) as chat:
        await chat.ready()
        await chat.say("What is in @photo.png?")
        await chat.until_shown("photo.png is damaged")
        assert chat.composer.text == "What is in @photo.png?"
