"""Two real Ollama servers as one: who is asked, and what happens when one of them goes away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import (
    ContextSettings,
    MemorySettings,
    ModelSettings,
    OllamaSettings,
    OpenAISettings,
    Settings,
)
from engine.engine import Engine
from engine.events import Events, Notice
from engine.llm import router as router_module
from engine.llm.base import ChatMessage, ChatRequest, Chunk, ModelError, Options
from engine.llm.hosts import Host, ollama_hosts, openai_hosts
from engine.llm.router import Router
from engine.pool import Job, JobState, Lane, Pool
from storage.records import Finish, Role
from tests.embedded_weights import paths_under
from tests.engine.llm.scripted_server import ScriptedServer
from tests.engine.support import Watch
from tests.ollama_server import CHAT_MODEL, EMBEDDING_MODEL, OllamaServer, Unavailable
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path


STORY = "Tell me a very long story about a jay."

MODEL = ModelSettings(
    default=f"ollama:{CHAT_MODEL}", max_tokens=40, temperature=0.0, context_length=256
)

pytestmark = pytest.mark.timeout(300)

Servers = tuple[OllamaServer, OllamaServer]


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    """Two servers with the same models."""
    servers = OllamaServer(), OllamaServer()
    try:
        for server in servers:
            server.start()
        yield servers
    except Unavailable as reason:
        pytest.skip(f"no Ollama server here: {reason}")
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def servers(both: Servers) -> Iterator[Servers]:
    """The two servers; one that the test ends runs again after it."""
    yield both
    for server in both:
        server.start()


@asynccontextmanager
async def asking(folder: Path, servers: Servers, **settings: object) -> AsyncIterator[Engine]:
    """An engine with both servers; the first one is `host`."""
    first, second = servers
    chosen: dict[str, object] = {
        "model": MODEL,
        "ollama": OllamaSettings(host=first.host, hosts=(second.host,)),
        "context": ContextSettings(summarize_after=0),
        "memory": MemorySettings(recall=False),
    }
    engine = await Engine.open(Settings(**(chosen | settings)), paths_under(folder))  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        await engine.close()


async def router_of(engine: Engine, provider: str = "ollama") -> Router:
    backend = await engine.models.backend(provider)
    assert isinstance(backend, Router)
    return backend


def ask(text: str, *, most: int = 8, background: bool = False) -> ChatRequest:
    return ChatRequest(
        model=CHAT_MODEL,
        messages=(ChatMessage(role=Role.USER, content=text),),
        options=Options(temperature=0.0, max_tokens=most, context_length=256),
        background=background,
    )


async def said(router: Router, request: ChatRequest) -> str:
    async with aclosing(router.chat(request)) as chunks:
        return "".join([chunk.text async for chunk in chunks])


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def load(host: Host) -> None:
    """Let a server load the model, and see that it has."""
    async for _ in host.backend.chat(ask("Hi.", most=1)):
        pass
    await host.look()


async def test_a_question_that_is_stopped_twice_is_closed_all_the_same() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedBackend):
        """Takes a moment to stop, as a connection does that is being closed."""

        async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            try:
                asked.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await go.wait()
                raise
            yield Chunk()

    events = Events()
    router = Router([Host("slow", Slow())], Pool(events), events)
    answer = asyncio.create_task(said(router, ask("Hi.")))
    await asked.wait()
    for _ in range(2):
        answer.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await answer


async def test_each_of_two_questions_at_once_has_a_server_of_its_own(
    tmp_path: Path, servers: Servers
) -> None:
    async with asking(tmp_path, servers) as engine:
        router = await router_of(engine)
        for host in router.hosts:
            await load(host)
        streams = [router.chat(ask(STORY, most=8)) for _ in range(2)]
        for stream in streams:
            await anext(stream)
        assert [host.chats for host in router.hosts] == [1, 1]
        for stream in streams:
            assert [chunk async for chunk in stream][-1].done
        assert [host.running for host in router.hosts] == [0, 0]
        assert all(host.tokens_per_second for host in router.hosts)


async def test_the_server_that_has_the_model_loaded_is_asked_until_there_is_a_line(
    tmp_path: Path, servers: Servers
) -> None:
    servers[0].kill()
    servers[0].start()  # with nothing loaded
    async with asking(tmp_path, servers) as engine:
        router = await router_of(engine)
        cold, warm = router.hosts
        await load(warm)
        streams = [router.chat(ask(STORY, most=120)) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        assert [warm.chats, cold.chats] == [2, 1]
        for stream in streams:
            await stream.aclose()
        await cold.look()
        assert not cold.cold(CHAT_MODEL)


async def test_what_nobody_waits_for_keeps_away_from_the_server_that_people_talk_with(
    tmp_path: Path, servers: Servers
) -> None:
    async with asking(tmp_path, servers) as engine:
        router = await router_of(engine)
        for host in router.hosts:
            await load(host)
        await said(router, ask("Hi.", most=1))
        talked_with = next(host for host in router.hosts if host.tokens_per_second)
        [other] = [host for host in router.hosts if host is not talked_with]
        title = router.chat(ask("Name this.", background=True))
        await anext(title)
        assert (talked_with.others, other.others) == (0, 1)
        await title.aclose()
        vectors = asyncio.create_task(router.embed(EMBEDDING_MODEL, ["jay"] * 8))
        await until(lambda: bool(other.others or talked_with.others))
        assert (talked_with.others, other.others) == (0, 1)
        assert len(await vectors) == 8


async def test_a_server_killed_before_its_first_word_is_replaced_by_another_and_it_is_told(
    tmp_path: Path, servers: Servers
) -> None:
    model = msgspec.structs.replace(MODEL, max_tokens=8, context_length=1024)
    async with asking(tmp_path, servers, model=model) as engine:
        watch = Watch(engine)
        first, second = (await router_of(engine)).hosts
        await load(second)
        await engine.models.find().result()
        # The first is made the one to ask, and has a prompt to read before its first word.
        await load(first)
        turn = await engine.send(None, "jay " * 8)
        await until(lambda: first.chats == 1 or turn.over)
        assert not turn.over, turn.answer.failure
        await asyncio.to_thread(servers[0].kill)
        answer = await turn.wait()
        assert answer.finish is Finish.COMPLETE, answer.failure
        assert answer.content
        [notice] = [notice for notice in watch.of(Notice) if second.name in notice.text]
        assert first.name in notice.text
        assert (first.reachable, second.reachable) == (False, True)


async def test_a_server_killed_in_the_middle_leaves_what_it_said_and_retry_goes_to_another(
    tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_module, "PAUSES", (0.5,) * 100)
    async with asking(tmp_path, servers) as engine:
        first, second = (await router_of(engine)).hosts
        for host in (first, second):
            await load(host)
        turn = await engine.send(None, STORY)
        await until(lambda: bool(turn.so_far.content))
        assert first.chats == 1
        await asyncio.to_thread(servers[0].kill)
        broken = await turn.wait()
        assert broken.finish is Finish.FAILED
        assert broken.content
        assert broken.failure is not None
        assert first.name in broken.failure.message
        assert f"Retry: {second.name} answers" in broken.failure.next_step

        again = await engine.retry(turn.session_id)
        assert again is not None
        await until(lambda: bool(again.so_far.content))
        assert (first.chats, second.chats) == (0, 1)
        await again.stop()

        await asyncio.to_thread(servers[0].start)
        await until(lambda: first.reachable is True)  # it is found to be back by itself


async def test_a_server_whose_machine_falls_asleep_is_given_up(
    tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_module, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(router_module, "LOOK_SECONDS", 0.5)
    async with asking(tmp_path, servers) as engine:
        router = await router_of(engine)
        first, second = router.hosts
        for host in router.hosts:
            await load(host)
        asked = asyncio.create_task(said(router, ask("jay " * 12, most=4)))
        await until(lambda: first.chats == 1)
        servers[0].freeze()
        assert await asked
        assert (first.reachable, second.reachable) == (False, True)
        await asyncio.to_thread(servers[0].kill)


async def test_a_new_question_ends_background_work_only_where_there_is_no_other_server(
    tmp_path: Path, servers: Servers
) -> None:
    async with asking(tmp_path, servers) as engine:
        router = await router_of(engine)
        await router.look()
        await engine.models.find().result()

        async def work(_job: Job[None]) -> None:
            await asyncio.Event().wait()

        for there, ended in ((True, False), (False, True)):
            job = engine.pool.submit("name the conversation", Lane.BACKGROUND, work)
            router.hosts[1].reachable = there
            turn = await engine.send(None, "Hi.")
            await turn.stop()
            assert (job.state is JobState.CANCELLED) == ended
            job.cancel()


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_each_server_is_sent_its_own_key_and_no_other(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stand-ins, because Ollama does not tell what keys it is sent.
    servers = ScriptedServer(), ScriptedServer(), ScriptedServer()
    async with AsyncExitStack() as stack:
        for server in servers:
            listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
            server.port = listening.sockets[0].getsockname()[1]
            stack.push_async_callback(listening.wait_closed)
            stack.callback(listening.close)
        monkeypatch.setenv(f"{kind.upper()}_API_KEY", "the first key")
        monkeypatch.setenv("ATTIC_KEY", "the second key")
        first, second, third = (server.url for server in servers)
        more = (f"{second} ATTIC_KEY", third)
        hosts = (
            ollama_hosts(OllamaSettings(host=first, hosts=more))
            if kind == "ollama"
            else openai_hosts(OpenAISettings(base_url=first, hosts=more))
        )
        for host in hosts:
            await host.look()
            await host.backend.close()
    sent = [
        {request.headers.get("authorization") for request in server.requests} for server in servers
    ]
    assert sent == [{"Bearer the first key"}, {"Bearer the second key"}, {None}]


async def test_a_server_that_is_not_there_is_passed_over_for_models_and_vectors_too(
    tmp_path: Path, servers: Servers
) -> None:
    await asyncio.to_thread(servers[0].kill)
    async with asking(tmp_path, servers, model=ModelSettings()) as engine:
        assert (await engine.models.find().result()).name == CHAT_MODEL
        router = await router_of(engine)
        assert CHAT_MODEL in [info.name for info in await router.models()]
        [vector] = await router.embed(EMBEDDING_MODEL, ["jay"])
        assert len(vector) == 384
        await asyncio.to_thread(servers[1].kill)
        with pytest.raises(ModelError) as caught:
            await said(router, ask("Hi."))
        assert caught.value.kind == "unreachable"
        assert "ollama serve" in caught.value.failure.next_step


async def test_servers_of_the_openai_kind_take_over_for_each_other_as_well(
    tmp_path: Path, servers: Servers
) -> None:
    urls = [f"http://{server.host}/v1" for server in servers]
    settings = OpenAISettings(base_url=urls[0], hosts=(f"{urls[1]} NO_SUCH_KEY",))
    async with asking(tmp_path, servers, openai=settings) as engine:
        router = await router_of(engine, "openai")
        assert CHAT_MODEL in [info.name for info in await router.models()]
        await asyncio.to_thread(servers[0].kill)
        chunks: list[Chunk] = [chunk async for chunk in router.chat(ask("Hi.", most=4))]
        assert chunks[-1].done
        assert [host.reachable for host in router.hosts] == [False, True]


async def test_what_no_server_can_do_is_said_as_by_one(tmp_path: Path, servers: Servers) -> None:
    async with asking(tmp_path, servers) as engine:
        router = await router_of(engine)
        with pytest.raises(ModelError) as caught:
            await router.describe("nobody")
        assert caught.value.kind == "model_missing"
        assert "ollama pull nobody" in caught.value.failure.next_step
