"""A conversation as JSON that loses nothing, and the records that its schema is made from.

The document has every branch: `shown` tells the messages that are on the screen. They come by their
place, parents before their followers. Times are in UTC, to the microsecond. `assets/session.schema.
json` is the JSON Schema of these records; `python -m tests.tools.session_schema` writes it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from engine.export.reading import PAGE
from engine.images import images_in
from storage.articles import Article
from storage.records import (
    Failure,
    Finish,
    Message,
    Role,
    Session,
    TitleOrigin,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from engine.library import Library
    from storage.records import Placed

ModelName = Annotated[str, msgspec.Meta(description="`provider:name`, as in `ollama:llama3.2`.")]

FORMAT = "scrubjay-session"
VERSION = 1


class DocumentSession(msgspec.Struct, kw_only=True):
    """The conversation itself."""

    id: Annotated[
        str,
        msgspec.Meta(
            description="32 hexadecimal digits; the same conversation has the same everywhere."
        ),
    ]
    title: str = ""
    title_origin: Annotated[TitleOrigin, msgspec.Meta(description="Who gave the title.")] = (
        TitleOrigin.NONE
    )
    user_id: Annotated[
        str | None, msgspec.Meta(description="Whose it is, where several people share a store.")
    ] = None
    model: ModelName | None = None
    state: Annotated[
        dict[str, Any],
        msgspec.Meta(description="What the program notes with it, such as a draft or a summary."),
    ] = {}
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None


class DocumentArticle(msgspec.Struct, kw_only=True):
    """What research found for the conversation."""

    id: str
    url: str
    source: str
    title: str
    text: str
    author: str = ""
    published_at: datetime | None = None
    relevance: Annotated[
        float | None, msgspec.Meta(description="How well it fits the question, from 0 to 1.")
    ] = None
    passage: Annotated[str, msgspec.Meta(description="The part that fits best.")] = ""
    fetched_at: datetime


class DocumentImage(msgspec.Struct, kw_only=True):
    """An image that a message shows: its content names it as `![…](image:SHA256)`."""

    sha256: Annotated[str, msgspec.Meta(description="Of the bytes, in hexadecimal digits.")]
    data: Annotated[bytes, msgspec.Meta(description="The image file.")]


class DocumentMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message of any branch; what it does not say is as in an empty one."""

    id: str
    parent_id: Annotated[
        str | None,
        msgspec.Meta(description="The message that it follows, which comes before it here."),
    ]
    shown: Annotated[
        bool, msgspec.Meta(description="Whether it is on the branch that the screen shows.")
    ]
    role: Role
    content: Annotated[str, msgspec.Meta(description="What was said, as Markdown.")]
    thinking: str = ""
    model: ModelName | None = None
    finish: Annotated[Finish, msgspec.Meta(description="How it ended.")] = Finish.COMPLETE
    failure: Failure | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: Annotated[
        str | None, msgspec.Meta(description="On the result of a tool: the call that it answers.")
    ] = None
    token_count: Annotated[
        int | None, msgspec.Meta(description="Tokens of the content, if they were counted.")
    ] = None
    created_at: datetime
    finished_at: datetime | None = None
    citations: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="The ids of the articles that [1], [2] and so on stand for."),
    ] = ()
    images: tuple[DocumentImage, ...] = ()


class Document(msgspec.Struct, kw_only=True):
    """The whole document."""

    format: Literal["scrubjay-session"]
    version: Literal[1]
    session: DocumentSession
    articles: list[DocumentArticle] = []
    messages: list[DocumentMessage]


async def pieces(library: Library, session: Session) -> AsyncGenerator[str]:
    """The conversation, a piece a message."""
    articles = await library.articles(session.id, limit=None)
    yield (
        f'{{"format": "{FORMAT}", "version": {VERSION},\n'
        f'"session": {_encoded(_session(session))},\n'
        f'"articles": {_encoded([_article(article) for article in articles])},\n'
        '"messages": ['
    )
    separator = "\n"
    last: Message | None = None
    while page := await library.every(session.id, after=last, limit=PAGE):
        for placed in page:
            cited = await library.citations(placed.message.id) if articles else {}
            message = _message(
                placed,
                tuple(article.id for article in cited.values()),
                [image async for image in _images(library, placed.message)],
            )
            yield separator + _encoded(message)
            separator = ",\n"
        last = page[-1].message
    yield "\n]}\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Scrubjay conversation",
        **msgspec.json.schema(Document),
    }


def session_from(document: DocumentSession) -> Session:
    """The record that a document tells of."""
    return Session(**_seconds(document))


def article_from(document: DocumentArticle, session_id: str) -> Article:
    """The record that a document tells of."""
    return Article(session_id=session_id, **_seconds(document))


def message_from(document: DocumentMessage, session_id: str) -> Message:
    """The record that a document tells of; its position is for the store to find."""
    values = _seconds(document)
    del values["shown"], values["citations"], values["images"]
    return Message(session_id=session_id, position=0, **values)


def _session(session: Session) -> DocumentSession:
    return DocumentSession(**_moments(session, DocumentSession))


def _article(article: Article) -> DocumentArticle:
    return DocumentArticle(**_moments(article, DocumentArticle))


def _message(
    placed: Placed, citations: tuple[str, ...], images: Sequence[DocumentImage]
) -> DocumentMessage:
    values = _moments(placed.message, DocumentMessage)
    return DocumentMessage(shown=placed.shown, citations=citations, images=tuple(images), **values)


async def _images(library: Library, message: Message) -> AsyncIterator[DocumentImage]:
    for image in images_in(message.content) if message.role is Role.USER else ():
        if data := await library.image(image.sha256):
            yield DocumentImage(sha256=image.sha256, data=data)


def _moments(record: msgspec.Struct, into: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a record that `into` has too, seconds as moments."""
    return {
        name: datetime.fromtimestamp(value, UTC)
        if name.endswith("_at") and value is not None
        else value
        for name, value in msgspec.structs.asdict(record).items()
        if name in into.__struct_fields__
    }


def _seconds(document: msgspec.Struct) -> dict[str, Any]:
    """The fields of a document, moments as seconds; one without a time zone is in UTC."""
    return {
        name: (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, datetime)
        else value
        for name, value in msgspec.structs.asdict(document).items()
    }


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
