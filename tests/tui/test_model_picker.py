"""Choosing a model, fetching one that is not there, and deleting one.

The server is a stand-in: a real one fetches from the network.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from textual.widgets import OptionList

from engine.llm.base import ModelError, ModelInfo
from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import chatting
from tui.screens.model_picker import ModelPicker

if TYPE_CHECKING:
    from pathlib import Path

    from engine.llm.base import Progress


class Server(ScriptedBackend):
    """An Ollama server that fetches what it is asked for when the gate opens."""

    provider = "ollama"

    def __init__(self) -> None:
        super().__init__()
        self.there = [self._info("jay"), self._info("crow")]
        self.gate = asyncio.Event()

    def _info(self, name: str) -> ModelInfo:
        return msgspec.structs.replace(INFO, provider="ollama", name=name, size_bytes=10**9)

    async def models(self) -> list[ModelInfo]:
        return list(self.there)

    async def describe(self, model: str) -> ModelInfo:
        for info in self.there:
            if info.name == model:
                return info
        raise ModelError("model_missing", f"There is no model {model}.", "Fetch it.")

    async def fetch(self, model: str, progress: Progress) -> None:
        if model == "dodo":
            raise ModelError("model_missing", "No such bird.", "Try a living one.")
        progress(10_000_000, 40_000_000)
        await self.gate.wait()
        self.there.append(self._info(model))

    async def remove(self, model: str) -> None:
        self.there = [info for info in self.there if info.name != model]


async def test_a_model_that_is_not_there_is_fetched_and_chosen(tmp_path: Path) -> None:
    server = Server()
    async with chatting(tmp_path, server) as chat:
        await chat.pilot.press("ctrl+t")
        await chat.until_shown("ollama:crow")
        await chat.pilot.press(*"raven")
        await chat.until_shown("Enter lets the Ollama server fetch it")
        await chat.pilot.press("enter")
        await chat.until_shown("Fetching ollama:raven 25%  10 of 40 MB")
        await chat.pilot.press("enter")
        await chat.until_shown("One model is being fetched already.")
        server.gate.set()
        await chat.until_shown("family parrot")
        await chat.pilot.press("enter")
        await chat.until(lambda: chat.app.screen is chat.screen)
        assert chat.engine.models.current is not None
        assert chat.engine.models.current.ref == "ollama:raven"


async def test_what_is_told_of_models_while_the_dialog_closes_is_told_to_nobody(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, Server()) as chat:
        await chat.pilot.press("ctrl+t")
        await chat.until_shown("ollama:crow")
        picker = chat.app.screen
        assert isinstance(picker, ModelPicker)
        # A dialog that closes loses its widgets one after the other; here it stops halfway.
        await picker.query_one(OptionList).remove()
        await picker._list()
        await picker.query("*").remove()
        await picker._list()
        picker._tell("It is gone.")


async def test_a_model_that_nobody_has_is_said_and_others_can_be_tried(tmp_path: Path) -> None:
    async with chatting(tmp_path, Server()) as chat:
        await chat.pilot.press("ctrl+t")
        await chat.until_shown("ollama:crow")
        await chat.pilot.press(*"dodo", "enter")
        await chat.until_shown("No such bird. Try a living one.")


async def test_a_model_is_deleted_by_the_key_pressed_twice(tmp_path: Path) -> None:
    server = Server()
    async with chatting(tmp_path, server) as chat:
        await chat.pilot.press("ctrl+t")
        await chat.until_shown("ollama:crow")
        await chat.pilot.press("f8")
        await chat.until_shown("F8 once more deletes ollama:jay and frees 1.0 GB.")
        await chat.pilot.press("down", "f8")
        await chat.until_shown("F8 once more deletes ollama:crow")
        assert len(server.there) == 2
        await chat.pilot.press("f8")
        await chat.until(lambda: [info.name for info in server.there] == ["jay"])
        await chat.until(lambda: "ollama:crow" not in chat.text)


async def test_a_conversation_keeps_the_model_that_was_chosen_in_it(tmp_path: Path) -> None:
    async with chatting(tmp_path, Server()) as chat:
        await chat.engine.models.choose("ollama:jay")
        await chat.ready()
        await chat.say("Hello")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/model ollama:crow")
        await chat.until_shown("ollama:crow answers from now on.")
        session_id = chat.session_id
        assert session_id is not None
    async with chatting(tmp_path, Server()) as chat:
        await chat.engine.models.choose("ollama:jay")
        await chat.ready()
        chat.screen.open(session_id)
        await chat.until(lambda: chat.session_id == session_id)
        await chat.say("Who are you?")
        await chat.until_shown("Who are you?")
        await chat.until(lambda: not chat.screen.conversation.answering)
        messages = await chat.messages()
        assert (messages[-2].content, messages[-1].model) == ("Who are you?", "ollama:crow")
