"""Two models' answers side by side: as they come, stopped, kept, and what they look like."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from engine.config import ToolSettings
from engine.consent import Decision
from engine.llm.base import Chunk, ModelError, ModelInfo
from storage.records import ToolCall
from tests.scripted import INFO, ScriptedBackend
from tests.tui.chatting import Chat, chatting, settings
from tests.tui.picturing import SIZES, assert_same, pictures, stop_the_clock
from tui.screens import compare
from tui.screens.compare import CompareScreen
from tui.screens.consent import ConsentScreen
from tui.transcript import Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

RAVEN = structs.replace(INFO, name="raven")


class Pair(ScriptedBackend):
    """The parrot and the raven; the scripts are in the order in which they are asked."""

    parrot = INFO

    async def models(self) -> list[ModelInfo]:
        return [self.parrot, RAVEN]

    async def describe(self, model: str) -> ModelInfo:
        self.info = RAVEN if model == RAVEN.name else self.parrot
        return await super().describe(model)

    @property
    def asked(self) -> list[str]:
        return [request.model for request in self.requests]


def shown(chat: Chat) -> CompareScreen:
    assert isinstance(chat.app.screen, CompareScreen)
    return chat.app.screen


async def closed(chat: Chat) -> None:
    await chat.until(lambda: not isinstance(chat.app.screen, CompareScreen))
    await chat.until(lambda: not chat.screen.conversation.answering)


async def told(chat: Chat) -> list[str]:
    return [message.content for message in await chat.messages()]


async def until_told(chat: Chat, *texts: str) -> None:
    async with asyncio.timeout(15):
        while await told(chat) != list(texts):
            await chat.pilot.pause()


async def test_the_second_model_waits_for_the_first_and_the_newest_stays(tmp_path: Path) -> None:
    gate, end = asyncio.Event(), asyncio.Event()
    backend = Pair(["Blue, ", gate, "says one."], ["Grey, ", end, "says two."])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven What colour?")
        await chat.until_shown("Blue,")
        assert "1 · scripted:parrot" in chat.text
        assert "2 · scripted:raven" in chat.text
        assert "waits for the first" in chat.text
        assert backend.asked == ["parrot"]
        gate.set()
        await chat.until_shown("Grey,")
        assert "Blue, says one." in chat.text
        assert "2 tokens" in chat.text
        assert "4 tok/s · first token" in chat.text
        end.set()
        await chat.until_shown("Grey, says two.")
        await chat.until_shown("closes, the newest stays")
        assert backend.asked == ["parrot", "raven"]
        [question, answer] = await chat.messages()
        assert (question.content, answer.model) == ("What colour?", "scripted:raven")
        await chat.pilot.press("escape")
        await closed(chat)
        assert await told(chat) == ["What colour?", "Grey, says two."]
        assert chat.session_id is not None
        assert await chat.engine.library.branches(chat.session_id) == {answer.id: (2, 2)}
        assert (await chat.engine.library.session(chat.session_id)).model is None


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        (["1"], "one"),
        (["2"], "two"),
        (["enter"], "one"),
        (["tab", "enter"], "two"),
        (["tab", "tab", "enter"], "one"),
        (["shift+tab", "enter"], "two"),
    ],
)
async def test_the_answer_that_is_chosen_goes_on(
    keys: list[str], kept: str, tmp_path: Path
) -> None:
    async with chatting(tmp_path, Pair(["one"], ["two"], ["three"])) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven first")
        await chat.until_shown("closes, the newest stays")
        await chat.until(lambda: shown(chat)._current is None)
        await chat.pilot.press(*keys)
        await closed(chat)
        await until_told(chat, "first", kept)
        await chat.until_shown(kept)
        await chat.say("second")
        await until_told(chat, "first", kept, "second", "three")


async def test_an_answer_that_is_there_is_not_given_again(tmp_path: Path) -> None:
    backend = Pair(["one"], ["two"])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("first")
        await until_told_and_idle(chat, "first", "one")
        await chat.say("/compare scripted:raven")
        await chat.until(lambda: isinstance(chat.app.screen, CompareScreen))
        await chat.until_shown("two")
        assert "one" in chat.text
        assert backend.asked == ["parrot", "raven"]
        await chat.until_shown("closes, the newest stays")


async def until_told_and_idle(chat: Chat, *texts: str) -> None:
    await chat.until_shown(texts[-1])
    await chat.until(lambda: not chat.screen.conversation.answering)
    await until_told(chat, *texts)


async def test_the_model_is_chosen_from_a_list_when_none_is_named(tmp_path: Path) -> None:
    backend = Pair(["one"], ["two"])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("first")
        await until_told_and_idle(chat, "first", "one")
        await chat.say("/compare")
        await chat.until_shown("Compare with")
        await chat.until_shown("scripted:raven  ")
        await chat.pilot.press(*"raven", "enter")
        await chat.until(lambda: isinstance(chat.app.screen, CompareScreen))
        await chat.until_shown("two")
        assert backend.asked == ["parrot", "raven"]


async def test_escape_stops_the_answer_and_the_other_begins(tmp_path: Path) -> None:
    never = asyncio.Event()
    backend = Pair(["Blue, ", never], ["Grey, ", never])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven first")
        await chat.until_shown("Blue,")
        await chat.until_shown("escape stops the answer")
        await chat.pilot.press("escape")
        await chat.until_shown("Grey,")
        assert isinstance(chat.app.screen, CompareScreen)
        await chat.pilot.press("escape")
        await chat.until_shown("closes, the newest stays")
        assert backend.stopped == 2
        assert chat.text.count("stopped") >= 2
        await chat.pilot.press("escape")
        await closed(chat)
        assert await told(chat) == ["first", "Grey, "]


async def test_keeping_the_first_stops_the_second(tmp_path: Path) -> None:
    gate, never = asyncio.Event(), asyncio.Event()
    backend = Pair([gate, "one"], ["Grey, ", never])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven first")
        await chat.until(lambda: isinstance(chat.app.screen, CompareScreen))
        await chat.pilot.press("2")
        await chat.until_shown("It has not answered yet.")
        gate.set()
        await chat.until_shown("Grey,")
        await chat.pilot.press("1")
        await closed(chat)
        assert backend.stopped == 1
        await until_told(chat, "first", "one")


async def test_an_answer_that_is_kept_while_it_is_written_goes_on_below(tmp_path: Path) -> None:
    gate = asyncio.Event()
    backend = Pair(["Blue, ", gate, "says one."], ["two"])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven first")
        await chat.until_shown("Blue,")
        await chat.pilot.press("1")
        await chat.until(lambda: not isinstance(chat.app.screen, CompareScreen))
        gate.set()
        await until_told_and_idle(chat, "first", "Blue, says one.")
        assert backend.asked == ["parrot"]


async def test_a_model_that_fails_says_so_and_the_other_can_be_kept(tmp_path: Path) -> None:
    backend = Pair(["one"], [ModelError("gone", "The raven flew away.")])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven first")
        await chat.until_shown("The raven flew away.")
        await chat.until_shown("closes, the newest stays")
        await chat.pilot.press("1")
        await closed(chat)
        await until_told(chat, "first", "one")


async def test_the_second_model_waits_until_the_first_one_s_calls_are_decided_on(
    tmp_path: Path,
) -> None:
    call = ToolCall(id="read", name="read_file", arguments={"path": "a.md"})
    backend = Pair([Chunk(tool_calls=(call,))], ["one"], ["two"])
    backend.parrot = structs.replace(INFO, window=8192, capabilities=frozenset({"chat", "tools"}))
    (tmp_path / "a.md").write_text("content of a")
    chosen = structs.replace(settings(), tools=ToolSettings(folders=(str(tmp_path),)))
    async with chatting(tmp_path, backend, chosen=chosen) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven first")
        await chat.until(lambda: isinstance(chat.app.screen, ConsentScreen))
        await chat.until(lambda: len(chat.app.screen_stack) == 3)
        await chat.pilot.press("escape")
        await chat.until_shown("waits for your consent")
        assert backend.asked == ["parrot"]
        assert chat.session_id is not None
        await chat.engine.confirm(chat.session_id, {"read": Decision(approve=True)})
        await chat.until_shown("two")
        assert "one" in chat.text
        assert "read_file" in chat.text
        assert backend.asked == ["parrot", "parrot", "raven"]
        await chat.until_shown("closes, the newest stays")
        await chat.pilot.press("1")
        await closed(chat)
        await until_told(chat, "first", "", "content of a", "one")


async def test_a_model_that_is_not_there_is_not_compared_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    backend = Pair()
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/compare scripted:owl first")
        await chat.until_shown("There is no model owl.")
        assert chat.composer.text == "/compare scripted:owl first"
        await chat.say("/compare scripted:raven")
        await chat.until_shown("There is no question yet")
        assert not isinstance(chat.app.screen, CompareScreen)
        assert backend.asked == []


@pytest.mark.parametrize("size", SIZES)
async def test_it_looks_as_it_did(
    size: str, tmp_path: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch)
    figures = ["24 tok/s", "first token 410 ms", "24 tokens"]
    monkeypatch.setattr(compare, "_figures", lambda _usage: figures)  # times are the machine's
    never = asyncio.Event()
    first = "Air scatters **short** waves most:\n\n- blue is short,\n- red is long."
    second = "Because of *Rayleigh* scattering, "
    backend = Pair([first], [second, never])
    async with chatting(tmp_path, backend, size=SIZES[size]) as chat:
        await chat.ready()
        await chat.say("/compare scripted:raven Why is the sky blue?")
        await chat.until_shown("Rayleigh")
        await chat.still()
        one, two = (answer.query_one(Transcript).region for answer in shown(chat)._answers)
        assert (one.y == two.y) == (SIZES[size][0] >= compare.WIDE)
        taken = await pictures(chat)
        never.set()
    assert_same(taken, snapshot)
