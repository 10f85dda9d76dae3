"""Forgetting for good: a statement is struck out wherever it was made, and leaves no trace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from engine.memory import words as language
from engine.memory.striking import FORGOTTEN, names, point, says_nothing, stems, whole, without
from storage.records import Finish, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from storage.records import Message
    from storage.store import Store


DIGITS = 3
"""A number with so many digits is a code, a date or a telephone number."""


class Target(msgspec.Struct, frozen=True):
    """A statement that is to be forgotten."""

    point: frozenset[str]
    """The stems of what it is about."""

    whole: frozenset[str]
    """The stems that make the statement."""

    names: frozenset[str]
    """The names and numbers in the point; all of it when there are none."""

    beginnings: tuple[tuple[str, ...], ...]
    """For each of `names`, what it may begin with where it is written."""

    named: bool
    """There are names or numbers: where the point stands, the statement is made."""

    coded: bool
    """There is a number that is nothing but itself: it is struck out wherever it stands."""

    @classmethod
    def of(cls, text: str, subject: str = "") -> Target:
        """What to look for, to forget a statement."""
        about = point(text, subject)
        named = names(text, about)
        written: dict[str, list[str]] = {stem: [stem] for stem in named or about}
        for word in language.WORD.findall(language.folded(text)):
            plain = word.removesuffix("'s")
            if (stem := language.stem(plain)) in written:
                written[stem].append(plain)
        return cls(
            about,
            whole(text),
            named or about,
            tuple(tuple(words) for words in written.values()),
            bool(named),
            any(sum(map(str.isdigit, word)) >= DIGITS for word in named),
        )

    def words(self, *, near: bool) -> frozenset[str]:
        """The stems that make the statement in a clause, where it was told or elsewhere."""
        if near or self.coded:
            return self.names
        return self.point if self.named else self.point | self.whole


async def leave_out(store: Store, source_ids: Iterable[str]) -> None:
    """Keep messages, and the answers to them, from being recalled."""
    ids: list[str] = []
    for source_id in source_ids:
        ids.append(source_id)
        message = await store.messages.get(source_id)
        if message is not None:
            place = message.position + 1
            followers = await store.messages.page(message.session_id, place, place + 1)
            ids += [one.id for one in followers if one.parent_id == source_id]
    await store.recall_source.leave_out(ids)


async def strike_everywhere(
    store: Store, targets: Sequence[Target], source_ids: frozenset[str], entity_id: str | None
) -> set[str]:
    """Strike statements out of a person's messages, titles, summaries, articles and episodes.

    Of the articles, those that research found in the person's own conversations.

    Returns:
        The sessions whose messages or titles were changed.
    """
    targets = [target for target in targets if target.point]
    touched: set[str] = set()
    told_in: set[str] = set()
    messages: dict[str, Message] = {}
    for target in targets:
        for message in await store.recall_source.saying(target.beginnings, user_id=entity_id):
            messages[message.id] = message
    for source_id in source_ids:
        source = await store.messages.get(source_id)
        if source is not None:
            messages[source.id] = source
            told_in.add(source.session_id)
            place = source.position + 1
            for answer in await store.messages.page(source.session_id, place, place + 1):
                messages[answer.id] = answer
    changed: list[str] = []
    for message in messages.values():
        near = (
            message.id in source_ids or message.parent_id in source_ids or message.role is Role.TOOL
        )
        here = message.session_id in told_in
        wanted = [target.words(near=near or (here and target.named)) for target in targets]
        struck = await asyncio.to_thread(_struck, message, wanted)
        if struck != message and message.finish is not Finish.STREAMING:
            await store.messages.strike(
                message.id,
                content=struck.content,
                thinking=struck.thinking,
                tool_calls=struck.tool_calls,
            )
            changed.append(message.id)
            touched.add(message.session_id)
    await store.forget_vectors(changed)
    for article in await store.articles.of_conversations(entity_id):
        session_id, _, message_id = article.url.removeprefix("session:").partition("#")
        near = message_id in changed or message_id in source_ids
        here = session_id in told_in
        wanted = [target.words(near=near or (here and target.named)) for target in targets]
        clean = msgspec.structs.replace(
            article,
            title=_cleaned(article.title, wanted),
            text=_cleaned(article.text, wanted),
            passage=_cleaned(article.passage, wanted),
        )
        if clean != article:
            await store.articles.strike(clean)
    for session in await store.recall_source.sessions_of(entity_id):
        wanted = [target.words(near=session.id in touched) for target in targets]
        if any(one and one <= stems(session.title) for one in wanted):
            await store.sessions.rename(session.id, FORGOTTEN, session.title_origin)
            touched.add(session.id)
        for key, value in session.state.items():
            cleaned = _cleaned(value, wanted)
            if cleaned != value:
                await store.sessions.set_state(session.id, key, cleaned)
    offset = 0
    while episodes := await store.episodes.search(entity_id=entity_id, limit=200, offset=offset):
        for episode in episodes:
            wanted = [target.words(near=episode.session_id in touched) for target in targets]
            text = _cleaned(episode.text, wanted)
            if text != episode.text:
                async with store.episodes.batch() as batch:
                    if says_nothing(text):
                        batch.forget(episode.id)
                    else:
                        batch.retell(episode.id, text, tags=episode.tags)
        offset += len(episodes)
    return touched


def _struck(message: Message, wanted: Sequence[frozenset[str]]) -> Message:
    return msgspec.structs.replace(
        message,
        content=_cleaned(message.content, wanted),
        thinking=_cleaned(message.thinking, wanted),
        tool_calls=tuple(
            msgspec.structs.replace(call, arguments=_cleaned(call.arguments, wanted))
            for call in message.tool_calls
        ),
    )


def _cleaned(value: Any, wanted: Sequence[frozenset[str]]) -> Any:
    """A value with the statements struck out of every text in it."""
    if isinstance(value, str):
        for words in wanted:
            value = without(value, words, FORGOTTEN)
        return value
    if isinstance(value, dict):
        return {key: _cleaned(one, wanted) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(one, wanted) for one in value]
    return value
