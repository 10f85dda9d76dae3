"""What the benchmarks of the screen share: databases that are filled at once, and limits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SIZE = (120, 40)
"""Columns and rows of the terminal."""

QUESTION = (
    "How do I read a file line by line in Python, and does it close by itself? (question {n})"
)

ANSWER = """\
Use a **context manager**, which closes the file whatever happens; iterating over it gives one
line after the other, so that even a huge file never has to fit into memory. Number {n}:

- `open()` gives the lines,
- `with` closes the file.

```python
with open("notes-{n}.txt", encoding="utf-8") as file:
    for line in file:
        print(line.rstrip())
```
"""


class Talk(NamedTuple):
    """A session that is wanted in a database."""

    number: int
    messages: int
    short: bool = False
    """Whether its messages are of a few words each."""

    @property
    def id(self) -> str:
        """Its id."""
        return f"{self.number:032x}"

    @property
    def title(self) -> str:
        """Its title."""
        return f"Talk of {self.messages}"

    @property
    def end(self) -> str:
        """The last words in it."""
        return f"So ends the talk of {self.messages}."

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Its messages, by the columns of the table that differ."""
        at = 1_700_000_000 + self.number * 10
        parent = ""
        for n in range(self.messages):
            answer = n % 2 == 1
            if self.short:
                text = f"What was said as number {n} in conversation {self.number}"
            else:
                text = (ANSWER if answer else QUESTION).format(n=n)
                if n == self.messages - 1:
                    text += f"\n{self.end}"
            own = f"{self.number:024x}{n:08x}"
            role = "assistant" if answer else "user"
            yield own, self.id, parent, str(n), role, text, str(at)
            parent = own


async def fill(path: Path, talks: Iterable[Talk]) -> None:
    """Make a database with these sessions in it.

    Rows are written by hand and indexed at the end: a million messages take a few seconds so.
    """
    async with await Store.open(path):
        pass
    with closing(sqlite3.connect(path)) as database:
        _write(database, list(talks))
        database.commit()


def _write(database: sqlite3.Connection, talks: list[Talk]) -> None:
    triggers = database.execute(
        "SELECT name, sql FROM sqlite_master"
        " WHERE type = 'trigger' AND tbl_name IN ('sessions', 'messages')"
    ).fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    database.executemany(
        "INSERT INTO sessions (id, title, title_origin, message_count, created_at, updated_at)"
        " VALUES (?, ?, 'user', ?, ?, ?)",
        (
            (talk.id, talk.title, talk.messages, *[1_700_000_000 + talk.number * 10] * 2)
            for talk in talks
        ),
    )
    database.executemany(
        "INSERT INTO messages (id, session_id, parent_id, position, role, content, created_at,"
        " thinking, finish) VALUES (?, ?, nullif(?, ''), ?, ?, ?, ?, '', 'complete')",
        (row for talk in talks for row in talk.rows()),
    )
    for index in ("messages_index", "titles_index"):
        database.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")
    for table in ("sessions", "messages"):
        database.execute(
            f"UPDATE figures SET value = (SELECT count(*) FROM {table}) WHERE name = ?", (table,)
        )
    for _, sql in triggers:
        database.execute(sql)


def limited(figure: float, limit: float, digits: int = 3) -> dict[str, Any]:
    """A figure, what it may be at most, and whether it is."""
    return {"figure": round(figure, digits), "limit": limit, "ok": figure <= limit}


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures for a person."""
    for name, value in figures.items():
        if isinstance(value, dict):
            verdict = "ok" if value["ok"] else "MISSED"
            print(f"{name:52} {value['figure']:>12}   at most {value['limit']:<10} {verdict}")
        else:
            print(f"{name:52} {value:>12}")
