"""A turn: the question on disk first, the answer streamed and kept however it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from engine.config import ModelSettings, Settings
from engine.events import AnswerDelta, AnswerEnded, ContextPacked, MessageAdded
from engine.llm.base import Chunk, ModelError
from engine.memory.recall import Recall, Recollection
from engine.pool import JobState, Lane
from storage.errors import DiskFullError, StorageError, UnknownSessionError
from storage.records import Finish, Message, Role, Usage
from storage.store import Store
from tests.embedded_weights import paths_under
from tests.engine.support import Watch, running_engine
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine


async def kept(engine: Engine, session_id: str) -> list[Message]:
    session = await engine.library.session(session_id)
    return list(await engine.library.page(session_id, 0, session.message_count))


async def test_an_answer_is_streamed_and_committed_with_its_figures(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["Blue ", "and ", "grey."])) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "What colour is a scrub jay?")
        answer = await turn.wait()

        assert [delta.text for delta in watch.of(AnswerDelta)] == ["Blue ", "and ", "grey."]
        assert answer.content == "Blue and grey."
        assert answer.finish is Finish.COMPLETE
        assert answer.model == "scripted:parrot"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.eval_tokens) == (10, 3)
        assert answer.usage.first_token_seconds is not None
        assert answer.usage.total_seconds is not None
        question, stored = await kept(engine, turn.session_id)
        assert question.content == "What colour is a scrub jay?"
        assert stored == answer


async def test_the_question_is_on_disk_before_the_model_is_called(tmp_path: Path) -> None:
    async def chat_sees_the_question() -> list[str]:
        other = await Store.open(paths_under(tmp_path).database_file)
        try:
            (session,) = await other.sessions.list()
            return [message.content for message in await other.messages.tail(session.id, 10)]
        finally:
            await other.close()

    release = asyncio.Event()
    backend = ScriptedBackend([release, "Yes."])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "Are you there?")
        assert "Are you there?" in await chat_sees_the_question()
        release.set()
        await turn.wait()


async def test_a_partial_answer_is_checkpointed_while_it_grows(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with running_engine(tmp_path, ScriptedBackend(["Half of ", release, "it."])) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "Go on")
        await watch.until(AnswerDelta)
        async with asyncio.timeout(5):
            while (await kept(engine, turn.session_id))[1].content != "Half of ":
                await asyncio.sleep(0.02)
        assert (await kept(engine, turn.session_id))[1].finish is Finish.STREAMING
        release.set()
        assert (await turn.wait()).content == "Half of it."


async def test_stop_keeps_what_has_come_and_stops_the_model(tmp_path: Path) -> None:
    backend = ScriptedBackend(["Once upon ", asyncio.Event(), "a time"])
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "Tell me a story")
        await watch.until(AnswerDelta)
        stopped = await engine.stop(turn.session_id)
        assert stopped is not None
        assert (stopped.content, stopped.finish) == ("Once upon ", Finish.STOPPED)
        assert (await kept(engine, turn.session_id))[-1] == stopped
        assert backend.stopped == 1
        assert engine.turn(turn.session_id) is None


@pytest.mark.parametrize("said", [[], ["Some words "]])
async def test_a_failure_of_the_model_is_kept_with_its_next_step(
    tmp_path: Path, said: list[str]
) -> None:
    error = ModelError("unreachable", "Ollama does not answer.", "Start it with `ollama serve`.")
    async with running_engine(tmp_path, ScriptedBackend([*said, error])) as engine:
        turn = await engine.send(None, "Hello")
        answer = await turn.wait()
        assert answer.finish is Finish.FAILED
        assert answer.failure == error.failure
        assert answer.content == "".join(said)
        assert (await kept(engine, turn.session_id))[1].failure == error.failure


async def test_a_fault_in_the_program_fails_the_answer_and_not_the_program(tmp_path: Path) -> None:
    backend = ScriptedBackend([ZeroDivisionError("inside")], ["Well again."])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "Hello")
        answer = await turn.wait()
        assert answer.failure is not None
        assert answer.failure.kind == "internal"
        again = await engine.send(turn.session_id, "And now?")
        assert (await again.wait()).content == "Well again."


async def test_an_answer_of_nothing_is_a_failure(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend([])) as engine:
        answer = await (await engine.send(None, "Hello")).wait()
        assert answer.failure is not None
        assert answer.failure.kind == "empty_answer"


async def test_a_model_that_is_not_there_fails_the_answer_and_keeps_the_question(
    tmp_path: Path,
) -> None:
    settings = Settings(model=ModelSettings(default="scripted:nobody"))
    async with running_engine(tmp_path, settings=settings) as engine:
        turn = await engine.send(None, "Hello")
        answer = await turn.wait()
        assert answer.failure is not None
        assert answer.failure.kind == "model_missing"
        assert (await kept(engine, turn.session_id))[0].content == "Hello"
        # Looking again is part of trying again.
        await engine.models.choose("scripted:parrot")
        retried = await engine.retry(turn.session_id)
        assert retried is not None
        assert (await retried.wait()).content == "Hello"


async def test_retry_shows_the_new_answer_and_keeps_the_old_one(tmp_path: Path) -> None:
    backend = ScriptedBackend([ModelError("crashed", "It fell over.")], ["Now it works."])
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "Hello")
        failed = await turn.wait()
        retried = await engine.retry(turn.session_id)
        assert retried is not None
        answer = await retried.wait()
        assert [message.id for message in await kept(engine, turn.session_id)] == [
            turn.question.id,
            answer.id,
        ]
        assert watch.of(MessageAdded)[-1].replaces == failed.id
        assert backend.requests[0].messages == backend.requests[1].messages


async def test_there_is_nothing_to_retry_while_an_answer_is_written(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with running_engine(tmp_path, ScriptedBackend([release, "Done."])) as engine:
        turn = await engine.send(None, "Hello")
        assert await engine.retry(turn.session_id) is None
        release.set()
        await turn.wait()


async def test_messages_sent_during_an_answer_are_answered_in_order(tmp_path: Path) -> None:
    release = asyncio.Event()
    backend = ScriptedBackend([release, "one"], ["two"], ["three"])
    async with running_engine(tmp_path, backend) as engine:
        first = await engine.send(None, "first")
        later = [await engine.send(first.session_id, text) for text in ("second", "third")]
        release.set()
        for turn in (first, *later):
            await turn.wait()
        assert [message.content for message in await kept(engine, first.session_id)] == [
            "first", "one", "second", "two", "third", "three",
        ]  # fmt: skip
        assert [message.content for message in backend.requests[2].messages[1:]] == [
            "first", "one", "second", "two", "third",
        ]  # fmt: skip


async def test_sends_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    backend = ScriptedBackend()
    async with running_engine(tmp_path, backend) as engine:
        session = await engine.library.create()
        turns = await asyncio.gather(*(engine.send(session.id, f"say {n}") for n in range(20)))
        for turn in turns:
            await turn.wait()
        messages = await kept(engine, session.id)
        assert len(messages) == 40
        pairs = list(zip(messages[::2], messages[1::2], strict=True))
        assert all(question.content == answer.content for question, answer in pairs)
        # They are answered in the order in which they were asked.
        asked = [request.messages[-1].content for request in backend.requests]
        assert asked == [question.content for question, _ in pairs]


async def test_a_queued_turn_can_be_stopped_before_it_begins(tmp_path: Path) -> None:
    release = asyncio.Event()
    backend = ScriptedBackend([release, "one"])
    async with running_engine(tmp_path, backend) as engine:
        first = await engine.send(None, "first")
        second = await engine.send(first.session_id, "second")
        answer = await second.stop()
        assert answer.finish is Finish.STOPPED
        release.set()
        assert (await first.wait()).content == "one"
        assert len(backend.requests) == 1


async def test_closing_keeps_the_partial_answers_and_says_they_were_interrupted(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend(["So far ", asyncio.Event()])
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "first")
        await engine.send(turn.session_id, "second")
        await watch.until(AnswerDelta)
    assert backend.closed
    async with running_engine(tmp_path) as engine:
        messages = await kept(engine, turn.session_id)
        assert [(m.content, m.finish) for m in messages if m.role is Role.ASSISTANT] == [
            ("So far ", Finish.INTERRUPTED),
            ("", Finish.INTERRUPTED),
        ]


async def test_what_a_waiting_question_tells_is_noted_though_the_program_ends(
    tmp_path: Path,
) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["So ", asyncio.Event()])) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "first")
        await watch.until(AnswerDelta)
        await engine.send(turn.session_id, "Remember that my cat is called Tom.")
    assert not [job.name for job in engine.pool.jobs() if job.state is JobState.FAILED]
    async with running_engine(tmp_path) as engine:
        assert "Tom" in (await engine.memory.search("cat"))[0].text


async def test_a_full_disk_at_the_end_is_said_and_the_words_stay_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A really full disk is in tests/faults; this is about what the turn makes of it.
    async def full(*_: object, **__: object) -> Message:
        raise DiskFullError("The disk is full.", "Make room, then retry.")

    async with running_engine(tmp_path, ScriptedBackend(["Words."])) as engine:
        monkeypatch.setattr(engine._store.messages, "finish", full)
        watch = Watch(engine)
        answer = await (await engine.send(None, "Hello")).wait()
        assert answer.content == "Words."
        assert answer.failure is not None
        assert answer.failure.kind == "storage"
        assert watch.of(AnswerEnded)[-1].message == answer


async def test_an_answer_that_the_disk_did_not_take_is_kept_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.unkept.RETRY_SECONDS", 0.01)
    async with running_engine(tmp_path, ScriptedBackend(["Words."])) as engine:
        await fill_the_disk(engine)
        watch = Watch(engine)
        turn = await engine.send(None, "Hello")
        assert (await turn.wait()).finish is Finish.FAILED
        await make_room(engine)
        ended = await watch.until(AnswerEnded, lambda event: event.message.failure is None)
        assert [one.content for one in await kept(engine, turn.session_id)] == ["Hello", "Words."]
        assert (await kept(engine, turn.session_id))[-1] == ended.message
        assert ended.message.finish is Finish.COMPLETE


async def test_an_answer_that_the_disk_did_not_take_is_tried_once_more_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.unkept.RETRY_SECONDS", 60.0)
    async with running_engine(tmp_path, ScriptedBackend(["Words."])) as engine:
        await fill_the_disk(engine)
        turn = await engine.send(None, "Hello")
        await turn.wait()
        await make_room(engine)
    async with running_engine(tmp_path) as engine:
        answer = (await kept(engine, turn.session_id))[-1]
        assert (answer.content, answer.finish) == ("Words.", Finish.COMPLETE)


async def fill_the_disk(engine: Engine) -> None:
    """A stand-in: let the database refuse the end of an answer."""
    await engine._store._database.write(
        "CREATE TRIGGER full BEFORE UPDATE OF finish ON messages"
        " BEGIN SELECT RAISE(ABORT, 'there is no room'); END"
    )


async def make_room(engine: Engine) -> None:
    await engine._store._database.write("DROP TRIGGER full")


async def test_a_question_whose_answer_can_t_be_begun_is_not_kept_either(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        session = await engine.library.create()
        await engine._store._database.write(
            "CREATE TRIGGER full BEFORE INSERT ON messages WHEN NEW.role = 'assistant'"
            " BEGIN SELECT RAISE(ABORT, 'there is no room'); END"
        )
        with pytest.raises(StorageError):  # and whoever sends it again sends it once
            await engine.send(session.id, "Hello")
        assert await kept(engine, session.id) == []


async def test_thinking_is_streamed_and_kept_apart_from_the_answer(tmp_path: Path) -> None:
    script = [Chunk(thinking="Let me see. "), Chunk(text="Four.")]
    async with running_engine(tmp_path, ScriptedBackend(script)) as engine:
        answer = await (await engine.send(None, "2 + 2?")).wait()
        assert (answer.thinking, answer.content) == ("Let me see. ", "Four.")


async def test_what_the_model_was_shown_is_told(tmp_path: Path) -> None:
    backend = ScriptedBackend()
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "Hello")
        await turn.wait()
        packed = watch.of(ContextPacked)[0].packed
        assert packed.request == backend.requests[0]
        assert packed.window == 2048


async def test_asking_in_a_session_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        with pytest.raises(UnknownSessionError):
            await engine.send("0" * 32, "Hello")


async def test_totals_add_up(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["a", "b"], ["c"])) as engine:
        turn = await engine.send(None, "one")
        await turn.wait()
        await (await engine.send(turn.session_id, "two")).wait()
        totals = await engine.library.usage(session_id=turn.session_id)
        assert (totals.answers, totals.prompt_tokens, totals.eval_tokens) == (2, 20, 3)
        assert Usage(eval_tokens=3, eval_seconds=0.5).tokens_per_second == 6


async def test_a_turn_that_is_cancelled_in_the_pool_was_stopped_by_a_person(tmp_path: Path) -> None:
    backend = ScriptedBackend(["So far ", asyncio.Event()])
    async with running_engine(tmp_path, backend) as engine:
        watch = Watch(engine)
        turn = await engine.send(None, "Go on")
        await watch.until(AnswerDelta)
        (job,) = engine.pool.living(Lane.CHAT)
        job.cancel()
        assert (await turn.wait()).finish is Finish.STOPPED


async def test_stopping_while_the_answer_is_being_committed_leaves_it_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = asyncio.Event(), asyncio.Event()

    async with running_engine(tmp_path, ScriptedBackend(["All of it"])) as engine:
        finish = engine._store.messages.finish

        # A stand-in for a slow disk: the moment of a write can't be met otherwise.
        async def slow(message_id: str, **values: Any) -> Message:
            writing.set()
            await go_on.wait()
            return await finish(message_id, **values)

        monkeypatch.setattr(engine._store.messages, "finish", slow)
        watch = Watch(engine)
        turn = await engine.send(None, "Say all")
        await writing.wait()
        stopping = asyncio.create_task(turn.stop())
        await asyncio.sleep(0)  # the cancellation is on its way
        go_on.set()
        answer = await stopping
        assert (answer.content, answer.finish) == ("All of it", Finish.COMPLETE)
        assert len(watch.of(AnswerEnded)) == 1
        assert (await kept(engine, turn.session_id))[-1] == answer


async def test_an_answer_comes_without_memories_when_recall_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> list[Recollection]:
        raise ModuleNotFoundError("a part of recall")

    monkeypatch.setattr(Recall, "find", broken)
    async with running_engine(tmp_path, ScriptedBackend(["Here I am."])) as engine:
        turn = await engine.send(None, "Hello")
        assert (await turn.wait()).content == "Here I am."
        assert turn.packed is not None
        memories = next(part for part in turn.packed.segments if part.name == "memories")
        assert "Recall failed (ModuleNotFoundError)" in memories.why


async def test_an_answer_that_is_being_written_says_who_writes_it(tmp_path: Path) -> None:
    backend = ScriptedBackend(["One."], ["Two ", asyncio.Event()])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "first")
        await turn.wait()
        again = await engine.send(turn.session_id, "second")
        assert again.answer.model == "scripted:parrot"
        assert (await kept(engine, turn.session_id))[-1].model == "scripted:parrot"
