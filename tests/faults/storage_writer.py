"""A process that writes to a store and says on stdout what was acknowledged, line by line.

`python -m tests.faults.storage_writer append PATH NAME` appends for ever: questions, streamed and
finished answers, in several sessions at once. `… chat PATH NAME TASKS COUNT` appends from so many
tasks to one shared session and to one each. `… count PATH NAME TASKS COUNT` counts a number in a
session's state up, by reading and saving the session.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from storage.errors import StaleSessionError
from storage.records import Finish, Role
from storage.store import Store


def acknowledge(*words: object) -> None:
    print(*words, flush=True)


async def append(store: Store, name: str) -> None:
    async def talk(number: int) -> None:
        session = await store.sessions.get_or_create(f"{name}-{number}")
        while True:
            question = await store.messages.append(session.id, role=Role.USER, content="question")
            acknowledge(session.id, question.id, question.content)
            answer = await store.messages.append(
                session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
            )
            await store.messages.checkpoint(answer.id, content="some of the answ")
            await store.messages.finish(answer.id, finish=Finish.COMPLETE, content="the answer")
            acknowledge(session.id, answer.id, "the answer")

    await asyncio.gather(*(talk(number) for number in range(3)))


async def chat(store: Store, name: str, tasks: int, count: int) -> None:
    async def talk_alone(session_id: str) -> None:
        await store.sessions.create(session_id=session_id)
        await talk(session_id, session_id)

    async def talk(session_id: str, writer: str) -> None:
        for number in range(count):
            message = await store.messages.append(
                session_id, role=Role.USER, content=f"{writer} {number}"
            )
            acknowledge(session_id, message.id, message.content)

    await asyncio.gather(
        *(talk("shared", f"{name}-{task}") for task in range(tasks)),
        *(talk_alone(f"{name}-own-{task}") for task in range(tasks)),
    )


async def count_up(store: Store, tasks: int, count: int) -> None:
    async def one_by_one() -> None:
        for _ in range(count):
            while True:
                session = await store.sessions.known("shared")
                state = {"count": session.state.get("count", 0) + 1}
                try:
                    await store.sessions.save(msgspec.structs.replace(session, state=state))
                    break
                except StaleSessionError:
                    continue

    await asyncio.gather(*(one_by_one() for _ in range(tasks)))


async def main() -> None:
    task, path, name, *numbers = sys.argv[1:]
    async with await Store.open(Path(path)) as store:
        acknowledge("ready")
        match task:
            case "append":
                await append(store, name)
            case "chat":
                await chat(store, name, *map(int, numbers))
            case "count":
                await count_up(store, *map(int, numbers))


if __name__ == "__main__":
    asyncio.run(main())
