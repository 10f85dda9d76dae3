"""The index in memory: what it holds after messages were added one by one."""

from __future__ import annotations

from engine.memory.index import Entry, LexicalIndex


def entry(key: int, text: str, *, session: str = "one", position: int = 0) -> Entry:
    return Entry(
        key=key, session=session, position=position, speaker="user", text=text, at=1_700_000_000.0
    )


def index_of(*entries: Entry) -> LexicalIndex:
    index = LexicalIndex()
    for one in entries:
        index.add(one)
    return index


def test_postings_say_where_a_stem_is_and_how_often() -> None:
    index = index_of(entry(1, "Cats and a cat"), entry(2, "dogs"), entry(3, "The CAT’s bowl"))
    docs, counts = index.postings(index.number("cat"))
    assert docs.tolist() == [0, 2]
    assert counts.tolist() == [2, 1]


def test_neighbours_are_those_of_the_session() -> None:
    index = index_of(
        entry(1, "first"),
        entry(2, "elsewhere", session="two"),
        entry(3, "second", position=1),
        entry(4, "third", position=2),
    )
    assert index.previous.view.tolist() == [-1, -1, 0, 2]
    assert index.following.view.tolist() == [2, -1, 3, -1]


def test_a_new_branch_follows_the_message_before_it() -> None:
    index = index_of(
        entry(1, "question"), entry(2, "answer", position=1), entry(3, "better", position=1)
    )
    assert index.previous.view.tolist() == [-1, 0, 0]
    assert index.following.view.tolist()[0] == 2


def test_it_grows_beyond_its_first_room() -> None:
    index = index_of(*(entry(n, f"word{n} shared", position=n) for n in range(200)))
    assert len(index) == 200
    assert len(index.postings(index.number("share"))[0]) == 200
    assert index.stems_of(150) == {index.number("word150"), index.number("share")}
