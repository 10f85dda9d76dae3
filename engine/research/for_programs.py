"""Research for another program: what was found, as a model reads it, and no answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import SessionChanged
from engine.memory.learning import PROCESS
from engine.research.synthesis import closing
from engine.titles import first_words
from storage.records import Finish, Role, TitleOrigin

if TYPE_CHECKING:
    from engine.engine import Engine


async def look_up(engine: Engine, question: str, *, entity_id: str | None, process_id: str) -> str:
    """Look a question up; it and what was found are kept in a conversation of its own.

    Args:
        engine: What looks, and keeps it.
        question: What to find out. Nobody vouches for addresses in it.
        entity_id: For whom.
        process_id: The program that asks.

    Raises:
        ModelError: There is no model to make topics of the question.
        StorageError: The store can't be used.
    """
    store = engine.store
    backend, info = await engine.models.ready(None)
    desk = await engine.research_desk()
    session = await store.sessions.create(user_id=entity_id)
    await store.sessions.set_state(session.id, PROCESS, process_id)
    asked = await store.messages.append(session.id, role=Role.USER, content=question)
    await engine.library.rename(session.id, first_words(question), TitleOrigin.WORDS)
    research = desk.begin(asked, question)
    await research.gather(backend, info)
    told = await research.told(info)
    numbers = ", ".join(f"[{number}]" for number in range(1, len(research.shown) + 1))
    given = f"{process_id} asked this, and was given {numbers}." if numbers else told
    answer = await store.messages.append(
        session.id,
        role=Role.ASSISTANT,
        content=given + (closing(question, given, research.shown) if numbers else ""),
        finish=Finish.COMPLETE,
    )
    await store.articles.cite(answer.id, [article.id for article in research.shown])
    await research.ended(complete=True)
    engine.events.emit(SessionChanged(session=await engine.library.session(session.id)))
    return told
