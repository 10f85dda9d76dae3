"""Remembering: what is told once is known in later sessions, until it changes or is forgotten."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.agent import Agent
from engine.config import MemorySettings, ModelSettings, Settings
from engine.events import ContextPacked, MemoriesChanged, Notice
from engine.llm.base import Chunk, ModelError
from engine.memory.extraction import SCHEMA
from engine.memory.quotas import QuotaExceededError
from engine.models import DEFAULT_REF
from storage.articles import Draft
from storage.errors import UnknownMemoryError
from storage.records import Role, ToolCall
from tests.engine.support import SETTINGS, Watch, running_engine
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Paths
    from engine.engine import Engine

ABLE = msgspec.structs.replace(
    INFO, parameters="7B", window=8192, capabilities=frozenset({"chat", "tools"})
)


def able(*scripts: object) -> ScriptedBackend:
    backend = ScriptedBackend(*scripts)  # type: ignore[arg-type]
    backend.info = ABLE
    return backend


def facts(*told: tuple[str, str], about: str = "") -> list[str]:
    """What a model says that reads these facts."""
    found = [{"subject": name, "text": text, "confidence": 0.8} for name, text in told]
    return [json.dumps({"facts": found, "about": about})]


async def tell(engine: Engine, *texts: str, session_id: str | None = None) -> str:
    """Say these things in a session and wait until they are remembered. Returns its id."""
    for text in texts:
        turn = await engine.send(session_id, text)
        session_id = turn.session_id
        await turn.wait()
        await engine.memory.wait()
    assert session_id is not None
    return session_id


async def shown(engine: Engine, question: str, user_id: str | None = None) -> str:
    """All that a model is shown when a question is asked in a new session."""
    watch = Watch(engine)
    session = await engine._store.sessions.create(user_id=user_id)
    await tell(engine, question, session_id=session.id)
    request = watch.of(ContextPacked)[-1].packed.request
    return "\n".join(message.content for message in request.messages)


def only_learning(engine: Engine) -> None:
    """Let nothing but learning ask the model after an answer."""

    async def nothing(*_: object) -> None:
        pass

    engine._afterwards._name = nothing  # type: ignore[method-assign,assignment]
    engine._afterwards._sum_up = nothing  # type: ignore[method-assign,assignment]


async def test_told_changed_and_forgotten_with_the_embedded_model(embedded_paths: Paths) -> None:
    settings = Settings(model=ModelSettings(default=DEFAULT_REF, max_tokens=10, seed=1))

    async def restarted() -> Engine:
        from engine.engine import Engine

        return await Engine.open(settings, embedded_paths)

    engine = await restarted()
    try:
        await tell(engine, "Hi! By the way, I live in Arequipa.")
    finally:
        await engine.close()

    engine = await restarted()
    try:
        assert "The user lives in Arequipa." in await shown(engine, "Which city do I live in?")
        assert "Arequipa" not in await shown(engine, "Which city do I live in?", user_id="ben")
        await tell(engine, "I moved to Cusco last month.")
    finally:
        await engine.close()

    engine = await restarted()
    try:
        request = await shown(engine, "Which city do I live in?")
        assert "The user lives in Cusco." in request
        assert "Arequipa" not in request
        old = await engine.memory.search("Arequipa", superseded=True)
        [home] = await engine.memory.search("home")
        assert [one.superseded_by for one in old if one.valid_to] == [home.id]
        await engine.memory.forget(home.id, everywhere=True)
        await engine._store.backup(embedded_paths.data_dir / "backup.db")
        for word in (b"arequipa", b"cusco"):
            for file in embedded_paths.data_dir.iterdir():
                assert word not in file.read_bytes().lower(), file.name
        request = await shown(engine, "Which city do I live in?")
        assert "Arequipa" not in request
        assert "Cusco" not in request
    finally:
        await engine.close()


async def test_a_message_that_told_what_holds_no_more_is_not_brought_back(tmp_path: Path) -> None:
    async with running_engine(
        tmp_path, ScriptedBackend(["Lima, nice!"], ["Puno, nice!"])
    ) as engine:
        told = "I live in Lima. My aunt Rosa grows orchids in a greenhouse."
        await tell(engine, told)
        assert "Rosa" in await shown(engine, "What does my aunt Rosa grow?")
        await tell(engine, "I moved to Puno.")
        request = await shown(engine, "What does my aunt Rosa grow, and which city do I live in?")
        assert "orchids" in request
        assert "Puno" in request
        assert "Lima" not in request


async def test_who_moves_back_lives_there_again(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(*[["Nice."]] * 4)) as engine:
        await tell(engine, "I live in Lima.", "Which parks in Lima have old fig trees?")
        await tell(engine, "I moved to Puno.")
        await tell(engine, "I moved back to Lima.")
        request = await shown(engine, "Which parks in the city where I live have fig trees?")
        assert "Known about the user since" in request
        assert "The user lives in Lima." in request
        assert "old fig trees" in request
        assert "Puno" not in request


async def test_an_episode_does_not_tell_what_holds_no_more(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        await engine.memory.remember("I live in Lima")
        await engine.memory.remember("A talk on orchids. The user lives in Lima.", kind="episode")
        await engine.memory.remember("I live in Puno")
        request = await shown(engine, "Which orchids did I talk about?")
        assert "A talk on orchids." in request
        assert "Lima" not in request


async def test_what_is_told_again_is_kept_once_and_surer(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        await tell(engine, "I'm allergic to peanuts.", "As you know, I am allergic to peanuts!")
        [fact] = await engine.memory.search()
        assert fact.name == "allergy"
        assert fact.confidence > 0.99
        assert [one.content for one in await engine.memory.sources(fact.id)] == [
            "I'm allergic to peanuts.",
            "As you know, I am allergic to peanuts!",
        ]
        await tell(engine, "I'm allergic to pollen.")
        assert await engine.memory.figures() == {"fact": 2, "episode": 0, "skill": 0}


async def test_what_ended_is_not_known_any_more(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        await tell(engine, "My favourite drink is coffee.", "I no longer drink coffee.")
        [fact] = await engine.memory.search()
        assert fact.text == "The user said: I no longer drink coffee."
        [_, ended] = sorted(
            await engine.memory.search(superseded=True), key=lambda one: -one.created_at
        )
        assert ended.text == "The user's favourite drink is coffee."
        assert ended.valid_to is not None


async def test_an_able_model_reads_what_was_told_as_structured_output(tmp_path: Path) -> None:
    read = facts(
        ("hobby", "The user restores old radios."),
        ("pet", "The user has a parrot named Kiko."),
        about="Old radios.",
    )
    backend = able(["Nice."], read, ["Oh."], facts())
    async with running_engine(tmp_path, backend) as engine:
        only_learning(engine)
        watch = Watch(engine)
        session_id = await tell(engine, "In my spare time I am restoring old radios.")
        [fact] = await engine.memory.search()
        # Nobody spoke of a parrot.
        assert (fact.name, fact.text) == ("hobby", "The user restores old radios.")
        assert (fact.confidence, fact.session_id) == (0.8, session_id)
        assert [one.position for one in await engine.memory.sources(fact.id)] == [0]
        assert backend.requests[1].schema == SCHEMA
        assert watch.of(MemoriesChanged)[-1].entity_id is None
        # What was read once is not read again; the model is told what is known.
        await tell(engine, "I like that hobby.", session_id=session_id)
        asked = backend.requests[3].messages[-1].content
        assert "- The user restores old radios." in asked
        assert "In my spare time" not in asked


@pytest.mark.parametrize(
    "answer",
    ["My pleasure!", '{"facts": [{"subject": 3}]}', ModelError("unreachable", "It is gone.")],
)
async def test_rules_read_where_an_able_model_fails(
    tmp_path: Path, answer: str | Exception
) -> None:
    async with running_engine(tmp_path, able(["Hello."], [answer])) as engine:
        only_learning(engine)
        await tell(engine, "My name is Ana.")
        [fact] = await engine.memory.search()
        assert fact.text == "The user's name is Ana."


async def test_what_a_question_interrupts_is_read_after_the_next_answer(tmp_path: Path) -> None:
    never = asyncio.Event()
    read = facts(("hobby", "The user restores old radios."), ("pet", "The user has a parrot."))
    backend = able(["Nice."], [never], ["Nice, too."], read)
    async with running_engine(tmp_path, backend) as engine:
        only_learning(engine)
        first = await engine.send(None, "In my spare time I am restoring old radios.")
        await first.wait()
        async with asyncio.timeout(10):
            while len(backend.requests) < 2:
                await asyncio.sleep(0.01)
        await tell(engine, "And my parrot helps me.", session_id=first.session_id)
        assert backend.stopped == 1
        assert {one.name for one in await engine.memory.search()} == {"hobby", "pet"}


async def test_what_an_end_interrupts_is_read_after_the_next_start(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        session = await engine.library.create()
        # As if the program had been killed between the question and what follows.
        await engine._store.messages.append(session.id, role=Role.USER, content="My name is Ana.")
    async with running_engine(tmp_path) as engine:
        await engine.load_memory().result()
        [fact] = await engine.memory.search()
        assert fact.text == "The user's name is Ana."
        await engine.memory.forget(fact.id)
        await engine.load_memory().result()
        assert await engine.memory.search() == []


async def test_what_is_told_last_is_written_while_the_program_ends(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        await (await engine.send(None, "My name is Ana.")).wait()
    async with running_engine(tmp_path) as engine:
        assert [one.name for one in await engine.memory.search()] == ["name"]


async def test_what_is_told_is_remembered_though_the_model_fails(tmp_path: Path) -> None:
    backend = ScriptedBackend([ModelError("unreachable", "It is gone.")])
    async with running_engine(tmp_path, backend) as engine:
        await tell(engine, "Remember that the spare key is under the mat.")
        [fact] = await engine.memory.search("key")
        assert fact.text == "The spare key is under the mat."


async def test_saying_forget_destroys_nothing(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        await tell(engine, "My name is Ana.", "Forget that my name is Ana.", "Forget my name.")
        [fact] = await engine.memory.search(kinds=["fact"])
        assert fact.valid_to is None


async def test_without_extraction_only_what_is_asked_for_is_remembered(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, memory=MemorySettings(extract=False))
    async with running_engine(tmp_path, None, settings) as engine:
        await tell(engine, "My name is Ana.", "Remember that my dog is called Rex.")
        assert [one.name for one in await engine.memory.search()] == ["dog"]


async def test_a_long_session_is_an_episode(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        session_id = await tell(
            engine, "How do orchids grow?", "How often are they watered?", "Which soil is best?"
        )
        [episode] = await engine.memory.search("orchids", kinds=["episode"])
        assert episode.session_id == session_id
        assert "How do orchids grow?" in episode.text
        await engine.memory.forget(episode.id)
        await tell(engine, *["And then?"] * 3, session_id=session_id)
        assert await engine.memory.search(kinds=["episode"]) == []


async def test_a_model_tells_what_a_session_is_about(tmp_path: Path) -> None:
    read = facts(about="The user plans a greenhouse for orchids.")
    backend = able(["a"], ["b"], ["c"], read)
    async with running_engine(tmp_path, backend) as engine:
        only_learning(engine)
        session_id = await tell(engine, "How do orchids grow?", "Which soil?")
        await tell(engine, "I want to build them a greenhouse.", session_id=session_id)
        [episode] = await engine.memory.search(kinds=["episode"])
        assert episode.text == "The user plans a greenhouse for orchids."
        assert "From a conversation of" in await shown(engine, "How is my orchids greenhouse?")


async def test_skills_are_changed_under_their_name_and_shown_where_they_help(
    tmp_path: Path,
) -> None:
    async with running_engine(tmp_path) as engine:
        keep = engine.memory.remember
        first = await keep("Tag, build, upload.", kind="skill", name="release a wheel")
        second = await keep("Tag and let CI do it.", kind="skill", name="release a wheel")
        assert first.id == second.id
        assert [one.text for one in await engine.memory.search("release")] == [second.text]
        request = await shown(engine, "How do I release a wheel?")
        assert "release a wheel: Tag and let CI do it." in request
        with pytest.raises(ValueError, match="name"):
            await keep("Tag, build, upload.", kind="skill")
        with pytest.raises(ValueError, match="nothing"):
            await keep("  ")


async def test_what_is_pinned_is_thought_of_at_every_question(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        fact = await engine.memory.remember("The user wants answers in Spanish.")
        assert "Spanish" not in await shown(engine, "How deep is lake Titicaca?")
        assert (await engine.memory.pin(fact.id, True)).pinned
        assert "Spanish" in await shown(engine, "How deep is lake Titicaca?")
        await engine.memory.pin(fact.id, False)
        assert "Spanish" not in await shown(engine, "How deep is lake Poopó?")


async def test_an_edited_fact_keeps_its_history(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        await tell(engine, "I live in Lima.")
        [before] = await engine.memory.search()
        after = await engine.memory.edit(before.id, "The user lives in Barranco, Lima.")
        assert (after.name, after.source_ids) == ("home", before.source_ids)
        old = await engine.memory.get(before.id)
        assert old is not None
        assert old.superseded_by == after.id
        assert "Barranco" in await shown(engine, "Which city do I live in?")
        with pytest.raises(UnknownMemoryError):
            await engine.memory.edit(before.id, "The user lives in Peru.")
        with pytest.raises(UnknownMemoryError):
            await engine.memory.edit("nothing", "The user lives in Peru.")


async def test_forgetting_leaves_the_conversation_and_recalls_it_no_more(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["A Peugeot, nice!"])) as engine:
        session_id = await tell(engine, "My bike is a green Peugeot.")
        assert "Peugeot" in await shown(engine, "Which colour is my bike?")
        [fact] = await engine.memory.search()
        await engine.memory.forget(fact.id)
        assert await engine.memory.get(fact.id) is None
        assert "Peugeot" not in await shown(engine, "Which colour is my bike?")
        kept = await engine.library.page(session_id, 0, 9)
        assert [message.content for message in kept] == [
            "My bike is a green Peugeot.",
            "A Peugeot, nice!",
        ]
        with pytest.raises(UnknownMemoryError):
            await engine.memory.forget(fact.id)


async def test_what_is_forgotten_is_not_learnt_again_by_another_model(tmp_path: Path) -> None:
    read = facts(("name", "The user's name is Ana."), ("hobby", "The user restores old radios."))
    backend = ScriptedBackend(["Hello."], ["Nice."], read)
    async with running_engine(tmp_path, backend) as engine:
        only_learning(engine)
        session_id = await tell(engine, "My name is Ana.")
        [fact] = await engine.memory.search()
        await engine.memory.forget(fact.id)
        backend.info = ABLE
        await tell(engine, "I am restoring old radios.", session_id=session_id)
        assert "Ana" not in backend.requests[-1].messages[-1].content
        assert [one.name for one in await engine.memory.search()] == ["hobby"]


async def test_forgetting_everywhere_strikes_out_the_statement_alone(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["Hello Ana! Lima it is."])) as engine:
        session_id = await tell(engine, "My name is Ana and I live in Lima.")
        [home] = await engine.memory.search("Lima")
        await engine.memory.forget(home.id, everywhere=True)
        kept = await engine.library.page(session_id, 0, 9)
        assert [message.content for message in kept] == [
            "My name is Ana and [forgotten]",
            "Hello Ana! [forgotten]",
        ]
        assert (await engine.library.session(session_id)).title == "[forgotten]"
        assert [one.name for one in await engine.memory.search()] == ["name"]


async def test_forgetting_a_common_word_spares_other_statements(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["Blue it is."], ["Yes."])) as engine:
        session_id = await tell(engine, "My favourite colour is blue.", "The sky is blue.")
        [fact] = await engine.memory.search(kinds=["fact"])
        await engine.memory.forget(fact.id, everywhere=True)
        kept = await engine.library.page(session_id, 0, 9)
        assert [one.content for one in kept] == [
            "[forgotten]",
            "[forgotten]",
            "The sky is blue.",
            "Yes.",
        ]


async def test_forgetting_everywhere_leaves_no_byte(tmp_path: Path) -> None:
    secret = ToolCall(id="1", name="remember", arguments={"text": "The code is Quetzal-7719."})
    async with running_engine(tmp_path) as engine:
        store = engine._store
        session_id = await tell(engine, "Remember that the code of the safe is Quetzal-7719.")
        await store.messages.append(
            session_id,
            role=Role.ASSISTANT,
            content="",
            thinking="So Quetzal-7719 it is. And now?",
            tool_calls=[secret],
        )
        await store.messages.append(
            session_id, role=Role.TOOL, content="Remembered: quetzal-7719", tool_call_id="1"
        )
        await store.sessions.set_state(
            session_id, "summary", {"text": "They met. The code is Quetzal-7719.", "version": 1}
        )
        later = await tell(engine, "What can I do with Quetzal-7719?", "Birds are nice.")
        await engine.memory.remember("On Quetzal-7719.", kind="episode", session_id=session_id)
        [told, *_] = await engine.library.page(session_id, 0, 1)
        copied = Draft(
            url=f"session:{session_id}#{told.id}",
            source="conversations",
            title="The code of the safe is Quetzal-7719",
            text=f"Birds sing. {told.content}",
            passage=told.content,
        )
        await store.articles.upsert(later, [copied])
        [fact] = await engine.memory.search("safe", kinds=["fact"])
        edited = await engine.memory.edit(fact.id, "The code of the old safe is Quetzal-7719.")
        folder = tmp_path / "data"
        assert any(b"Quetzal-7719" in file.read_bytes() for file in folder.iterdir())
        await engine.memory.forget(edited.id, everywhere=True)
        for file in folder.iterdir():
            for word in (b"quetzal", b"7719"):
                assert word not in file.read_bytes().lower(), file.name
        state = (await engine.library.session(session_id)).state
        assert state["summary"] == {"text": "They met. [forgotten]", "version": 1}
        [article] = await engine.library.articles(later)
        assert article.text == "Birds sing. [forgotten]"
        assert await engine.memory.search(superseded=True) == []
        assert [one.content for one in await engine.library.page(later, 2, 4)] == [
            "Birds are nice.",
            "Birds are nice.",
        ]
        assert await store.check() == []


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("my name", {"name"}),
        ("that my name is Ana", {"name"}),
        ("where I live", {"home"}),
        ("The user is allergic to peanuts.", {"allergy"}),
        ("the peanuts", {"allergy"}),
        ("that I live in Puno", set()),
        ("everything", set()),
        ("", set()),
    ],
)
async def test_what_is_to_be_forgotten_is_found_by_what_it_says(
    tmp_path: Path, said: str, gone: set[str]
) -> None:
    async with running_engine(tmp_path) as engine:
        for text in ("my name is Ana", "I live in Lima", "I am allergic to peanuts"):
            await engine.memory.remember(text)
        assert {one.name for one in await engine.memory.forget_matching(said)} == gone
        left = {one.name for one in await engine.memory.search()}
        assert left == {"name", "home", "allergy"} - gone


async def test_nobody_sees_or_changes_what_is_anothers(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        memory = engine.memory
        for entity in (None, "ana", "ben"):
            await memory.remember(f"My name is {entity or 'zoe'}", entity_id=entity)
        await memory.remember("Hum.", kind="skill", name="sing", entity_id="ana")
        for entity in (None, "ana", "ben"):
            [fact] = await memory.search(kinds=["fact"], entity_id=entity)
            assert fact.text == f"The user's name is {entity or 'zoe'}."
        assert await memory.figures("ben") == {"fact": 1, "episode": 0, "skill": 0}
        assert await memory.forget_matching("my name", entity_id="cem") == []
        request = await shown(engine, "What is my name?", user_id="ben")
        assert "The user's name is ben." in request
        assert "ana" not in request
        recalled = await engine._workshop.recall.recall("my name", 9, entity_id="ana")
        assert [one.text for one in recalled if one.kind == "fact"] == ["The user's name is ana."]


async def test_recall_may_ask_for_one_program_and_some_kinds(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        for process in ("barista", "nurse"):
            await engine.memory.remember(
                f"The user told the {process} about tea.", process_id=process
            )
        recall = engine._workshop.recall.recall
        [found] = await recall("tea", 9, entity_id=None, process_id="nurse")
        assert found.text == "The user told the nurse about tea."
        assert await recall("tea", 9, entity_id=None, kinds=("message", "episode")) == []
        [kept] = await engine.memory.search("tea", process_id="barista")
        assert kept.process_id == "barista"


async def test_a_session_says_whose_and_which_programs_its_memories_are(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        session = await engine._store.sessions.create(user_id="ana")
        await engine._store.sessions.set_state(session.id, "process_id", "barista")
        await tell(engine, "My favourite tea is oolong.", session_id=session.id)
        [fact] = await engine.memory.search(entity_id="ana")
        assert (fact.entity_id, fact.process_id) == ("ana", "barista")


async def test_the_chat_goes_on_when_memory_is_full(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, memory=MemorySettings(max_memories=1))
    async with running_engine(tmp_path, None, settings) as engine:
        watch = Watch(engine)
        session_id = await tell(engine, "My name is Ana.", "I live in Lima.", "I'm from Peru.")
        assert [one.name for one in await engine.memory.search()] == ["name"]
        assert (await engine.library.session(session_id)).message_count == 6
        [notice] = watch.of(Notice)
        assert "Memory is full" in notice.text
        for kind, name in (("fact", ""), ("skill", "sing"), ("episode", "")):
            with pytest.raises(QuotaExceededError):
                await engine.memory.remember("Sing.", kind=kind, name=name)  # type: ignore[arg-type]
        # What is known may still change, and others have room of their own.
        await tell(engine, "My name is Bea.")
        assert [one.text for one in await engine.memory.search()] == ["The user's name is Bea."]
        await engine.memory.remember("My name is Ben", entity_id="ben")


async def test_a_day_has_so_many_tokens_for_learning(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, memory=MemorySettings(max_tokens_a_day=1))
    backend = able(["Hi."], facts(("hobby", "The user collects old radios.")), ["Oh."], ["Ah."])
    async with running_engine(tmp_path, backend, settings) as engine:
        only_learning(engine)
        watch = Watch(engine)
        session_id = await tell(engine, "I collect old radios.")
        await tell(engine, "I collect old stamps.", session_id=session_id)
        await tell(engine, "I collect old coins.", session_id=session_id)
        assert len(backend.requests) == 4
        assert [one.name for one in await engine.memory.search()] == ["hobby"]
        assert "tokens for remembering are spent" in watch.of(Notice)[0].text


async def test_a_model_remembers_and_forgets_with_the_users_consent(tmp_path: Path) -> None:
    def calls(name: str, **arguments: str) -> list[Chunk]:
        return [Chunk(tool_calls=(ToolCall(id=name, name=name, arguments=arguments),))]

    backend = able(
        calls("remember", text="The user keeps bees."),
        ["Noted."],
        calls("forget", text="The user keeps bees."),
        ["Gone."],
        calls("forget", text="The user keeps bees."),
        ["It was gone."],
    )
    settings = msgspec.structs.replace(SETTINGS, memory=MemorySettings(extract=False))
    async with running_engine(tmp_path, backend, settings) as engine:
        only_learning(engine)
        agent = Agent(engine)
        result = await agent.run("Please keep in mind that I keep bees.")
        assert result.status == "pending"
        assert await engine.memory.search() == []
        await agent.run("", session_id=result.session_id, tool_confirmations={"remember": True})
        [fact] = await engine.memory.search("bees")
        assert (fact.text, fact.session_id) == ("The user keeps bees.", result.session_id)
        assert [one.position for one in await engine.memory.sources(fact.id)] == [0]
        for expected in ("Forgotten: 1 memory.", "Nothing of that kind is remembered."):
            result = await agent.run("Forget my bees.", session_id=result.session_id)
            [call] = result.pending_tool_calls
            await agent.run("", session_id=result.session_id, tool_confirmations={call.id: True})
            assert await engine.memory.search() == []
            assert backend.requests[-1].messages[-1].content == expected


async def test_a_search_finds_all_kinds_pinned_and_newest_first(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        memory = engine.memory
        first = await memory.remember("The user grows orchids.")
        second = await memory.remember("Water them weekly.", kind="skill", name="orchids")
        third = await memory.remember("A talk on orchids and moss.", kind="episode")
        assert [one.id for one in await memory.search()] == [third.id, second.id, first.id]
        await memory.pin(first.id, True)
        assert [one.id for one in await memory.search()] == [first.id, third.id, second.id]
        assert [one.id for one in await memory.search(limit=1, offset=1)] == [third.id]
        assert (await memory.search("orchids moss"))[0].id == third.id
        assert {one.kind for one in await memory.search("orchids")} == {"fact", "skill", "episode"}
        assert await memory.search("bananas") == []
        assert (await memory.edit(third.id, "A talk on ferns.")).text == "A talk on ferns."
        assert [one.id for one in await memory.search("ferns")] == [third.id]
