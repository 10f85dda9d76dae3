"""Articles: kept once a URL, found by their words, and cited by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from storage.articles import Draft
from storage.errors import StorageError
from storage.records import Role

if TYPE_CHECKING:
    from storage.store import Store


def draft(number: int, **changes: object) -> Draft:
    made = Draft(
        url=f"https://example.org/{number}",
        source="wikipedia",
        title=f"Jay number {number}",
        text="Scrub jays cache acorns and remember where.",
        relevance=number / 10,
    )
    return msgspec.structs.replace(made, **changes)


async def test_an_article_found_again_is_brought_up_to_date_and_keeps_its_id(store: Store) -> None:
    session = await store.sessions.create()
    [first] = await store.articles.upsert(session.id, [draft(1)])
    [again] = await store.articles.upsert(session.id, [draft(1, title="Jay, revised")])

    assert again.id == first.id
    assert await store.articles.of_session(session.id) == [again]
    assert again.title == "Jay, revised"


async def test_sessions_keep_articles_of_their_own(store: Store) -> None:
    one, other = await store.sessions.create(), await store.sessions.create()
    await store.articles.upsert(one.id, [draft(1)])
    await store.articles.upsert(other.id, [draft(1, title="Elsewhere")])

    assert [a.title for a in await store.articles.of_session(one.id)] == ["Jay number 1"]
    assert [a.title for a in await store.articles.of_session(other.id)] == ["Elsewhere"]


async def test_articles_are_listed_by_relevance(store: Store) -> None:
    session = await store.sessions.create()
    await store.articles.upsert(session.id, [draft(2), draft(9), draft(5)])
    assert [a.relevance for a in await store.articles.of_session(session.id)] == [0.9, 0.5, 0.2]


async def test_articles_are_found_by_what_a_person_types(store: Store) -> None:
    one = await store.sessions.create(title="Jays")
    other = await store.sessions.create(title="Crows")
    gone = await store.sessions.create(title="Gone")
    await store.articles.upsert(one.id, [draft(1), draft(2, title="Tax", text="Of acorn imports.")])
    await store.articles.upsert(other.id, [draft(1)])
    await store.articles.upsert(gone.id, [draft(3)])
    await store.sessions.delete(gone.id)

    [found] = await store.articles.find("scrub acor")  # the last word is still being typed
    assert (found.article.url, found.session_title) == ("https://example.org/1", "Crows")
    assert [span.text for span in found.snippet if span.hit] == ["Scrub", "acorns"]
    assert len(await store.articles.find("acorn")) == 2
    assert [hit.article.title for hit in await store.articles.find("tax")] == ["Tax"]
    assert await store.articles.find("acorns role:user") == []
    assert await store.articles.find("nowhere") == []
    assert await store.articles.find("") == []
    assert len(await store.articles.find("acorn", limit=1)) == 1


async def test_articles_are_kept_all_or_none(store: Store) -> None:
    session = await store.sessions.create()
    broken = draft(2, text=None)
    with pytest.raises(StorageError):
        await store.articles.upsert(session.id, [draft(1), broken])
    assert await store.articles.of_session(session.id) == []


async def test_a_search_finds_articles_by_their_present_words(store: Store) -> None:
    session = await store.sessions.create()
    await store.articles.upsert(session.id, [draft(1), draft(2, text="About otters.")])
    await store.articles.upsert(session.id, [draft(1, text="Now about herons.")])

    assert [a.url for a in await store.articles.search("otters")] == ["https://example.org/2"]
    assert [a.url for a in await store.articles.search("herons")] == ["https://example.org/1"]
    assert await store.articles.search("acorns") == []
    assert await store.articles.search("herons", session_id="another") == []


async def test_a_deleted_session_hides_its_articles_and_takes_them_along(store: Store) -> None:
    session = await store.sessions.create()
    [article] = await store.articles.upsert(session.id, [draft(1)])
    await store.sessions.delete(session.id)
    assert await store.articles.search("acorns") == []

    assert await store.sessions.purge_deleted(before=float("inf")) == 1
    assert await store.articles.get(article.id) is None


async def test_the_numbers_of_an_answer_stand_for_articles(store: Store) -> None:
    session = await store.sessions.create()
    answer = await store.messages.append(session.id, role=Role.ASSISTANT, content="So [1], [2].")
    one, two = await store.articles.upsert(session.id, [draft(1), draft(2)])
    await store.articles.cite(answer.id, [two.id, one.id])

    assert await store.articles.cited(answer.id) == {1: two, 2: one}
    await store.articles.cite(answer.id, [one.id])
    assert await store.articles.cited(answer.id) == {1: one}
