"""The services that research asks; each of their answers is right, wrong, or none."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

from tests.engine.research import formats
from tests.soak.parrot import HOSTILE

if TYPE_CHECKING:
    from tests.engine.research.server import Reply, Request

REPLIES = ("right", "right", "right", "error", "garbage", "hang", "cut", "drip")


class Services:
    """Handles the requests to all of them.

    Attributes:
        faults: How often they answered in which way.
    """

    def __init__(self, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._seed = seed
        self._asked: Counter[str] = Counter()

    async def __call__(self, request: Request, reply: Reply) -> None:
        # They are asked at once, in no order: what comes of a request must not hang on it.
        self._asked[request.path] += 1
        chance = random.Random(f"{self._seed} {request.path} {self._asked[request.path]}")
        kind = chance.choice(REPLIES)
        self.faults[kind] += 1
        match kind:
            case "right":
                await formats.services(request, reply)
            case "error":
                await reply.whole("", status=500)
            case "garbage":
                await reply.whole(HOSTILE * 50)
            case "hang":
                await asyncio.Event().wait()
            case "cut":
                await reply.head(Content_Type="application/json", Content_Length=5000)
                await reply.raw(b'{"query": {')
            case "drip":
                await reply.head(Content_Type="application/json")
                while True:
                    await reply.raw(b" ")
                    await asyncio.sleep(0.2)
