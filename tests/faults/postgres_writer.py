"""A process that appends to a session on a server, and tells each message when it is kept.

python -m tests.faults.postgres_writer URL FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from storage.postgres.address import Address
from storage.records import Role
from storage.store import Store


async def main(url: str, folder: Path) -> None:
    async with await Store.open(Address.of(url), waiting_in=folder) as store:
        session = await store.sessions.create()
        print(session.id, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(10_000):
            text = f"number {number}"
            await store.messages.append(session.id, role=Role.USER, content=text)
            print(text, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
