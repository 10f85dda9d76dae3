"""The status line: the model that answers in this session, and the window's share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import Chat, chatting, keep_talk

if TYPE_CHECKING:
    from pathlib import Path

    from engine.llm.base import ModelInfo


class TwoBirds(ScriptedBackend):
    """Has a second model, with a longer window."""

    async def describe(self, model: str) -> ModelInfo:
        if model == "lyrebird":
            return msgspec.structs.replace(INFO, name=model, window=4096)
        return await super().describe(model)


def status(chat: Chat) -> str:
    return chat.text.splitlines()[-2]


async def test_the_model_is_the_one_of_the_session(tmp_path: Path) -> None:
    async with chatting(tmp_path, TwoBirds()) as chat:
        await chat.ready()
        plain = await keep_talk(chat.engine, "Plain", "a question", "an answer")
        other = await keep_talk(chat.engine, "Other", "a question", "an answer")
        await chat.engine.library.use_model(other.id, "scripted:lyrebird")
        chat.screen.open(other.id)
        await chat.until(lambda: "● scripted:lyrebird" in status(chat))
        chat.screen.open(plain.id)
        await chat.until(lambda: "● scripted:parrot" in status(chat))
        await chat.engine.library.use_model(plain.id, "scripted:lyrebird")
        await chat.until(lambda: "● scripted:lyrebird" in status(chat))
        await chat.say("Sing!")
        await chat.until(lambda: "11/4k" in status(chat))


async def test_while_another_model_answers_once_that_is_said(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with chatting(tmp_path, TwoBirds(["La ", go_on])) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "Birds", "a question", "an answer")
        chat.screen.open(session.id)
        await chat.until(lambda: "● scripted:parrot" in status(chat))
        await chat.engine.retry(session.id, model="scripted:lyrebird")
        await chat.until(lambda: "● scripted:lyrebird" in status(chat))
        go_on.set()
        await chat.until(lambda: "● scripted:parrot" in status(chat))
