"""What `Recall.recall` brings back from a real store, for whom, and why."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from engine.memory.recall import Recall
from storage.records import Finish, Role

if TYPE_CHECKING:
    from storage.store import Store
    from tests.engine.memory.conftest import Say

PEUGEOT = "My bicycle is a green Peugeot from 1978."
QUESTION = "What colour is my Peugeot bicycle?"


async def texts(
    recall: Recall, question: str = QUESTION, limit: int = 5, **more: object
) -> list[str]:
    found = await recall.recall(question, limit, **more)  # type: ignore[arg-type]
    return [one.text for one in found]


async def test_nothing_is_found_in_an_empty_store(store: Store) -> None:
    assert await Recall(store).recall(QUESTION, 5) == []


async def test_a_message_is_found_at_once_after_it_was_kept(store: Store, say: Say) -> None:
    recall = Recall(store)
    await say("I like rain.")
    assert await texts(recall) == []
    await say(PEUGEOT)
    assert await texts(recall) == [PEUGEOT]


async def test_an_answer_is_found_when_it_is_finished_and_not_before(store: Store) -> None:
    session = await store.sessions.create()
    answer = await store.messages.append(
        session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
    )
    recall = Recall(store)
    assert await texts(recall) == []
    await store.messages.finish(answer.id, finish=Finish.COMPLETE, content=PEUGEOT)
    assert await texts(recall) == [PEUGEOT]


async def test_another_person_s_messages_never_come_back(store: Store, say: Say) -> None:
    await say(PEUGEOT, user_id="ana")
    recall = Recall(store)
    assert await texts(recall, entity_id="ana") == [PEUGEOT]
    assert await texts(recall, entity_id="bea", likely=0.0) == []
    assert await texts(recall, likely=0.0) == []


async def test_a_process_can_be_asked_for(store: Store, say: Say) -> None:
    [message] = await say(PEUGEOT)
    await store.sessions.set_state(message.session_id, "process_id", "diary")
    recall = Recall(store)
    assert await texts(recall, process_id="diary") == [PEUGEOT]
    assert await texts(recall, process_id="shop") == []


async def test_of_the_session_that_asks_only_what_the_model_is_not_shown_comes_back(
    store: Store, say: Say
) -> None:
    said = await say(PEUGEOT, "Noted.", "My Peugeot bicycle has a new colour: red.")
    session_id = said[0].session_id
    recall = Recall(store)
    assert await texts(recall, session_id=session_id) == []
    assert await texts(recall, session_id=session_id, before=2) == [PEUGEOT]


async def test_what_is_deleted_stays_away_until_that_is_undone(store: Store, say: Say) -> None:
    [message] = await say(PEUGEOT)
    recall = Recall(store)
    await store.sessions.delete(message.session_id)
    assert await texts(recall) == []
    await store.sessions.restore(message.session_id)
    assert await texts(recall) == [PEUGEOT]


async def test_keys_of_purged_messages_may_be_used_again(store: Store, say: Say) -> None:
    [message] = await say("My boat is a blue dinghy.")
    recall = Recall(store)
    await recall.load()
    await store.sessions.delete(message.session_id)
    await store.sessions.purge_deleted(before=float("inf"))
    await say(PEUGEOT)
    assert await texts(recall) == [PEUGEOT]
    assert await texts(recall, "What is my blue boat?") == []


async def test_an_answer_without_the_question_s_words_is_found_beside_them(
    store: Store, say: Say
) -> None:
    await say("Which wine goes with mushroom risotto?", "A Barbera, because of its acidity.")
    for number in range(30):
        await say(f"Note {number}: water the plants.", "Noted, with pleasure.")
    found = await texts(Recall(store), "What did you say about wine with mushroom risotto?", 2)
    assert "A Barbera, because of its acidity." in found


async def test_what_was_said_twice_comes_back_once(store: Store, say: Say) -> None:
    for text in (PEUGEOT, PEUGEOT, "My bicycle is a green Peugeot, from 1978!"):
        await say(text)
    assert len(await texts(Recall(store))) == 1


async def test_near_repetitions_do_not_fill_the_list(store: Store, say: Say) -> None:
    for number in range(12):
        await say(f"{PEUGEOT}{'!' * number} {('So', 'Well', 'Yes')[number % 3]}.")
    others = [
        "The Peugeot bicycle needs new brakes before summer.",
        "A colour that suits my Peugeot bicycle is hard to find.",
    ]
    for text in others:
        await say(text)
    found = await texts(Recall(store), limit=3, likely=0.0)
    assert set(others) < set(found)
    assert len(found) == 3


async def test_the_best_that_fit_into_so_many_tokens(store: Store, say: Say) -> None:
    for colour in ("green", "red", "blue"):
        await say(f"My {colour} bicycle is a Peugeot, and it stands in the {colour} shed.")
    recall = Recall(store)
    assert len(await recall.recall(QUESTION, 5)) == 3
    assert len(await recall.recall(QUESTION, 5, tokens=32)) == 2
    assert await recall.recall(QUESTION, 5, tokens=3) == []


async def test_last_week_is_counted_from_now(store: Store, say: Say) -> None:
    def at(day: int) -> float:
        return datetime(2025, 3, day, 12, tzinfo=UTC).timestamp()

    await say("I bought a lamp at the market.", at=at(3))
    await say("I bought a chair at the market.", at=at(12))
    await say("I bought a clock at the market.", at=at(27))
    question = "What did I buy at the market last week?"
    assert (await texts(Recall(store), question, 1, now=at(20))) == [
        "I bought a chair at the market."
    ]


@pytest.mark.parametrize(
    ("question", "speaker"),
    [
        ("What did I say about the harbour?", Role.USER),
        ("What did you say about the harbour?", Role.ASSISTANT),
    ],
)
async def test_whose_words_are_asked_for_comes_first(
    store: Store, say: Say, question: str, speaker: Role
) -> None:
    await say("The harbour is closed today.", "The harbour opens at nine tomorrow.")
    [first] = await Recall(store).recall(question, 1)
    assert first.role is speaker


async def test_the_reasons_are_shares_of_one(store: Store, say: Say) -> None:
    await say(PEUGEOT)
    await say("It rains.")
    [found] = await Recall(store).recall(QUESTION, 5)
    assert sum(reason.share for reason in found.reasons) == pytest.approx(1)
    shares = [reason.share for reason in found.reasons]
    assert shares == sorted(shares, reverse=True)
    assert "words" in {reason.name for reason in found.reasons[:2]}


async def test_a_load_that_is_cancelled_goes_on_where_it_stood(store: Store, say: Say) -> None:
    for number in range(5):
        await say(*(f"Note {number}, {line}." for line in range(300)))
    recall = Recall(store)
    for patience in (0.0, 0.005, 0.02, 0.05):
        loading = asyncio.create_task(recall.load())
        await asyncio.wait([loading], timeout=patience)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
    await recall.load()
    keys = recall._shelves[None].index.keys.view.tolist()
    assert len(keys) == len(set(keys)) == 1500


async def test_many_can_ask_while_messages_come_in(store: Store, say: Say) -> None:
    recall = Recall(store)

    async def tell_and_ask(number: int) -> None:
        user_id = f"user-{number % 5}"
        await say(f"My bicycle number {number} is a Peugeot.", user_id=user_id)
        found = await texts(recall, f"Which bicycle is number {number}?", 50, entity_id=user_id)
        assert f"My bicycle number {number} is a Peugeot." in found

    await asyncio.gather(*(tell_and_ask(number) for number in range(50)))


async def test_a_pasted_text_is_a_question_too(store: Store, say: Say) -> None:
    paste = " ".join(f"word{number}x" for number in range(3_000))
    await say(f"My notes: {paste}")
    await say(PEUGEOT)
    [found] = await Recall(store).recall(f"What is this? {paste[: len(paste) // 2]}", 1)
    assert found.text.startswith("My notes")


@pytest.mark.parametrize("letter", [" ", "(", "“", "a"])
async def test_odd_texts_are_indexed_in_no_time(store: Store, say: Say, letter: str) -> None:
    await say(f"x{letter * 20_000}")
    async with asyncio.timeout(5):
        await Recall(store).load()


def test_importing_recall_does_not_import_numpy() -> None:
    code = "import sys, engine.memory.recall; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
