"""Images are kept once, as long as a message shows them, whatever store they are in."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from storage import images
from storage.records import Placed, Role
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.postgres.address import Address
    from storage.records import Message, Session

JAY, NEST = b"\x89PNG a jay \x00\xff" * 50, b"\x89PNG a nest"


def showing(*sha256s: str) -> str:
    return "Look: " + " and ".join(f"![bird.png](image:{one})" for one in sha256s)


async def asked(store: Store, session: Session, *sha256s: str) -> Message:
    return await store.messages.append(session.id, role=Role.USER, content=showing(*sha256s))


async def count(store: Store, table: str = "images") -> int:
    [(rows,)] = await store.database.fetch_all(f"SELECT count(*) FROM {table}")
    return int(rows)


@pytest.fixture
async def session(store: Store) -> Session:
    return await store.sessions.create()


async def test_an_image_is_kept_once_and_read_as_it_was(store: Store) -> None:
    first, other, again = [await store.images.keep(one) for one in (JAY, NEST, JAY)]
    assert first == again != other
    assert await store.images.get(first) == JAY
    assert await store.images.get(other) == NEST
    assert await store.images.get("0" * 64) is None
    assert await count(store) == 2


async def test_it_goes_with_the_last_message_that_shows_it(store: Store, session: Session) -> None:
    jay, nest = await store.images.keep(JAY), await store.images.keep(NEST)
    other = await store.sessions.create()
    await asked(store, session, jay, nest, jay)
    await store.messages.ask(other.id, content=showing(jay), model=None)
    await store.purge([session.id])
    assert await store.images.get(jay) == JAY
    assert await store.images.get(nest) is None
    await store.purge([other.id])
    assert await store.images.get(jay) is None
    assert await count(store, "image_uses") == 0


async def test_it_goes_when_what_shows_it_is_struck_out(store: Store, session: Session) -> None:
    jay, nest = await store.images.keep(JAY), await store.images.keep(NEST)
    question = await asked(store, session, jay, nest)
    await store.messages.strike(question.id, content=showing(nest))
    assert await store.images.get(jay) is None
    assert await store.images.get(nest) == NEST


async def test_only_questions_show_images(store: Store, session: Session) -> None:
    jay = await store.images.keep(JAY)
    await store.messages.append(session.id, role=Role.ASSISTANT, content=showing(jay))
    assert await count(store, "image_uses") == 0


async def test_one_whose_message_never_came_goes_at_a_later_purge(
    store: Store, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    jay, nest = await store.images.keep(JAY), await store.images.keep(NEST)
    await asked(store, session, nest)
    await store.purge([])
    assert await store.images.get(jay) == JAY, "its message may be about to come"
    later = time.time() + images.UNUSED_SECONDS + 1
    monkeypatch.setattr("storage.images.time.time", lambda: later)
    await store.purge([])
    assert await store.images.get(jay) is None
    assert await store.images.get(nest) == NEST


async def test_one_that_is_kept_again_is_about_to_be_shown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    jay = await store.images.keep(JAY)
    later = time.time() + images.UNUSED_SECONDS + 1
    monkeypatch.setattr("storage.images.time.time", lambda: later)
    await store.images.keep(JAY)
    await store.purge([])
    assert await store.images.get(jay) == JAY


async def test_what_comes_from_elsewhere_brings_the_images_that_it_shows(
    store: Store, session: Session, tmp_path: Path
) -> None:
    jay = await store.images.keep(JAY)
    question = await asked(store, session, jay)
    session = await store.sessions.known(session.id)

    async def messages() -> AsyncIterator[list[Placed]]:
        yield [Placed(message=question, shown=True, images=(JAY, NEST))]

    async with await Store.open(tmp_path / "other.db") as other:
        for target in (other, store):
            await target.sessions.take_in(session, messages())
            assert await target.images.get(jay) == JAY
            assert await count(target) == 1, "what nothing shows does not stay"


async def test_what_two_programs_do_at_once_leaves_what_is_shown_and_no_more(
    place: Path | Address,
) -> None:
    async with await Store.open(place) as one, await Store.open(place) as other:

        async def come_and_go(store: Store) -> None:
            for _ in range(15):
                session = await store.sessions.create()
                await asked(store, session, await store.images.keep(JAY))
                await store.purge([session.id])

        await asyncio.gather(come_and_go(one), come_and_go(other))
        assert await count(one) == await count(one, "image_uses") == 0
