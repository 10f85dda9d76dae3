"""What every keeper of sessions and messages must do: subclass the suite and give it one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from storage.errors import (
    MessageExistsError,
    SessionExistsError,
    StaleSessionError,
    UnknownMessageError,
    UnknownSessionError,
)
from storage.records import (
    Failure,
    Finish,
    Message,
    Placed,
    Role,
    Session,
    TitleOrigin,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from storage.base import BaseMessages, BaseSessionManager


def texts(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


class Contract:
    """Tests for the fixtures `sessions` and `messages`, which a subclass's module provides."""

    @pytest.fixture
    async def session(self, sessions: BaseSessionManager) -> Session:
        return await sessions.create()

    async def test_a_session_is_kept_as_it_was_made(self, sessions: BaseSessionManager) -> None:
        made = await sessions.create(user_id="ann", title="Peru", model="ollama:tiny")
        assert await sessions.get(made.id) == made
        assert (made.user_id, made.title, made.model) == ("ann", "Peru", "ollama:tiny")
        assert made.title_origin is TitleOrigin.USER
        assert (made.message_count, made.version, made.state) == (0, 1, {})

    async def test_an_unknown_session_is_none_to_get_and_an_error_to_everything_else(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        assert await sessions.get("nowhere") is None
        with pytest.raises(UnknownSessionError):
            await sessions.save(msgspec.structs.replace(session, id="nowhere"))
        with pytest.raises(UnknownSessionError):
            await sessions.rename("nowhere", "title")
        with pytest.raises(UnknownSessionError):
            await sessions.set_state("nowhere", "draft", "text")
        for change in (sessions.delete, sessions.restore, sessions.archive, sessions.unarchive):
            with pytest.raises(UnknownSessionError):
                await change("nowhere")
        with pytest.raises(UnknownSessionError):
            await sessions.fork("nowhere", "nothing")

    async def test_an_id_is_taken_once(self, sessions: BaseSessionManager) -> None:
        await sessions.create(session_id="mine")
        with pytest.raises(SessionExistsError):
            await sessions.create(session_id="mine")
        await sessions.delete("mine")
        with pytest.raises(SessionExistsError):
            await sessions.create(session_id="mine")

    async def test_get_or_create_makes_once(self, sessions: BaseSessionManager) -> None:
        made = await sessions.get_or_create("mine", title="first")
        found = await sessions.get_or_create("mine", title="second")
        assert found == made

    async def test_save_keeps_changes_and_counts_the_version(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        changed = msgspec.structs.replace(session, model="embedded:tiny", state={"call": [1, 2]})
        saved = await sessions.save(changed)
        assert saved == await sessions.get(session.id)
        assert (saved.model, saved.state) == ("embedded:tiny", {"call": [1, 2]})
        assert saved.version > session.version
        assert saved.updated_at >= session.updated_at

    async def test_a_stale_save_is_refused_and_overwrites_nothing(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        winner = await sessions.save(msgspec.structs.replace(session, state={"by": "winner"}))
        with pytest.raises(StaleSessionError):
            await sessions.save(msgspec.structs.replace(session, state={"by": "loser"}))
        assert await sessions.get(session.id) == winner

    async def test_a_save_is_stale_after_a_message_a_title_or_a_state(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        async def say(session_id: str) -> None:
            await messages.append(session_id, role=Role.USER, content="news")

        async def name(session_id: str) -> None:
            await sessions.rename(session_id, "news")

        async def draft(session_id: str) -> None:
            await sessions.set_state(session_id, "draft", "news")

        for change in (say, name, draft):
            session = await sessions.create()
            await change(session.id)
            with pytest.raises(StaleSessionError):
                await sessions.save(session)

    async def test_what_was_read_is_apart_from_what_is_kept(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        read = await sessions.set_state(session.id, "calls", ["one"])
        read.state["calls"].append("two")
        kept = await sessions.get(session.id)
        assert kept is not None
        assert kept.state == {"calls": ["one"]}

    async def test_a_lower_origin_never_overwrites_a_title(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        ladder = [TitleOrigin.WORDS, TitleOrigin.MODEL, TitleOrigin.USER]
        for origin in ladder:
            assert (await sessions.rename(session.id, origin, origin)).title == origin
            for lower in ladder[: ladder.index(origin)]:
                assert (await sessions.rename(session.id, "lower", lower)).title == origin
            assert (await sessions.rename(session.id, "again", origin)).title == "again"

    async def test_state_changes_one_key_and_not_the_place_in_the_list(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        await sessions.set_state(session.id, 'a "quoted" key', {"nested": None})
        changed = await sessions.set_state(session.id, "draft", "half a sent")
        assert changed.state == {'a "quoted" key': {"nested": None}, "draft": "half a sent"}
        assert changed.updated_at == session.updated_at
        assert (await sessions.set_state(session.id, 'a "quoted" key', None)).state == {
            "draft": "half a sent"
        }

    async def test_the_list_is_paged_by_the_latest_change(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        made = [await sessions.create() for _ in range(7)]
        await messages.append(made[2].id, role=Role.USER, content="up", created_at=time.time() + 9)
        listed: list[Session] = []
        while page := await sessions.list(limit=3, before=listed[-1] if listed else None):
            assert len(page) <= 3
            listed += page
        expected = [made[i].id for i in (2, 6, 5, 4, 3, 1, 0)]
        assert [session.id for session in listed] == expected

    async def test_paging_misses_none_of_those_that_changed_at_the_same_time(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        made = [await sessions.create() for _ in range(5)]
        moment = time.time() + 9
        for session in made:
            await messages.append(session.id, role=Role.USER, content="now", created_at=moment)
        listed: list[Session] = []
        while page := await sessions.list(limit=2, before=listed[-1] if listed else None):
            listed += page
        assert [session.id for session in listed] == [session.id for session in reversed(made)]

    async def test_deleted_sessions_leave_the_list_until_restored(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        await messages.append(session.id, role=Role.USER, content="hello")
        await sessions.delete(session.id)
        assert await sessions.list() == []
        kept = await sessions.get(session.id)
        assert kept is not None
        assert kept.deleted_at is not None
        assert (await sessions.restore(session.id)).deleted_at is None
        assert [one.id for one in await sessions.list()] == [session.id]
        assert texts(await messages.tail(session.id, 9)) == ["hello"]

    async def test_purging_removes_only_what_was_deleted_before(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        kept, gone, recent = [await sessions.create() for _ in range(3)]
        word = await messages.append(gone.id, role=Role.USER, content="bye")
        await sessions.delete(gone.id)
        await sessions.delete(recent.id)
        boundary = (await sessions.known(recent.id)).deleted_at
        assert boundary is not None
        assert await sessions.purge_deleted(boundary) == 1
        assert await sessions.get(gone.id) is None
        assert await messages.get(word.id) is None
        assert await sessions.get(kept.id) is not None
        assert await sessions.get(recent.id) is not None

    async def test_archived_sessions_have_a_list_of_their_own(
        self, sessions: BaseSessionManager, session: Session
    ) -> None:
        other = await sessions.create()
        assert (await sessions.archive(session.id)).archived_at is not None
        assert [one.id for one in await sessions.list()] == [other.id]
        assert [one.id for one in await sessions.list(archived=True)] == [session.id]
        await sessions.delete(session.id)
        assert await sessions.list(archived=True) == []
        assert (await sessions.restore(session.id)).archived_at is not None
        back = await sessions.unarchive(session.id)
        assert back.archived_at is None
        assert back.updated_at == session.updated_at

    async def test_idle_sessions_expire_into_the_archive(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        idle, deleted = await sessions.create(), await sessions.create()
        await sessions.delete(deleted.id)
        fresh = await sessions.create()
        await messages.append(
            fresh.id, role=Role.USER, content="still here", created_at=time.time() + 60
        )
        assert await sessions.expire(time.time() + 30) == 1
        assert [one.id for one in await sessions.list()] == [fresh.id]
        assert [one.id for one in await sessions.list(archived=True)] == [idle.id]
        assert await sessions.expire(time.time() + 30) == 0

    async def test_a_message_is_kept_whole(self, messages: BaseMessages, session: Session) -> None:
        said = await messages.append(
            session.id,
            role=Role.ASSISTANT,
            content="Grüße, 東京 🎉\n\x00 \x1b[31m",
            thinking="hm",
            model="ollama:tiny",
            finish=Finish.FAILED,
            token_count=7,
            usage=Usage(prompt_tokens=3, eval_tokens=4, eval_seconds=0.5),
            failure=Failure(kind="crashed", message="It crashed.", next_step="Try again."),
            tool_calls=[ToolCall(id="1", name="add", arguments={"a": [1, None]})],
            tool_call_id="0",
            created_at=1_000_000_000.25,
        )
        assert await messages.get(said.id) == said
        assert said.usage is not None
        assert said.usage.tokens_per_second == 8
        assert (said.session_id, said.position, said.parent_id) == (session.id, 0, None)
        assert said.created_at == 1_000_000_000.25

    async def test_messages_follow_each_other_and_the_session_counts_them(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        said = [
            await messages.append(session.id, role=Role.USER, content=str(number))
            for number in range(5)
        ]
        assert [one.position for one in said] == [0, 1, 2, 3, 4]
        assert [one.parent_id for one in said] == [None, *(one.id for one in said[:-1])]
        assert sorted(one.id for one in said) == [one.id for one in said]
        counted = await sessions.get(session.id)
        assert counted is not None
        assert counted.message_count == 5
        assert counted.updated_at == said[-1].created_at

    async def test_pages_are_ranges_of_positions(
        self, messages: BaseMessages, session: Session
    ) -> None:
        said = [
            await messages.append(session.id, role=Role.USER, content=str(number))
            for number in range(9)
        ]
        assert await messages.page(session.id, 2, 5) == said[2:5]
        assert await messages.page(session.id, 7, 99) == said[7:]
        assert await messages.page(session.id, -3, 2) == said[:2]
        assert await messages.page(session.id, 5, 5) == []
        assert await messages.tail(session.id, 3) == said[6:]
        assert await messages.tail(session.id, 99) == said
        assert await messages.tail(session.id, 0) == []
        assert await messages.around(said[4].id, before=1, after=2) == said[3:7]
        assert await messages.around(said[0].id, before=5, after=1) == said[:2]
        assert await messages.page("nowhere", 0, 9) == []

    async def test_a_message_is_put_in_before_those_that_wait(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        asked = [
            await messages.append(session.id, role=Role.USER, content=content)
            for content in ("first?", "second?", "third?")
        ]
        answer = await messages.insert(
            asked[0].id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        assert (answer.position, answer.parent_id) == (1, asked[0].id)
        await messages.finish(answer.id, finish=Finish.COMPLETE, content="first!")
        shown = await messages.page(session.id, 0, 9)
        assert texts(shown) == ["first?", "first!", "second?", "third?"]
        assert [message.position for message in shown] == [0, 1, 2, 3]
        assert [message.parent_id for message in shown[1:]] == [one.id for one in shown[:-1]]
        assert (await sessions.known(session.id)).message_count == 4
        last = await messages.insert(
            shown[-1].id, role=Role.TOOL, content="third!", created_at=5.0, finished_at=7.5
        )
        assert (last.created_at, last.finished_at) == (5.0, 7.5)
        assert await messages.get(last.id) == last
        assert (await messages.tail(session.id, 1)) == [last]
        retold = await messages.append(
            session.id, role=Role.ASSISTANT, content="first, again!", parent_id=asked[0].id
        )
        assert texts(await messages.alternatives(retold.id)) == ["first!", "first, again!"]
        for unshown in (answer.id, "nothing"):
            with pytest.raises(UnknownMessageError):
                await messages.insert(unshown, role=Role.ASSISTANT, content="lost")
        assert texts(await messages.tail(session.id, 9)) == ["first?", "first, again!"]

    async def test_a_question_and_the_answer_that_is_begun_come_together(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        question, answer = await messages.ask(session.id, content="first?", model="m")
        assert (question.role, question.content, question.position) == (Role.USER, "first?", 0)
        assert (answer.role, answer.content, answer.position) == (Role.ASSISTANT, "", 1)
        assert (answer.parent_id, answer.model) == (question.id, "m")
        assert answer.finish is Finish.STREAMING
        await messages.ask(session.id, content="second?", model=None)
        await messages.ask(session.id, content="instead?", model=None, parent_id=answer.id)
        assert texts(await messages.tail(session.id, 9)) == ["first?", "", "instead?", ""]
        assert (await sessions.known(session.id)).message_count == 4
        with pytest.raises(UnknownSessionError):
            await messages.ask("nowhere", content="lost", model=None)
        with pytest.raises(UnknownMessageError):
            await messages.ask(session.id, content="lost", model=None, parent_id="nothing")
        assert len(await messages.tail(session.id, 9)) == 4

    async def test_nothing_is_appended_to_nowhere(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        other = await sessions.create()
        strange = await messages.append(other.id, role=Role.USER, content="elsewhere")
        with pytest.raises(UnknownSessionError):
            await messages.append("nowhere", role=Role.USER, content="lost")
        with pytest.raises(UnknownMessageError):
            await messages.append(session.id, role=Role.USER, content="lost", parent_id=strange.id)
        assert await messages.tail(session.id, 9) == []
        for call in (
            messages.show("nothing"),
            messages.hide("nothing"),
            messages.around("nothing"),
        ):
            with pytest.raises(UnknownMessageError):
                await call
        assert await messages.alternatives("nothing") == []

    async def test_an_answer_grows_and_ends_once(
        self, messages: BaseMessages, session: Session
    ) -> None:
        answer = await messages.append(
            session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        assert answer.finished_at is None
        await messages.checkpoint(answer.id, content="The answ", thinking="well")
        partial = await messages.known(answer.id)
        assert (partial.content, partial.thinking) == ("The answ", "well")
        assert partial.finish is Finish.STREAMING
        ended = await messages.finish(
            answer.id,
            finish=Finish.COMPLETE,
            content="The answer.",
            usage=Usage(eval_tokens=3),
            token_count=3,
            model="ollama:tiny",
        )
        assert ended == await messages.get(answer.id)
        assert ended.finished_at is not None
        assert (ended.finish, ended.content, ended.model) == (
            Finish.COMPLETE,
            "The answer.",
            "ollama:tiny",
        )
        await messages.checkpoint(answer.id, content="too late")
        with pytest.raises(UnknownMessageError):
            await messages.finish(answer.id, finish=Finish.STOPPED, content="too late")
        with pytest.raises(UnknownMessageError):
            await messages.checkpoint("nothing", content="")
        assert await messages.get(answer.id) == ended

    async def test_an_answer_of_a_living_process_is_not_interrupted(
        self, messages: BaseMessages, session: Session
    ) -> None:
        answer = await messages.append(
            session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        assert await messages.interrupt_abandoned() == []
        assert (await messages.known(answer.id)).finish is Finish.STREAMING

    async def test_a_second_answer_takes_the_place_of_the_first(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        first = await messages.append(session.id, role=Role.ASSISTANT, content="first")
        thanks = await messages.append(session.id, role=Role.USER, content="thanks")
        second = await messages.append(
            session.id, role=Role.ASSISTANT, content="second", parent_id=question.id
        )
        assert (second.position, second.parent_id) == (1, question.id)
        assert texts(await messages.tail(session.id, 9)) == ["question", "second"]
        counted = await sessions.get(session.id)
        assert counted is not None
        assert counted.message_count == 2
        assert await messages.alternatives(second.id) == [first, second]
        assert await messages.alternatives(question.id) == [question]
        assert await messages.get(thanks.id) == thanks

    async def test_a_branch_is_shown_again_with_what_followed(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        first = await messages.append(session.id, role=Role.ASSISTANT, content="first")
        await messages.append(session.id, role=Role.USER, content="thanks")
        await messages.append(session.id, role=Role.ASSISTANT, content="welcome")
        second = await messages.append(
            session.id, role=Role.ASSISTANT, content="second", parent_id=question.id
        )
        await messages.show(first.id)
        assert texts(await messages.tail(session.id, 9)) == [
            "question",
            "first",
            "thanks",
            "welcome",
        ]
        assert (await sessions.known(session.id)).message_count == 4
        await messages.show(second.id)
        assert texts(await messages.tail(session.id, 9)) == ["question", "second"]
        assert (await sessions.known(session.id)).message_count == 2

    async def test_a_hidden_branch_can_be_continued(
        self, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        first = await messages.append(session.id, role=Role.ASSISTANT, content="first")
        thanks = await messages.append(session.id, role=Role.USER, content="thanks")
        await messages.append(
            session.id, role=Role.ASSISTANT, content="second", parent_id=question.id
        )
        more = await messages.append(session.id, role=Role.USER, content="more", parent_id=first.id)
        assert texts(await messages.tail(session.id, 9)) == ["question", "first", "more"]
        assert await messages.alternatives(more.id) == [thanks, more]

    async def test_alternatives_follow_the_same_message_not_only_the_same_depth(
        self, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        await messages.append(session.id, role=Role.ASSISTANT, content="first")
        thanks = await messages.append(session.id, role=Role.USER, content="thanks")
        second = await messages.append(
            session.id, role=Role.ASSISTANT, content="second", parent_id=question.id
        )
        oh = await messages.append(session.id, role=Role.USER, content="oh")
        assert (oh.position, oh.parent_id) == (thanks.position, second.id)
        assert await messages.alternatives(oh.id) == [oh]
        assert await messages.alternatives(thanks.id) == [thanks]

    async def test_even_the_first_message_can_be_said_differently(
        self, messages: BaseMessages, session: Session
    ) -> None:
        old = await messages.append(session.id, role=Role.USER, content="old")
        await messages.append(session.id, role=Role.ASSISTANT, content="answer")
        new = await messages.append(session.id, role=Role.USER, content="new", parent_id=None)
        assert await messages.tail(session.id, 9) == [new]
        assert await messages.alternatives(new.id) == [old, new]

    async def test_sessions_on_top_are_listed_by_themselves_too(
        self, sessions: BaseSessionManager
    ) -> None:
        first, second, third, _ = [await sessions.create(title=f"{n}") for n in range(4)]
        for session in (first, second, third):
            await sessions.set_state(session.id, "on_top", True)
        await sessions.archive(second.id)
        await sessions.set_state(third.id, "on_top", None)
        assert [session.id for session in await sessions.on_top()] == [first.id]
        assert len(await sessions.list()) == 3

    async def test_messages_with_alternatives_are_told_with_their_place_among_them(
        self, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        first = await messages.append(session.id, role=Role.ASSISTANT, content="first")
        await messages.append(session.id, role=Role.USER, content="thanks")
        assert await messages.branches(session.id) == {}
        for text in ("second", "third"):
            last = await messages.append(
                session.id, role=Role.ASSISTANT, content=text, parent_id=question.id
            )
            await messages.append(session.id, role=Role.USER, content=f"oh, {text}")
        assert await messages.branches(session.id) == {last.id: (3, 3)}
        await messages.show(first.id)
        assert await messages.branches(session.id) == {first.id: (1, 3)}
        assert await messages.branches("nothing") == {}

    async def test_a_message_is_taken_back_with_what_followed_and_shown_again(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        answer = await messages.append(session.id, role=Role.ASSISTANT, content="answer")
        await messages.append(session.id, role=Role.USER, content="thanks")
        await messages.hide(answer.id)
        assert await messages.tail(session.id, 9) == [question]
        assert (await sessions.known(session.id)).message_count == 1
        await messages.show(answer.id)
        assert texts(await messages.tail(session.id, 9)) == ["question", "answer", "thanks"]
        await messages.hide(question.id)
        assert await messages.tail(session.id, 9) == []
        await messages.append(session.id, role=Role.USER, content="anew")
        assert texts(await messages.tail(session.id, 9)) == ["anew"]

    async def test_a_fork_begins_with_copies_up_to_its_message(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        session = await sessions.create(title="Peru", model="ollama:tiny")
        for content in ("question", "answer", "thanks"):
            said = await messages.append(session.id, role=Role.USER, content=content)
        answer = (await messages.page(session.id, 1, 2))[0]
        fork = await sessions.fork(session.id, answer.id)
        assert fork.id != session.id
        assert (fork.title, fork.model, fork.message_count) == ("Peru", "ollama:tiny", 2)
        copies = await messages.page(fork.id, 0, 9)
        assert texts(copies) == ["question", "answer"]
        assert [one.position for one in copies] == [0, 1]
        assert copies[1].parent_id == copies[0].id
        assert copies[1].created_at == answer.created_at
        assert not {one.id for one in copies} & {
            one.id for one in await messages.page(session.id, 0, 9)
        }
        await messages.append(fork.id, role=Role.USER, content="another way")
        assert texts(await messages.tail(session.id, 9)) == ["question", "answer", "thanks"]
        assert [one.id for one in await sessions.list()] == [fork.id, session.id]
        with pytest.raises(UnknownMessageError):
            await sessions.fork(fork.id, said.id)

    async def test_a_fork_of_a_hidden_branch_copies_that_branch(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        question = await messages.append(session.id, role=Role.USER, content="question")
        first = await messages.append(session.id, role=Role.ASSISTANT, content="first")
        await messages.append(
            session.id,
            role=Role.ASSISTANT,
            content="second",
            parent_id=question.id,
            finish=Finish.STREAMING,
        )
        fork = await sessions.fork(session.id, first.id)
        assert texts(await messages.tail(fork.id, 9)) == ["question", "first"]

    async def test_a_fork_of_an_answer_that_is_being_written_has_what_has_come(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        answer = await messages.append(
            session.id, role=Role.ASSISTANT, content="so far", finish=Finish.STREAMING
        )
        fork = await sessions.fork(session.id, answer.id)
        [copied] = await messages.tail(fork.id, 9)
        assert (copied.content, copied.finish) == ("so far", Finish.STOPPED)
        assert copied.finished_at is not None

    async def test_every_message_is_read_in_pages_whether_shown_or_not(
        self, messages: BaseMessages, session: Session
    ) -> None:
        asked = await messages.append(session.id, role=Role.USER, content="?")
        told = [
            await messages.append(
                session.id, role=Role.ASSISTANT, content=str(number), parent_id=asked.id
            )
            for number in range(5)
        ]
        read: list[Placed] = []
        while page := await messages.every(
            session.id, after=read[-1].message if read else None, limit=2
        ):
            assert len(page) <= 2
            read += page
        assert [placed.message for placed in read] == [asked, *told]
        assert [placed.shown for placed in read] == [True, False, False, False, False, True]

    async def test_a_session_from_elsewhere_keeps_its_ids_times_and_branches(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        taken = await sessions.take_in(STRANGE, in_batches(TREE))
        assert (taken.new, taken.added, taken.session.message_count) == (True, 4, 2)
        assert (taken.session.title, taken.session.state) == ("Birds", {"draft": "and"})
        assert (taken.session.created_at, taken.session.updated_at) == (50.0, 400.0)
        assert await messages.every("strange") == [
            placed_at(TREE[0], 0),
            placed_at(TREE[1], 1),
            placed_at(TREE[2], 1),
            placed_at(TREE[3], 2, finish=Finish.INTERRUPTED),
        ]
        assert texts(await messages.tail("strange", 9)) == ["?", "first"]
        await messages.show("m3")
        assert texts(await messages.tail("strange", 9)) == ["?", "second", "more"]

    async def test_what_is_here_already_is_not_taken_in_again(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        first = await sessions.take_in(STRANGE, in_batches(TREE[:2]))
        again = await sessions.take_in(STRANGE, in_batches(TREE[:2]))
        assert (again.new, again.added, again.session) == (False, 0, first.session)
        grown = await sessions.take_in(
            msgspec.structs.replace(STRANGE, title="Other"),
            in_batches([unshown(TREE[0]), unshown(TREE[1]), shown(TREE[2]), shown(TREE[3])]),
        )
        assert (grown.new, grown.added, grown.session.title) == (False, 2, "Birds")
        assert texts(await messages.tail("strange", 9)) == ["?", "second", "more"]

    async def test_what_was_said_here_stays_shown_when_a_session_comes_again(
        self, sessions: BaseSessionManager, messages: BaseMessages
    ) -> None:
        await sessions.take_in(STRANGE, in_batches(TREE[:2]))
        await messages.append("strange", role=Role.USER, content="mine")
        grown = await sessions.take_in(STRANGE, in_batches([*TREE[:2], shown(TREE[2])]))
        assert grown.added == 1
        assert texts(await messages.tail("strange", 9)) == ["?", "first", "mine"]

    async def test_nothing_is_taken_in_of_a_session_that_does_not_fit(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        mine = await messages.append(session.id, role=Role.USER, content="mine")
        lost = msgspec.structs.replace(TREE[1].message, parent_id="nothing")
        orphan = msgspec.structs.replace(TREE[1], message=lost)
        with pytest.raises(UnknownMessageError):
            await sessions.take_in(STRANGE, in_batches([TREE[0], orphan]))
        stolen = msgspec.structs.replace(TREE[0].message, id=mine.id)
        with pytest.raises(MessageExistsError):
            await sessions.take_in(
                STRANGE, in_batches([TREE[0], msgspec.structs.replace(TREE[0], message=stolen)])
            )
        assert await sessions.get("strange") is None
        assert await messages.get("m0") is None
        assert await messages.get(mine.id) == mine

    async def test_what_a_message_says_can_be_struck_out(
        self, sessions: BaseSessionManager, messages: BaseMessages, session: Session
    ) -> None:
        call = ToolCall(id="c", name="remember", arguments={"text": "the secret"})
        said = await messages.append(
            session.id,
            role=Role.ASSISTANT,
            content="the secret",
            thinking="a secret",
            tool_calls=[call],
            token_count=9,
        )
        before = await sessions.known(session.id)
        struck = await messages.strike(said.id, content="[forgotten]")
        assert struck == msgspec.structs.replace(
            said, content="[forgotten]", thinking="", tool_calls=(), token_count=None
        )
        assert await messages.get(said.id) == struck
        after = await sessions.known(session.id)
        assert (after.version, after.updated_at) == (before.version + 1, before.updated_at)

    async def test_only_a_finished_message_can_be_struck_out(
        self, messages: BaseMessages, session: Session
    ) -> None:
        writing = await messages.append(
            session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        for message_id in (writing.id, "nowhere"):
            with pytest.raises(UnknownMessageError):
                await messages.strike(message_id, content="[forgotten]")


STRANGE = Session(
    id="strange",
    title="Birds",
    title_origin=TitleOrigin.MODEL,
    state={"draft": "and"},
    created_at=50.0,
    updated_at=60.0,
    message_count=77,
    version=88,
)


def _strange(number: int, content: str, parent_id: str | None, *, on: bool) -> Placed:
    """A message that says it is somewhere else than it is."""
    return Placed(
        message=Message(
            id=f"m{number}",
            session_id="elsewhere",
            parent_id=parent_id,
            position=9,
            role=Role.ASSISTANT if number else Role.USER,
            content=content,
            usage=Usage(eval_tokens=3),
            finish=Finish.STREAMING if number == 3 else Finish.COMPLETE,
            created_at=100.0 + 100 * number,
        ),
        shown=on,
    )


TREE = [
    _strange(0, "?", None, on=True),
    _strange(1, "first", "m0", on=True),
    _strange(2, "second", "m0", on=False),
    _strange(3, "more", "m2", on=False),
]


def shown(placed: Placed) -> Placed:
    return msgspec.structs.replace(placed, shown=True)


def unshown(placed: Placed) -> Placed:
    return msgspec.structs.replace(placed, shown=False)


def placed_at(placed: Placed, position: int, **values: object) -> Placed:
    message = msgspec.structs.replace(
        placed.message,
        session_id="strange",
        position=position,
        **values,
    )
    return msgspec.structs.replace(placed, message=message)


async def in_batches(messages: Sequence[Placed]) -> AsyncIterator[Sequence[Placed]]:
    for start in range(0, len(messages), 3):
        yield messages[start : start + 3]
