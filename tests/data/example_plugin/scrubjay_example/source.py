"""A source: research looks through a few proverbs."""

from collections.abc import AsyncGenerator
from typing import ClassVar

from engine.plugins import Draft, Query, Reach, Source

PROVERBS = {
    "Acorns": "Great oaks from little acorns grow.",
    "Birds": "A bird in the hand is worth two in the bush.",
    "Worms": "The early bird catches the worm.",
}


class Proverbs(Source):
    """Looks through the proverbs. Over the network it would use `reach.fetcher`."""

    name: ClassVar[str] = "proverbs"
    local: ClassVar[bool] = True

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Yield the proverbs that share a word with what is looked for."""
        words = set(" ".join([query.question, *query.topics]).lower().split())
        fitting = [
            (title, text) for title, text in PROVERBS.items() if words & set(text.lower().split())
        ]
        for title, text in fitting[: query.limit]:
            yield Draft(url=f"proverb:{title}", source=self.name, title=title, text=text)
