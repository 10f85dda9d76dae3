"""Strategies that shorten a request: pairs stay whole, order stays, the newest question stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.compaction import compact
from engine.context.optimizer import create_optimizer_callback
from engine.context.summary import fold
from engine.context.tokens import count_tokens
from engine.context.turns import split
from engine.context.window import sliding_window
from engine.llm.base import ChatMessage, ChatRequest
from storage.records import Role, ToolCall

Strategy: TypeAlias = Callable[[ChatRequest], ChatRequest]

SYSTEM = ChatMessage(role=Role.SYSTEM, content="Be brief.")


def reference(call: ToolCall) -> str:
    return f"File content from {call.arguments['path']}. Re-read if needed."


def user(text: str, *, pinned: bool = False) -> ChatMessage:
    return ChatMessage(role=Role.USER, content=text, pinned=pinned)


def assistant(text: str, *calls: str) -> ChatMessage:
    return ChatMessage(
        role=Role.ASSISTANT,
        content=text,
        tool_calls=tuple(ToolCall(id=c, name="read_file", arguments={"path": c}) for c in calls),
    )


def result(call: str, text: str, *, pinned: bool = False) -> ChatMessage:
    return ChatMessage(role=Role.TOOL, content=text, tool_call_id=call, pinned=pinned)


def request(*messages: ChatMessage) -> ChatRequest:
    return ChatRequest(model="m", messages=(SYSTEM, *messages))


def test_the_window_keeps_the_system_the_pinned_and_the_last_turns() -> None:
    before = request(
        user("one", pinned=True), assistant("1"), user("two"), assistant("2"), user("three")
    )
    after = sliding_window(before, 2)
    assert [m.content for m in after.messages] == ["Be brief.", "one", "two", "2", "three"]


def test_a_pinned_result_brings_its_call_and_the_call_s_other_results() -> None:
    before = request(
        user("read"),
        assistant("", "a", "b"),
        result("a", "alpha", pinned=True),
        result("b", "beta"),
        assistant("read"),
        user("now"),
    )
    after = sliding_window(before, 1)
    assert [m.content for m in after.messages] == ["Be brief.", "", "alpha", "beta", "now"]


def test_compaction_puts_a_line_in_place_of_old_results_only() -> None:
    before = request(
        user("read"), assistant("", "a"), result("a", "x" * 500), user("more"),
        assistant("", "b"), result("b", "y" * 500),
    )  # fmt: skip
    after = compact(before, reference, keep_last=1)
    assert after.messages[3].content == "File content from a. Re-read if needed."
    assert after.messages[6] == before.messages[6]
    assert after.messages[2] == before.messages[2]


def test_a_summary_stands_for_all_but_the_last_turns() -> None:
    before = request(user("one"), assistant("1"), user("two"), assistant("2"), user("three"))
    after = fold(before, "They said one.", keep_last=2)
    assert [m.role for m in after.messages] == [
        Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER,
    ]  # fmt: skip
    assert after.messages[0].content.startswith("Be brief.\n\n<summary>")
    assert "They said one." in after.messages[0].content
    assert fold(before, "unused", keep_last=10) == before


def test_a_summary_of_what_is_not_there_any_more_is_only_told() -> None:
    before = request(user("two"), assistant("2"), user("three"))
    after = fold(before, "They said one.")
    assert "They said one." in after.messages[0].content
    assert after.messages[1:] == before.messages[1:]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_callback_shortens_only_what_is_too_long(asynchronous: bool) -> None:
    async def later(before: ChatRequest) -> ChatRequest:
        return sliding_window(before, 1)

    apply = later if asynchronous else lambda before: sliding_window(before, 1)
    optimize = create_optimizer_callback(apply, 50, "any:model")
    short = request(user("one"), assistant("1"), user("two"))
    long = request(user("word " * 60), assistant("1"), user("two"))
    assert await optimize(short) == short
    assert [m.content for m in (await optimize(long)).messages] == ["Be brief.", "two"]


@st.composite
def conversations(draw: st.DrawFn) -> ChatRequest:
    """Any conversation that a store can hold: turns with calls, results in any order, pins."""
    texts = st.text(max_size=40)
    messages: list[ChatMessage] = []
    calls = 0
    for _ in range(draw(st.integers(1, 6))):
        messages.append(user(draw(texts), pinned=draw(st.booleans())))
        for _ in range(draw(st.integers(0, 3))):
            names = [f"call{calls + n}" for n in range(draw(st.integers(0, 3)))]
            calls += len(names)
            messages.append(assistant(draw(texts), *names))
            messages.extend(
                result(name, draw(texts) * 20, pinned=draw(st.booleans()))
                for name in draw(st.permutations(names))
            )
    return request(*messages, user("the newest question"))


STRATEGIES: dict[str, Strategy] = {
    "window": lambda before: sliding_window(before, 2),
    "compaction": lambda before: compact(before, reference),
    "summary": lambda before: fold(before, "in short", keep_last=3),
}


@given(
    before=conversations(),
    names=st.lists(st.sampled_from(sorted(STRATEGIES)), min_size=1, max_size=4),
)
def test_any_strategies_in_any_order_keep_what_must_be_kept(
    before: ChatRequest, names: list[str]
) -> None:
    after = before
    for name in names:
        after = STRATEGIES[name](after)

    assert after.messages[0].content.startswith(SYSTEM.content)
    assert after.messages[-1].content == "the newest question"
    calls = {call.id for m in after.messages for call in m.tool_calls}
    assert calls == {m.tool_call_id for m in after.messages if m.role is Role.TOOL}
    seen: set[str] = set()
    for m in after.messages:
        seen |= {call.id for call in m.tool_calls}
        assert m.tool_call_id is None or m.tool_call_id in seen
    # Order stays: what is left of the original stands in the original's order.
    places = {id(m): n for n, m in enumerate(before.messages)}
    order = [places[id(m)] for m in after.messages if id(m) in places]
    assert order == sorted(order)
    assert {m.content for m in before.messages if m.pinned} <= {m.content for m in after.messages}
    if "window" in names:
        unpinned = [t for t in split(after.messages).turns if not all(m.pinned for m in t)]
        assert len(unpinned) <= 2 + sum(m.pinned for m in before.messages)
    if "summary" not in names:
        assert tokens_of(after) <= tokens_of(before)


def tokens_of(what: ChatRequest) -> int:
    return count_tokens(what, "any:model").tokens


def test_the_strategies_are_plain_functions() -> None:
    for strategy in (sliding_window, compact, fold):
        assert not asyncio.iscoroutinefunction(strategy)
