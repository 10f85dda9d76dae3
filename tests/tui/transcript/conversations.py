"""Conversations for tests, and an app with nothing but a transcript in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App, ComposeResult

from storage.records import Finish, Message, Role
from tui.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.message import Message as Event
    from textual.pilot import Pilot

ANSWER = """\
## Answer {n}

Use a *context manager*, which closes the file. See <https://docs.python.org/{n}>.

1. open it
2. read it

```python
with open("file-{n}") as file:
    print(file.read())
```

Lima is the capital of Peru, 汉字 and 🎉 included, which makes this line long enough to wrap.
"""


def message(position: int, role: Role, content: str, **fields: object) -> Message:
    """A message of the conversation under test."""
    given: dict[str, object] = {
        "id": f"{position:032x}",
        "session_id": "s",
        "parent_id": None,
        "position": position,
        "role": role,
        "content": content,
        "created_at": 1_700_000_000.0 + position,
        "model": "ollama:smollm2:135m" if role is Role.ASSISTANT else None,
    }
    return Message(**{**given, **fields})  # type: ignore[arg-type]


def conversation(count: int) -> list[Message]:
    """Questions of different heights and answers to them, in turn."""
    return [
        message(n, Role.ASSISTANT, ANSWER.format(n=n))
        if n % 2
        else message(n, Role.USER, f"Question {n}\n" * (1 + n % 7))
        for n in range(count)
    ]


def streaming(position: int) -> Message:
    """An answer that begins."""
    return message(position, Role.ASSISTANT, "", finish=Finish.STREAMING)


class TranscriptApp(App[None]):
    """Shows a conversation, and keeps what the transcript tells."""

    CSS = "Transcript { height: 1fr; }"

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__()
        self.messages = list(messages)
        self.events: list[Event] = []
        self.loads: list[tuple[int, int]] = []

    def compose(self) -> ComposeResult:
        yield Transcript()

    async def on_mount(self) -> None:
        await self.transcript.open(len(self.messages), self.load)
        self.transcript.focus()

    async def load(self, start: int, stop: int) -> Sequence[Message]:
        self.loads.append((start, stop))
        return self.messages[start:stop]

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    @property
    def rows(self) -> list[str]:
        """What the screen shows."""
        return rows_of(self.transcript)

    @property
    def top_row(self) -> int:
        return self.transcript.scroll_offset.y

    def on_transcript_copied(self, event: Transcript.Copied) -> None:
        self.events.append(event)

    def on_transcript_link_opened(self, event: Transcript.LinkOpened) -> None:
        self.events.append(event)

    def on_transcript_links_listed(self, event: Transcript.LinksListed) -> None:
        self.events.append(event)

    def on_transcript_retry_requested(self, event: Transcript.RetryRequested) -> None:
        self.events.append(event)

    def on_transcript_asked(self, event: Transcript.Asked) -> None:
        self.events.append(event)

    def on_transcript_load_failed(self, event: Transcript.LoadFailed) -> None:
        self.events.append(event)


def rows_of(transcript: Transcript) -> list[str]:
    """The rows on the screen without the bar, as text."""
    height = transcript.scrollable_content_region.height
    return [transcript.render_line(y).text[2:].rstrip() for y in range(height)]


async def settled(pilot: Pilot[None]) -> None:
    """Wait until everything wanted has been fetched and drawn."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
