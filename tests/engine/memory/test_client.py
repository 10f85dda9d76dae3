"""Programs whose clients are registered: what reaches the model, and what is recorded.

Each client chats with a real server: Ollama, and the embedded model's, which speaks OpenAI's and
Anthropic's tongues. A stand-in answers where a server has to break, and a hundred workers, with
whom real models would keep a small processor busy for minutes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import pytest

from engine.config import MemorySettings
from engine.memory.client import Memory
from engine.memory.recall import Recall
from storage.messages import Messages
from storage.records import Finish, Message, Role
from storage.store import Store
from tests.engine.memory.chat_programs import FAMILIES, Program, own_requests
from tests.engine.memory.chat_servers import (
    ANSWER,
    KEY,
    Server,
    StandIn,
    embedded_server,
    stand_in,
)
from tests.ollama_server import CHAT_MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

WORKERS = 100
REAL_WORKERS = 6
"""One for each client: the servers answer one question after the other."""

TOLD = "My parrot is called Pericles."
ASKED = "What is my parrot called?"


@pytest.fixture(scope="module")
def embedded(models_dir: Path) -> Iterator[Server]:
    with embedded_server(models_dir) as server:
        yield server


@pytest.fixture
def fake() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def memory(database: Path) -> Iterator[Memory]:
    with Memory.open(database) as memory:
        yield memory


@asynccontextmanager
async def program(
    family: str, server: Server | StandIn, memory: Memory, *, blocking: bool = False
) -> AsyncIterator[Program]:
    where = Server(server.url, "m") if isinstance(server, StandIn) else server
    one = Program(family, where, memory, blocking=blocking)
    try:
        yield one
    finally:
        await one.close()


async def recorded(database: Path, entity_id: str | None = None) -> list[list[Message]]:
    """The conversations of an entity, the oldest first."""
    async with await Store.open(database) as store:
        sessions = [s for s in await store.sessions.list(limit=1000) if s.user_id == entity_id]
        return [
            await store.messages.page(session.id, 0, session.message_count)
            for session in sorted(sessions, key=lambda session: session.id)
        ]


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.role.value, message.content) for message in messages]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize(
    ("family", "how"),
    [
        *((family, how) for family in FAMILIES for how in ("whole", "stream")),
        ("openai", "manager"),
        ("anthropic", "manager"),
    ],
)
async def test_what_was_told_in_one_chat_reaches_the_model_in_another(
    family: str, blocking: bool, how: str, fake: StandIn, memory: Memory, database: Path
) -> None:
    memory.attribution(entity_id="ana", process_id="bot")
    async with program(family, fake, memory, blocking=blocking) as first:
        noted = await first.ask(TOLD, how)
    async with program(family, fake, memory, blocking=blocking) as second:
        answer = await second.ask(ASKED, how)
    assert "<memories>" not in first.requests[0]
    assert "Pericles" in second.requests[0]
    before, after = await recorded(database, "ana")
    assert said(before) == [("user", TOLD), ("assistant", noted)]
    assert said(after) == [("user", ASKED), ("assistant", answer)]
    assert after[1].finish is Finish.COMPLETE
    assert after[1].model == f"{family}:m"


async def work(one: Program, memory: Memory, number: int) -> None:
    """Tell something for a person of its own, then ask for it."""
    words = [f"quartz{n:03}" for n in range(WORKERS)]
    how = ("whole", "stream")[number % 2]
    requests: list[str] = []
    own_requests.set(requests)
    with memory.attribution(entity_id=f"person {number}", process_id="locker"):
        await one.ask(f"The password of my locker is {words[number]}.", how)
        await one.ask("What is the password of my locker?", how)
    assert [[word for word in words if word in request] for request in requests] == [
        [words[number]],
        [words[number]],
    ]


async def all_work(programs: list[Program], memory: Memory, workers: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(work(programs[number % len(programs)], memory, number))


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_hundred_workers_lose_nothing_and_hear_nothing_of_each_other(
    blocking: bool, fake: StandIn, memory: Memory, database: Path
) -> None:
    async with (
        program("openai", fake, memory, blocking=blocking) as first,
        program("ollama", fake, memory, blocking=blocking) as second,
        program("anthropic", fake, memory, blocking=blocking) as third,
    ):
        await all_work([first, second, third], memory, WORKERS)
    for number in range(WORKERS):
        [messages] = await recorded(database, f"person {number}")
        assert len(messages) == 4
        assert f"quartz{number:03}." in messages[0].content
        assert {messages[n].content for n in (1, 3)} == {"".join(ANSWER)}


async def test_workers_at_real_servers_lose_nothing_and_hear_nothing_of_each_other(
    ollama_host: str, embedded: Server, database: Path
) -> None:
    servers = {
        "openai": embedded,
        "ollama": Server(f"http://{ollama_host}", CHAT_MODEL),
        "anthropic": embedded,
    }
    settings = MemorySettings(limit=1)  # short prompts: the models are slow readers
    async with Memory.open(database, settings=settings) as memory, AsyncExitStack() as stack:
        programs = [
            await stack.enter_async_context(program(family, server, memory, blocking=blocking))
            for blocking in (False, True)
            for family, server in servers.items()
        ]
        await all_work(programs, memory, REAL_WORKERS)
    for number in range(REAL_WORKERS):
        [messages] = await recorded(database, f"person {number}")
        assert [message.role.value for message in messages] == ["user", "assistant"] * 2
        assert all(message.content and message.finish is Finish.COMPLETE for message in messages)
        assert messages[1].usage is not None or number == 3  # openai's streams tell none


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_history_that_is_sent_again_is_neither_recorded_nor_recalled(
    family: str, fake: StandIn, memory: Memory, database: Path
) -> None:
    async with program(family, fake, memory) as one:
        answer = await one.ask(TOLD)
        history = ({"role": "user", "content": TOLD}, {"role": "assistant", "content": answer})
        await one.ask(ASKED, history=history)
    assert "<memories>" not in one.requests[1]
    [messages] = await recorded(database)
    assert said(messages) == [
        ("user", TOLD),
        ("assistant", answer),
        ("user", ASKED),
        ("assistant", answer),
    ]


async def test_a_question_is_recorded_once_when_its_tools_results_are_sent(
    fake: StandIn, memory: Memory, database: Path
) -> None:
    async with program("anthropic", fake, memory) as one:
        result = {"type": "tool_result", "tool_use_id": "1", "content": "18 degrees"}
        await one.client.messages.create(
            model="m",
            max_tokens=3,
            messages=[
                {"role": "user", "content": "How warm is it?"},
                {"role": "assistant", "content": "I shall look."},
                {"role": "user", "content": [result]},
            ],
        )
    [[answer]] = await recorded(database)
    assert answer.role is Role.ASSISTANT


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_stream_that_breaks_keeps_what_came_and_raises_what_it_did(
    family: str, blocking: bool, fake: StandIn, memory: Memory, database: Path
) -> None:
    async with program(family, fake, memory, blocking=blocking) as one:
        with pytest.raises(httpx.RemoteProtocolError):
            await one.ask("Break off, please.", "stream")
    [[_, answer]] = await recorded(database)
    assert answer.content == "".join(ANSWER[:2])
    assert answer.finish is Finish.FAILED
    assert answer.failure is not None


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_call_that_the_server_refuses_raises_as_ever_and_leaves_no_trace(
    family: str, fake: StandIn, memory: Memory, database: Path
) -> None:
    import ollama

    refusals = (openai.NotFoundError, anthropic.NotFoundError, ollama.ResponseError)
    async with program(family, fake, memory) as one:
        for how in ("whole", "stream"):
            with pytest.raises(refusals):
                await one.ask("Refuse.", how)
    assert await recorded(database) == []


async def test_a_stream_that_is_closed_early_is_kept_as_stopped(
    fake: StandIn, memory: Memory, database: Path
) -> None:
    async with program("openai", fake, memory) as one:
        stream = await one.client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": TOLD}], stream=True
        )
        assert isinstance(stream, openai.AsyncStream)
        await anext(stream)
        await stream.close()
    async with program("ollama", fake, memory) as two:
        pieces = await two.client.chat("m", [{"role": "user", "content": TOLD}], stream=True)
        await anext(pieces)
        await pieces.aclose()
    async with program("anthropic", fake, memory) as three:
        wants = {"model": "m", "max_tokens": 3}
        wants["messages"] = [{"role": "user", "content": TOLD}]
        async with three.client.messages.stream(**wants) as events:
            assert isinstance(events, anthropic.AsyncMessageStream)
            async for text in events.text_stream:
                assert text == ANSWER[0]
                break
    for _, answer in await recorded(database):
        assert (answer.content, answer.finish) == (ANSWER[0], Finish.STOPPED)


def test_a_stream_that_is_thrown_away_is_kept_as_stopped(
    fake: StandIn, memory: Memory, database: Path
) -> None:
    with openai.OpenAI(base_url=f"{fake.url}/v1", api_key=KEY) as client:
        memory.register(client)
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": TOLD}], stream=True
        )
        for _ in stream:
            break
        stream.response.close()
        del stream
        gc.collect()
        memory.flush()
    [[_, answer]] = asyncio.run(recorded(database))
    assert (answer.content, answer.finish) == (ANSWER[0], Finish.STOPPED)


@pytest.mark.parametrize("broken", [(Recall, "recall"), (Messages, "append")])
async def test_a_chat_goes_on_when_memory_fails(
    broken: tuple[Any, str], fake: StandIn, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(*broken, fail)
    for family in FAMILIES:
        async with program(family, fake, memory) as one:
            assert await one.ask(TOLD) == "".join(ANSWER)
            assert await one.ask(TOLD, "stream") == "".join(ANSWER)


async def test_what_is_told_is_learnt_as_far_as_there_is_room(
    fake: StandIn, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Memory.open(database, settings=MemorySettings(max_memories=1)) as memory:
        memory.attribution(entity_id="ana", process_id="bot")
        async with program("openai", fake, memory) as one:
            await one.ask("My name is Ana.")
            assert await one.ask("I am allergic to peanuts.") == "".join(ANSWER)
    assert "Memory is full" in caplog.text
    [messages] = await recorded(database, "ana")
    assert len(messages) == 4
    async with await Store.open(database) as store:
        [fact] = await store.facts.search(entity_id="ana")
        assert (fact.process_id, fact.source_ids) == ("bot", (messages[0].id,))


async def test_nothing_is_added_to_a_session_of_another_entity_or_process(
    fake: StandIn, memory: Memory, database: Path
) -> None:
    async with program("openai", fake, memory) as one:
        with memory.attribution(entity_id="ana", process_id="bot", session_id="s"):
            await one.ask(TOLD)
        async with memory.attribution(entity_id="bob", process_id="bot", session_id="s"):
            await one.ask("Mine is called Plato.")
            assert "Pericles" not in one.requests[-1]
        memory.attribution(entity_id="ana", process_id="shop", session_id="s")
        await one.ask(ASKED)
        assert "Pericles" not in one.requests[-1]
    [messages] = await recorded(database, "ana")
    assert len(messages) == 2
    assert await recorded(database, "bob") == []


async def test_an_attribution_holds_in_its_block_alone(
    fake: StandIn, memory: Memory, database: Path
) -> None:
    async with program("ollama", fake, memory) as one:
        memory.attribution(entity_id="ana")
        with memory.attribution(entity_id="bob"):
            await one.ask("I am Bob.")
        await one.ask("I am Ana.")
    [[bobs, _]], [[anas, _]] = await recorded(database, "bob"), await recorded(database, "ana")
    assert (bobs.content, anas.content) == ("I am Bob.", "I am Ana.")


def test_a_client_is_registered_once_and_is_as_before_in_the_end(
    fake: StandIn, memory: Memory, tmp_path: Path
) -> None:
    with openai.OpenAI(base_url=f"{fake.url}/v1", api_key=KEY) as client:
        completions = client.chat.completions
        assert memory.register(client) is client
        assert memory.register(client) is client
        assert completions.create.__doc__ == type(completions).create.__doc__
        with Memory.open(tmp_path / "other.db") as other:
            with pytest.raises(ValueError, match="another memory"):
                other.register(client)
            with pytest.raises(TypeError, match="no client"):
                other.register(httpx.Client)
        memory.unregister(client)
        assert "create" not in vars(completions)
        memory.unregister(client)


def test_raw_responses_and_wrong_calls_are_left_alone(
    fake: StandIn, memory: Memory, database: Path
) -> None:
    with openai.OpenAI(base_url=f"{fake.url}/v1", api_key=KEY) as client:
        memory.register(client)
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": TOLD}]
        )
        assert raw.parse().choices[0].message.content == "".join(ANSWER)
        with pytest.raises(TypeError):
            client.chat.completions.create(model="m")  # type: ignore[call-overload]
    assert asyncio.run(recorded(database)) == []


async def test_a_store_that_is_open_already_is_used_in_its_own_loop(
    fake: StandIn, database: Path
) -> None:
    async with await Store.open(database) as store, Memory(store) as memory:
        async with program("openai", fake, memory) as one:
            await one.ask(TOLD)
        async with program("openai", fake, memory, blocking=True) as from_a_thread:
            await from_a_thread.ask(ASKED)
            assert "Pericles" in from_a_thread.requests[0]
            # It stops the loop that it would have to wait for.
            from_a_thread.client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "And my dog?"}]
            )
        with pytest.raises(RuntimeError, match="wait"):
            memory.flush()
        await memory.wait()
        assert [m.content for s in await recorded(database) for m in s if m.role is Role.USER] == [
            TOLD,
            ASKED,
            "And my dog?",
        ]


def test_a_store_without_its_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"Memory\.open"):
        Memory(None)  # type: ignore[arg-type]


def test_the_example_of_the_readme_works(fake: StandIn, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=os.environ | {"OLLAMA_HOST": fake.url, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Well noted.\n"
    assert "Pericles" in str(fake.asked[1])


def test_no_client_is_imported_along() -> None:
    code = (
        "import sys, engine.memory.client, engine.memory.clients.anthropic;"
        "sys.exit(bool({'openai', 'anthropic', 'ollama', 'httpx', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
