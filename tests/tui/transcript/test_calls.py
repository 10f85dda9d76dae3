"""Tool calls in the transcript: one line each, which unfolds; pins and figures beside messages."""

from __future__ import annotations

from storage.records import Failure, Message, Role, ToolCall, Usage
from tests.tui.transcript.conversations import TranscriptApp, conversation, message, settled

CALLS = (
    ToolCall(id="sum", name="calculator", arguments={"expression": "6 * 7"}),
    ToolCall(id="read", name="read_file", arguments={"path": "a.md"}),
)
START = 1_700_000_000.0


def result(position: int, call: str, text: str, **fields: object) -> Message:
    return message(position, Role.TOOL, text, tool_call_id=call, **fields)


def calling() -> list[Message]:
    return [
        message(0, Role.USER, "Q"),
        message(1, Role.ASSISTANT, "Let me see.", tool_calls=CALLS),
        result(2, "sum", "42", created_at=START, finished_at=START + 0.25),
        result(
            3,
            "read",
            "There is no a.md.\nLook elsewhere.",
            failure=Failure(kind="tool", message="There is no a.md."),
            created_at=START,
            finished_at=START + 2,
        ),
        message(4, Role.ASSISTANT, "It is 42."),
    ]


async def test_a_call_is_one_line_with_its_end_and_its_duration() -> None:
    app = TranscriptApp(calling())
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert "▸ ⚙ calculator(expression='6 * 7') · done · 250 ms" in app.rows
        assert "▸ ⚙ read_file(path='a.md') · failed · 2.0 s" in app.rows
        assert not any("42" in row for row in app.rows if "It is" not in row)


async def test_space_and_t_and_a_click_unfold_arguments_and_result() -> None:
    app = TranscriptApp(calling())
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        folded = app.rows
        await pilot.press("[", "[")
        await pilot.press("space")
        assert '  "path": "a.md"' in app.rows
        assert "Look elsewhere." in app.rows
        await pilot.press("t")
        assert app.rows == folded
        line = next(at for at, row in enumerate(app.rows) if "calculator" in row)
        await pilot.click(app.transcript, offset=(8, line))
        await pilot.pause()
        assert "42" in app.rows


async def test_the_key_bar_calls_t_by_what_it_shows() -> None:
    thinking = message(5, Role.ASSISTANT, "So it is.", thinking="Six times seven.")
    app = TranscriptApp([*calling(), thinking])
    async with app.run_test(size=(60, 40)) as pilot:
        await settled(pilot)
        told = {}
        for position in (3, 4, 5):
            app.transcript.scroll_to_message(position)
            await pilot.pause()
            active = app.screen.active_bindings.get("t")
            told[position] = active and active.binding.description
        assert told == {3: "Call", 4: None, 5: "Thinking"}


async def test_a_denied_call_says_so() -> None:
    denied = Failure(kind="denied", message="The user did not allow this call.")
    app = TranscriptApp([*calling()[:2], result(2, "sum", denied.message, failure=denied)])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert "▸ ⚙ calculator(expression='6 * 7') · denied" in app.rows


async def test_a_call_without_a_result_says_what_becomes_of_it() -> None:
    app = TranscriptApp(calling()[:2])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert "⚙ read_file(path='a.md') · no result" in app.rows
        app.transcript.tell_calls({"sum": "running", "read": "waits for consent"})
        await pilot.pause()
        assert "⚙ calculator(expression='6 * 7') · running" in app.rows
        assert "⚙ read_file(path='a.md') · waits for consent" in app.rows
        app.transcript.append(calling()[2])
        await pilot.pause()
        assert [row for row in app.rows if "calculator" in row] == [
            "▸ ⚙ calculator(expression='6 * 7') · done · 250 ms"
        ]


async def test_a_long_or_wicked_call_stays_on_its_line() -> None:
    wicked = ToolCall(id="sum", name="calc\x1b[2J", arguments={"a\nb": "汉字" * 400})
    messages = [
        message(0, Role.ASSISTANT, "", tool_calls=(wicked,)),
        result(1, "sum", "x"),
        message(2, Role.USER, "Q"),
    ]
    app = TranscriptApp(messages)
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        rows = [row for row in app.rows if "⚙" in row]
        assert len(rows) == 1
        assert rows[0].startswith("▸ ⚙ calc␛[2J(")
        assert rows[0].endswith("… · done")


async def test_a_result_finds_its_call_across_pages() -> None:
    messages = conversation(200)
    messages[31] = message(31, Role.ASSISTANT, "", tool_calls=CALLS[:1])
    messages[32] = result(32, "sum", "42")
    app = TranscriptApp(messages)
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        app.transcript.scroll_to_message(32)
        await settled(pilot)
        assert app.rows[0] == "▸ ⚙ calculator(expression='6 * 7') · done"


async def test_p_asks_for_a_pin_where_one_can_be() -> None:
    app = TranscriptApp(calling())
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        await pilot.press("p", "[", "[", "p")
        asked = [e for e in app.events if isinstance(e, app.transcript.Asked)]
        assert [(e.what, e.message.position) for e in asked] == [("pin", 4)]
        app.transcript.tell_pinned(frozenset({asked[0].message.id}))
        await pilot.pause()
        assert sum("pinned" in row for row in app.rows) == 1
        app.transcript.tell_pinned(frozenset())
        await pilot.pause()
        assert not any("pinned" in row for row in app.rows)


async def test_i_shows_when_each_message_came_and_what_it_cost() -> None:
    usage = Usage(prompt_tokens=1234, eval_tokens=60, eval_seconds=2.0, first_token_seconds=0.25)
    app = TranscriptApp(
        [
            message(0, Role.USER, "Q", token_count=1),
            message(1, Role.ASSISTANT, "So.", usage=usage, token_count=2),
        ]
    )
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        before = app.rows
        await pilot.press("i")
        assert any(row.endswith(" · ~1 tokens") for row in app.rows)
        assert (
            "1,234 read, 60 written · ollama:smollm2:135m · first after 250 ms · 30.0 tok/s"
            in " ".join(app.rows)
        )
        await app.transcript.open(2, app.load)
        await settled(pilot)
        assert any("1,234" in row for row in app.rows)
        await pilot.press("i")
        assert app.rows == before


async def test_the_reader_keeps_their_place_when_figures_come_and_go() -> None:
    app = TranscriptApp(conversation(300))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        app.transcript.scroll_to_message(150)
        await settled(pilot)
        top = app.rows[0]
        await pilot.press("i")
        await settled(pilot)
        assert app.rows[0] == top
