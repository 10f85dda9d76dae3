"""Branches: questions asked anew in other words, answers continued, and ways back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.events import BranchShown, MessageAdded
from engine.llm.base import ModelError
from storage.records import Finish, Role
from tests.engine.support import Watch, running_engine
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine
    from storage.records import Message


async def shown(engine: Engine, session_id: str) -> list[Message]:
    session = await engine.library.session(session_id)
    return list(await engine.library.page(session_id, 0, session.message_count))


async def texts(engine: Engine, session_id: str) -> list[str]:
    return [message.content for message in await shown(engine, session_id)]


async def ask(engine: Engine, session_id: str | None, *questions: str) -> str:
    for question in questions:
        turn = await engine.send(session_id, question)
        await turn.wait()
        session_id = turn.session_id
    assert session_id is not None
    return session_id


async def test_a_question_asked_in_other_words_begins_a_branch_and_the_old_one_stays(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend(["one"], ["two"], ["three"])
    async with running_engine(tmp_path, backend) as engine:
        session_id = await ask(engine, None, "first", "second")
        old = await shown(engine, session_id)
        watch = Watch(engine)
        turn = await engine.edit(session_id, old[2].id, "second, better")
        assert turn is not None
        await turn.wait()
        assert await texts(engine, session_id) == ["first", "one", "second, better", "three"]
        assert "second" not in [m.content for m in backend.requests[-1].messages]
        assert watch.of(BranchShown)
        assert not watch.of(MessageAdded)  # the whole branch is told of, not its messages
        new = (await shown(engine, session_id))[2]
        assert await engine.library.branches(session_id) == {new.id: (2, 2)}

        assert await engine.library.show_alternative(new, -1) == old[2]
        assert await shown(engine, session_id) == old
        assert await engine.library.show_alternative(old[2], -1) is None
        assert await engine.library.show_alternative(old[2], 1) == new
        assert await texts(engine, session_id) == ["first", "one", "second, better", "three"]


async def test_the_first_question_can_be_edited_and_the_title_stays(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["one"], ["two"])) as engine:
        session_id = await ask(engine, None, "first")
        await engine.library.rename(session_id, "Mine")
        [question, _] = await shown(engine, session_id)
        turn = await engine.edit(session_id, question.id, "anew")
        assert turn is not None
        await turn.wait()
        assert await texts(engine, session_id) == ["anew", "two"]
        assert (await engine.library.session(session_id)).title == "Mine"


async def test_only_questions_of_an_idle_session_can_be_edited(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with running_engine(tmp_path, ScriptedBackend(["one"], [gate, "two"])) as engine:
        session_id = await ask(engine, None, "first")
        other = (await engine.library.create()).id
        [question, answer] = await shown(engine, session_id)
        assert await engine.edit(session_id, answer.id, "no question") is None
        assert await engine.edit(session_id, "nothing", "no message") is None
        assert await engine.edit(other, question.id, "of another session") is None
        turn = await engine.send(session_id, "second")
        assert await engine.edit(session_id, question.id, "while it answers") is None
        gate.set()
        await turn.wait()
        assert await texts(engine, session_id) == ["first", "one", "second", "two"]


async def test_a_message_is_taken_back_with_what_followed_and_comes_back(tmp_path: Path) -> None:
    backend = ScriptedBackend(["one"], ["two"], ["three"])
    async with running_engine(tmp_path, backend) as engine:
        session_id = await ask(engine, None, "first", "second")
        old = await shown(engine, session_id)
        await engine.library.take_back(old[2])
        assert await texts(engine, session_id) == ["first", "one"]
        await engine.library.show(old[2])
        assert await shown(engine, session_id) == old


async def test_a_stopped_answer_is_continued_where_it_ended(tmp_path: Path) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(["Blue ", gate], ["and grey."])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "What colour?")
        watch = Watch(engine)
        while turn.so_far.content != "Blue ":
            await asyncio.sleep(0.01)
        await turn.stop()
        more = await engine.go_on(turn.session_id)
        assert more is not None
        answer = await more.wait()
        assert (answer.content, answer.finish) == ("Blue and grey.", Finish.COMPLETE)
        last = backend.requests[-1].messages[-1]
        assert (last.role, last.content) == (Role.ASSISTANT, "Blue ")
        [added] = watch.of(MessageAdded)
        assert added.replaces == turn.answer.id
        assert await texts(engine, turn.session_id) == ["What colour?", "Blue and grey."]
        assert await engine.library.branches(turn.session_id) == {answer.id: (2, 2)}


async def test_an_answer_that_breaks_again_while_it_is_continued_loses_nothing(
    tmp_path: Path,
) -> None:
    broken = ModelError("gone", "The model is gone.")
    backend = ScriptedBackend(["Blue ", broken], ["and ", broken], ["grey."])
    async with running_engine(tmp_path, backend) as engine:
        turn = await engine.send(None, "What colour?")
        await turn.wait()
        for expected, finish in (
            ("Blue and ", Finish.FAILED),
            ("Blue and grey.", Finish.COMPLETE),
        ):
            more = await engine.go_on(turn.session_id)
            assert more is not None
            answer = await more.wait()
            assert (answer.content, answer.finish) == (expected, finish)


async def test_a_whole_answer_and_an_empty_one_are_not_continued(tmp_path: Path) -> None:
    backend = ScriptedBackend(["whole"], [ModelError("gone", "The model is gone.")])
    async with running_engine(tmp_path, backend) as engine:
        session_id = await ask(engine, None, "first")
        assert await engine.go_on(session_id) is None
        await ask(engine, session_id, "second")
        assert await engine.go_on(session_id) is None
        assert await engine.go_on((await engine.library.create()).id) is None


async def test_an_answer_is_given_again_by_another_model_once(tmp_path: Path) -> None:
    async with running_engine(tmp_path, ScriptedBackend(["one"], ["three"])) as engine:
        session_id = await ask(engine, None, "first")
        turn = await engine.retry(session_id, model="scripted:raven")
        assert turn is not None
        answer = await turn.wait()
        assert answer.failure is not None
        assert "raven" in answer.failure.message
        again = await engine.retry(session_id)
        assert again is not None
        assert (await again.wait()).model == "scripted:parrot"
