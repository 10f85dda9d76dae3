"""Packing: whatever the conversation, the request fits, keeps order, and cuts at turn borders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.context.budget import Material, Packed, Segment, pack
from engine.context.tokens import count_text
from engine.llm.base import ChatRequest, ModelError, Options, TokenCount, ToolSpec
from engine.memory.recall import Recollection
from storage.records import Finish, Message, Role, ToolCall
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import Sequence
from typing import Any

WINDOW = 512
MODEL = msgspec.structs.replace(INFO, window=WINDOW)


def message(position: int, role: Role, content: str, finish: Finish = Finish.COMPLETE) -> Message:
    return Message(
        id=f"m{position}",
        session_id="s",
        parent_id=f"m{position - 1}" if position else None,
        position=position,
        role=role,
        content=content,
        finish=finish,
        created_at=0.0,
    )


def conversation(*texts: str) -> list[Message]:
    roles = (Role.USER, Role.ASSISTANT)
    return [message(n, roles[n % 2], text) for n, text in enumerate(texts)]


async def packed(
    history: list[Message],
    question: str = "And now?",
    recollections: Sequence[Recollection] = (),
    read: list[tuple[int, int]] | None = None,
    backend: ScriptedBackend | None = None,
    **more: Any,
) -> Packed:
    messages = [*history, message(len(history), Role.USER, question)]

    async def page(start: int, stop: int) -> Sequence[Message]:
        if read is not None:
            read.append((start, stop))
        return messages[start:stop]

    material = Material(
        system="Be brief.",
        end=len(messages),
        read=page,
        recollections=tuple(recollections),
        **more,
    )
    return await pack(
        material, backend=backend or ScriptedBackend(), info=MODEL, options=Options(max_tokens=100)
    )


def segment(result: Packed, name: str) -> Segment:
    return next(segment for segment in result.segments if segment.name == name)


def recollection(text: str) -> Recollection:
    return Recollection(
        message_id="x", session_id="y", session_title="", position=0, role=Role.USER,
        text=text, created_at=86400.0, score=1.0, shared=("a",),
    )  # fmt: skip


def shown(result: Packed) -> list[str]:
    return [shown.content for shown in result.request.messages[1:]]


async def test_a_short_conversation_is_shown_whole_and_in_order() -> None:
    result = await packed(conversation("one", "two", "three", "four"))
    assert shown(result) == ["one", "two", "three", "four", "And now?"]
    items = {segment.name: segment.items for segment in result.segments if segment.items}
    assert items == {"system": 1, "conversation": 4, "question": 1}


@pytest.mark.parametrize("before", [(), ("one", "two")])
async def test_the_parts_add_up_to_the_whole(before: tuple[str, ...]) -> None:
    """With what a model's template puts around them."""
    result = await packed(conversation(*before))
    assert sum(part.tokens for part in result.segments) == result.tokens


async def test_a_long_conversation_keeps_its_newest_turns_and_says_that_it_was_cut() -> None:
    result = await packed(conversation(*(f"number {n} " + "word " * 20 for n in range(100))))
    assert shown(result)[-2].startswith("number 99")
    assert 2 < len(shown(result)) < 20
    assert result.request.messages[1].role is Role.USER
    assert segment(result, "conversation").left_out == -1


async def test_only_the_end_of_a_long_conversation_is_read() -> None:
    read: list[tuple[int, int]] = []
    await packed(conversation(*("word " * 20 for _ in range(10_000))), read=read)
    assert sum(stop - start for start, stop in read) < 200


async def test_answers_without_words_are_not_shown() -> None:
    history = conversation("one", "", "three", "four")
    history[1] = message(1, Role.ASSISTANT, "", Finish.FAILED)
    assert shown(await packed(history)) == ["one", "three", "four", "And now?"]


async def test_memories_give_way_to_the_question_the_worst_first() -> None:
    memories = [recollection("best " * 60), recollection("worst " * 60)]
    result = await packed([], "long " * 260, memories)
    assert result.recollections == (memories[0],)
    assert segment(result, "memories").left_out == 1


async def test_a_question_that_does_not_fit_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match="room") as caught:
        await packed([], "far too long " * 1000)
    assert caught.value.kind == "context_overflow"
    assert caught.value.failure.next_step


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(max_size=400) | st.integers(1, 300).map("word ".__mul__), max_size=40),
    question=st.text(min_size=1, max_size=300).filter(str.strip),
    memories=st.lists(st.text(max_size=300), max_size=3),
)
def test_whatever_is_packed_fits_keeps_order_and_begins_with_a_question(
    texts: list[str], question: str, memories: list[str]
) -> None:
    history = conversation(*texts)
    try:
        result = asyncio.run(packed(history, question, [recollection(text) for text in memories]))
    except ModelError:
        assume(count_text(question) <= WINDOW // 4)
        raise
    assert result.tokens + result.reserve <= WINDOW
    first, *conversation_shown, last = result.request.messages
    assert first.role is Role.SYSTEM
    assert first.content.startswith("Be brief.")
    assert last.content == question
    # What is shown is an unbroken end of what there is, less messages without words.
    worded = [message.content for message in history if message.content.strip()]
    contents = [message.content for message in conversation_shown]
    assert contents == worded[len(worded) - len(contents) :]
    if conversation_shown:
        assert conversation_shown[0].role is Role.USER


async def test_what_the_summary_covers_is_not_read_and_the_summary_is_told() -> None:
    history = conversation(*(f"number {n}" for n in range(20)))
    result = await packed(history, summary="They counted to nine.", summarized=10)
    assert shown(result)[0] == "number 10"
    assert "They counted to nine." in result.request.messages[0].content
    assert segment(result, "summary").items == 1


async def test_what_matters_least_is_left_out_first() -> None:
    history = conversation("old " * 60, "older " * 60)
    memories = [recollection("memory " * 80)]
    result = await packed(history, "long " * 150, memories, summary="short summary")
    assert [part.name for part in result.segments if part.left_out] == ["conversation"]
    result = await packed(history, "long " * 270, memories, summary="short summary")
    assert [part.name for part in result.segments if part.left_out] == ["memories", "conversation"]
    assert all(part.why for part in result.segments if part.left_out)


def tool_turn(position: int, call: str, result: str) -> list[Message]:
    asked = message(position, Role.USER, f"read {call}")
    calling = msgspec.structs.replace(
        message(position + 1, Role.ASSISTANT, ""),
        tool_calls=(ToolCall(id=call, name="read_file", arguments={"path": call}),),
    )
    answered = msgspec.structs.replace(message(position + 2, Role.TOOL, result), tool_call_id=call)
    return [asked, calling, answered, message(position + 3, Role.ASSISTANT, "I have read it.")]


async def test_old_results_of_tools_become_one_line_before_anything_is_dropped() -> None:
    history = [*tool_turn(0, "a", "alpha " * 150), *tool_turn(4, "b", "beta " * 150)]
    result = await packed(history, reference=lambda call: f"File content from {call.id}.")
    results = [m.content for m in result.request.messages if m.role is Role.TOOL]
    assert results[0] == "File content from a."
    assert results[1].startswith("beta ")
    assert "read a" in shown(result)


async def test_many_tools_leave_room_for_the_conversation() -> None:
    tools = tuple(
        ToolSpec(name=f"tool_{n}", description="word " * 10, parameters={"type": "object"})
        for n in range(300)
    )
    result = await packed(conversation("one", "two"), tools=tools)
    assert shown(result) == ["one", "two", "And now?"]
    offered = [tool.name for tool in result.request.tools]
    assert offered == [tool.name for tool in tools[: len(offered)]]
    assert 3 < len(offered) < 30
    assert segment(result, "tools").left_out == 300 - len(offered)


async def test_a_call_without_a_result_is_told_to_have_been_interrupted() -> None:
    history = tool_turn(0, "a", "")
    del history[2]
    result = await packed(history)
    calling = next(n for n, m in enumerate(result.request.messages) if m.tool_calls)
    answer = result.request.messages[calling + 1]
    assert answer.role is Role.TOOL
    assert answer.tool_call_id == "a"
    assert "interrupted" in answer.content


async def test_a_pinned_message_is_shown_however_old_it_is() -> None:
    history = conversation(*(f"number {n} " + "word " * 20 for n in range(100)))
    result = await packed(history, pinned=(history[0],))
    assert shown(result)[0].startswith("number 0")
    assert shown(result)[1].startswith("number 8")


async def test_what_is_pinned_in_a_turn_that_has_no_room_stays_until_nothing_else_can_go() -> None:
    history = conversation("keep this", "yes", *["word " * 40] * 20)
    short = await packed(history[:8], pinned=(history[0],))
    assert segment(short, "pinned").items == 0  # its turn is shown
    long = await packed(history[:12], "long " * 250, pinned=(history[0],))
    assert shown(long)[0] == "keep this"
    assert segment(long, "pinned").items == 1
    large = conversation("word " * 120, "yes")
    full = await packed(large, "long " * 300, pinned=(large[0],))
    assert [part.name for part in full.segments if part.left_out] == ["pinned", "conversation"]


async def test_stored_counts_are_used_and_nothing_is_counted_again() -> None:
    history = [msgspec.structs.replace(m, token_count=40) for m in conversation(*["word"] * 40)]
    result = await packed(history)
    # By the stored counts, 44 tokens a message with its overhead, only a few fit.
    assert 4 <= len(shown(result)) <= 12


async def test_a_model_that_counts_more_is_shown_fewer_turns_and_not_none() -> None:
    class Wordy(ScriptedBackend):
        async def count_tokens(self, request: ChatRequest) -> TokenCount:
            return TokenCount(3 * (await super().count_tokens(request)).tokens, exact=True)

    history = conversation(*(f"Remark number {n}." for n in range(100)))
    usual = await packed(history)
    fewer = await packed(history, backend=Wordy())
    assert fewer.tokens <= WINDOW - 100
    assert len(shown(usual)) / 4 < len(shown(fewer)) < len(shown(usual)) / 2
    assert shown(fewer)[-2] == "Remark number 99."
