"""Searching: what is found, what comes first, how it is shown. Nothing typed is an error."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import query as language
from storage.records import Finish, Role, Span

if TYPE_CHECKING:
    from storage.store import Store


async def say(
    store: Store, *texts: str, title: str = "", role: Role = Role.USER, at: float | None = None
) -> str:
    session = await store.sessions.create(title=title)
    for text in texts:
        await store.messages.append(
            session.id,
            role=role,
            content=text,
            created_at=at,
            model="ollama:Llama3" if role is Role.ASSISTANT else None,
        )
    return session.id


async def found(store: Store, query: str) -> list[str]:
    return [hit.session.id for hit in await store.search.sessions(query)]


def day(year: int, month: int, date: int) -> float:
    return datetime(year, month, date, 12).astimezone().timestamp()


async def test_all_words_have_to_be_in_one_message_in_any_order(store: Store) -> None:
    both = await say(store, "the capital of Peru is Lima")
    await say(store, "Peru is high", "the capital is elsewhere")
    assert await found(store, "peru capital ") == [both]


async def test_the_last_word_may_be_unfinished_until_a_space_ends_it(store: Store) -> None:
    llamas = await say(store, "the llamas of Cusco")
    assert await found(store, "of ll") == [llamas]
    assert await found(store, "ll of") == []
    assert await found(store, "of ll ") == []
    assert await found(store, "cu") == [llamas]
    assert await found(store, "cuscoo") == []


async def test_case_and_diacritics_make_no_difference(store: Store) -> None:
    cafe = await say(store, "Das Café an der STRAẞE, Ångström und Žižek")
    for query in ("cafe", "CAFÉ", "angstrom", "zizek", "Žižek"):
        assert await found(store, query) == [cafe], query


async def test_characters_that_no_text_should_have_part_words(store: Store) -> None:
    session = await say(store, "acorn\x00hidden\x1aby jays")
    for query in ("acorn", "hidden", '"hidden by jays"'):
        assert await found(store, query) == [session], query


async def test_a_phrase_is_words_side_by_side(store: Store) -> None:
    exact = await say(store, "a red llama rests")
    await say(store, "a llama that is red")
    assert await found(store, '"red llama"') == [exact]
    assert await found(store, '"red lla') == [exact]
    assert await found(store, '"red lla"') == []
    assert await found(store, "red-llama") == [exact]


async def test_filters_narrow_by_role_model_and_time(store: Store) -> None:
    asked = await say(store, "about llamas", at=day(2024, 5, 1))
    answered = await say(store, "about llamas", role=Role.ASSISTANT, at=day(2025, 5, 2))
    assert await found(store, "role:user llamas") == [asked]
    assert await found(store, "llamas ROLE:Assistant") == [answered]
    assert await found(store, "llamas model:llama3") == [answered]
    assert await found(store, "llamas model:mistral") == []
    assert await found(store, "llamas after:2025") == [answered]
    assert await found(store, "llamas after:2025-05-02") == [answered]
    assert await found(store, "llamas before:2025-05-02") == [asked]
    assert await found(store, "llamas after:2024-05 before:2024-06") == [asked]
    assert await found(store, "after:2024 before:2025") == [asked]
    assert await found(store, "llamas role:user after:2025") == []


async def test_what_looks_like_a_filter_but_is_none_is_words(store: Store) -> None:
    noted = await say(store, "role: nobody, after tomorrow, see http://example, 2024:13")
    for query in ("role:nobody", "after:tomorrow", "http://example", "2024:13", "role: nobody"):
        assert await found(store, query) == [noted], query
    assert not language.parse("before:2024-13").filtered


async def test_a_title_is_found_and_counts_more_than_a_message(store: Store) -> None:
    for _ in range(5):
        await say(store, "nothing of the kind")
    spoken = await say(store, "a word on alpacas in a long message about many other things")
    titled = await say(store, "something else", title="Alpacas")
    hits = await store.search.sessions("alpacas")
    assert [hit.session.id for hit in hits] == [titled, spoken]
    assert (hits[0].message_id, hits[0].position, hits[0].role) == (None, None, None)
    assert hits[0].snippet == (Span("Alpacas", hit=True),)
    await store.sessions.rename(titled, "Sheep")
    assert await found(store, "alpacas") == [spoken]
    assert await found(store, "sheep") == [titled]


async def test_a_session_comes_once_with_its_best_place(store: Store) -> None:
    session = await say(store, "well llama and then many words that thin it out", "llama llama")
    await say(store, "no animals here")
    [hit] = await store.search.sessions("llama")
    assert (hit.session.id, hit.position) == (session, 1)


async def test_of_equals_the_later_comes_first(store: Store) -> None:
    sessions = [await say(store, "the same words") for _ in range(4)]
    assert await found(store, "same words") == sessions[::-1]


async def test_where_too_much_fits_the_newest_comes_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.ranking.RANKED_AT_MOST", 3)
    best = await say(store, "llama llama")
    sessions = [await say(store, "a llama in a sentence") for _ in range(3)]
    assert await found(store, "llama") == [*sessions[::-1], best]
    assert (await found(store, "sentence ll"))[0] == sessions[-1]


async def test_the_limit_counts_sessions_not_messages(store: Store) -> None:
    old = await say(store, "llama, much diluted by a long sentence of other words")
    talkative = await say(store, *["llama"] * 700)
    assert await found(store, "llama") == [talkative, old]
    assert len(await store.search.sessions("llama", limit=1)) == 1


async def test_deleted_sessions_and_hidden_branches_are_not_found(store: Store) -> None:
    session = await say(store, "question", "old llama")
    [question, _] = await store.messages.tail(session, 2)
    await store.messages.append(
        session, role=Role.ASSISTANT, content="new alpaca", parent_id=question.id
    )
    assert await found(store, "llama") == []
    assert await store.search.messages("llama") == []
    assert await found(store, "alpaca") == [session]
    assert len(await store.search.messages("alpaca")) == 1
    await store.sessions.delete(session)
    assert await found(store, "alpaca") == []
    assert await store.search.messages("alpaca") == []
    await store.sessions.restore(session)
    assert await found(store, "alpaca") == [session]
    await store.sessions.delete(session)
    await store.sessions.purge_deleted(before=1e12)
    assert await found(store, "alpaca") == []


async def test_an_answer_is_found_when_it_is_finished(store: Store) -> None:
    session = await store.sessions.create()
    answer = await store.messages.append(
        session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
    )
    await store.messages.checkpoint(answer.id, content="a llama, half")
    assert await found(store, "llama") == []
    await store.messages.finish(answer.id, finish=Finish.STOPPED, content="a llama, half said")
    assert await found(store, "said llama") == [session.id]


async def test_the_snippet_shows_the_words_in_their_place(store: Store) -> None:
    before, after = "many words " * 40, " and more words" * 40
    await say(store, f"{before}of the\n\n  Café LLAMA{after}")
    [hit] = await store.search.sessions("cafe lla")
    assert [span.text for span in hit.snippet if span.hit] == ["Café", "LLAMA"]
    line = "".join(span.text for span in hit.snippet)
    assert "of the Café LLAMA and more" in line
    assert line.startswith("… ")
    assert line.endswith(" …")
    assert "\n" not in line
    assert len(line) < 200


async def test_a_snippet_prefers_the_place_with_most_of_the_words(store: Store) -> None:
    await say(store, "llama " + "and so on " * 30 + "the capital of the llama")
    [hit] = await store.search.sessions("llama capital ")
    assert [span.text for span in hit.snippet if span.hit] == ["capital", "llama"]


async def test_recall_ranks_by_shared_words_and_leaves_out_this_session(store: Store) -> None:
    near = await say(store, "My sister Ana lives in Arequipa since spring")
    far = await say(store, "Arequipa is a city")
    here = await say(store, "Ana? Arequipa?")
    await say(store, "what is it about the weather")
    recalled = await store.search.messages(
        "where does my sister Ana from Arequipa live?", exclude_session=here
    )
    assert [message.session_id for message, _ in recalled] == [near, far]
    assert recalled[0][1] > recalled[1][1] > 0
    [(only, _)] = await store.search.messages("Arequipa", session_id=far)
    assert only.session_id == far
    assert await store.search.messages("Arequipa", roles=[Role.TOOL]) == []
    assert await store.search.messages("what is it about the") == []


async def test_recall_is_not_led_astray_by_words_that_are_everywhere(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.ranking.RANKED_AT_MOST", 10)
    rare = await say(store, "the budget for arequipa")
    await say(store, *["another budget"] * 30)
    recalled = await store.search.messages("arequipa budget", limit=99)
    assert [message.session_id for message, _ in recalled] == [rare]


HOSTILE = [
    "",
    " ",
    '"',
    '""',
    "'",
    '"unclosed',
    "a AND",
    "OR",
    "NOT a",
    "NEAR(a b, 3)",
    "a*b*",
    "*",
    "^a",
    "-a",
    "content:a",
    "{a b}: c",
    "(((",
    "a\x00b",
    "\ud800",
    "🎉 👩‍👩‍👧",
    "x" * 10_000,
    "x " * 5_000,
    '"a" ' * 3_000,
    "é" * 20_000,
    "role:",
    "role:user",
    "after:9999-99-99",
    "before:0000",
    "model:'; DROP TABLE messages; --",
    "日本語 テスト",
    "_",
    "%",
]


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
async def test_nothing_that_is_typed_is_an_error(store: Store, query: str) -> None:
    session = await say(store, "a b c 日本語", title="a title")
    await store.search.sessions(query)
    await store.search.messages(query)
    assert await found(store, "日本") == [session]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.one_of(st.characters(), st.sampled_from('"*():^-+ abAND')), max_size=60))
async def test_nothing_at_all_is_an_error(store: Store, query: str) -> None:
    await store.search.sessions(query)
    await store.search.messages(query)


@given(st.text(max_size=300), st.text(max_size=20))
def test_a_snippet_never_loses_or_invents_text(text: str, query: str) -> None:
    spans = language.snippet(text, language.parse(query))
    shown = "".join(span.text for span in spans).removeprefix("… ").removesuffix(" …")
    assert "".join(shown.split()) in "".join(text.split())


async def test_earlier_prompts_come_from_all_sessions_newest_first_and_once(store: Store) -> None:
    await say(store, "What is a jay?", "What is a crow?")
    await say(store, "What is a jay", role=Role.ASSISTANT)
    gone = await say(store, "What did I delete?")
    await say(store, "How far is it?", "What is a jay?", "x" * 30_000)
    await store.sessions.delete(gone)
    assert await store.search.prompts() == ["What is a jay?", "How far is it?", "What is a crow?"]
    assert await store.search.prompts("What") == ["What is a jay?", "What is a crow?"]
    assert await store.search.prompts("what") == []
    assert await store.search.prompts("%") == []
    assert await store.search.prompts(limit=1) == ["What is a jay?"]


async def test_a_tag_narrows_a_search_to_the_sessions_that_have_it(store: Store) -> None:
    tagged = await say(store, "a jay in the oak")
    await say(store, "a jay in the elm")
    both = await say(store, "a crow in the oak")
    await store.sessions.set_state(tagged, "tags", ["birds"])
    await store.sessions.set_state(both, "tags", ["birds", "work"])
    assert await found(store, "jay tag:birds") == [tagged]
    assert set(await found(store, "tag:Birds")) == {tagged, both}
    assert await found(store, "tag:birds tag:work") == [both]
    assert await found(store, "oak tag:nobody") == []
