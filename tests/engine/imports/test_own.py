"""What is exported as JSON comes back as it was, once, and whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.consent import ALWAYS
from engine.export import BUILT_IN
from engine.export.json import Document, DocumentArticle, DocumentMessage, DocumentSession
from engine.imports import take_in
from engine.imports.base import UnreadableError
from storage.articles import Article, Draft
from storage.errors import StorageError, UnknownSessionError
from storage.records import Failure, Finish, Message, Placed, Role, Session, ToolCall, Usage
from tests.engine.imports.conftest import library_in
from tests.tools import session_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.library import Library
    from storage.store import Store


JSON = BUILT_IN["json"]


async def exported(library: Library, session_id: str) -> str:
    session = await library.session(session_id)
    return "".join([piece async for piece in JSON.pieces(library, session)])


@pytest.fixture
async def session_id(store: Store) -> str:
    """A conversation with everything that one can have."""
    session = await store.sessions.create(title="Birds “of” \x1b", model="ollama:jay")
    await store.sessions.set_state(session.id, "draft", "and then")
    await store.sessions.set_state(session.id, ALWAYS, ["read_file /home"])
    asked = await store.messages.append(session.id, role=Role.USER, content="Who sings? 🎉\x00")
    await store.messages.append(
        session.id,
        role=Role.ASSISTANT,
        content="",
        tool_calls=[ToolCall(id="c1", name="calculate", arguments={"n": [1.5, None]})],
    )
    await store.messages.append(session.id, role=Role.TOOL, content="2", tool_call_id="c1")
    cited = await store.messages.append(
        session.id,
        role=Role.ASSISTANT,
        content="A jay [1].",
        thinking="hm",
        model="ollama:jay",
        usage=Usage(prompt_tokens=3, eval_tokens=4, eval_seconds=0.25),
        token_count=5,
        created_at=1_700_000_000.123456,
    )
    await store.messages.append(
        session.id,
        role=Role.ASSISTANT,
        content="Bro",
        parent_id=asked.id,
        finish=Finish.FAILED,
        failure=Failure(kind="crashed", message="It crashed.", next_step="Try again."),
    )
    await store.messages.show(cited.id)
    draft = Draft(url="https://x.example/a", source="pages", title="A", text="…", relevance=0.5)
    [article] = await store.articles.upsert(session.id, [draft])
    await store.articles.cite(cited.id, [article.id])
    return session.id


async def test_an_export_comes_back_as_it_was(
    library: Library, session_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "birds.json"
    file.write_text(await exported(library, session_id), encoding="utf-8")
    async with library_in(tmp_path / "other") as other:
        report = await take_in(other, file)
        assert (report.new, report.messages, report.skipped, report.problem) == (1, 5, (), "")
        before = json.loads(file.read_text(encoding="utf-8"))
        after = json.loads(await exported(other, session_id))
        assert before["session"]["state"].pop(ALWAYS) == ["read_file /home"]
        assert after == before
        shown = await other.page(session_id, 0, 9)
        assert [message.content for message in shown] == [
            "Who sings? 🎉\x00",
            "",
            "2",
            "A jay [1].",
        ]
        cited = await other.citations(shown[-1].id)
        assert {number: article.url for number, article in cited.items()} == {
            1: "https://x.example/a"
        }
        again = await take_in(other, file)
        assert (again.new, again.grown, again.unchanged, again.messages) == (0, 0, 1, 0)
        assert json.loads(await exported(other, session_id)) == after


async def test_an_export_fits_its_schema_and_the_schema_is_current(
    library: Library, session_id: str
) -> None:
    document = msgspec.json.decode(await exported(library, session_id), type=Document)
    assert len(document.messages) == 5
    assert session_schema.FILE.read_text(encoding="utf-8") == session_schema.text()


@pytest.mark.parametrize(
    ("record", "document", "left_out"),
    [
        (Session, DocumentSession, {"message_count", "version", "deleted_at"}),
        (Message, DocumentMessage, {"session_id", "position"}),
        (Article, DocumentArticle, {"session_id"}),
    ],
)
def test_a_document_has_every_field_of_the_records(
    record: type[msgspec.Struct], document: type[msgspec.Struct], left_out: set[str]
) -> None:
    assert set(record.__struct_fields__) - set(document.__struct_fields__) == left_out


async def test_a_conversation_that_went_on_is_added_to(
    library: Library, store: Store, tmp_path: Path
) -> None:
    session = await store.sessions.create(title="Birds")
    await store.messages.append(session.id, role=Role.USER, content="one")
    early, late = tmp_path / "early.json", tmp_path / "late.json"
    early.write_text(await exported(library, session.id), encoding="utf-8")
    await store.messages.append(session.id, role=Role.ASSISTANT, content="two")
    late.write_text(await exported(library, session.id), encoding="utf-8")
    async with library_in(tmp_path / "other") as other:
        await take_in(other, early)
        grown = await take_in(other, late)
        assert (grown.new, grown.grown, grown.messages) == (0, 1, 1)
        shown = await other.page(session.id, 0, 9)
        assert [message.content for message in shown] == ["one", "two"]
        old = await take_in(other, early)
        assert (old.unchanged, old.messages) == (1, 0)
        assert len(await other.page(session.id, 0, 9)) == 2


async def test_what_was_deleted_here_stays_deleted(
    library: Library, session_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "birds.json"
    file.write_text(await exported(library, session_id), encoding="utf-8")
    await library.delete(session_id)
    report = await take_in(library, file)
    assert (report.new, report.messages) == (0, 0)
    [skipped] = report.skipped
    assert "restore" in skipped.why


def spoilt(text: str, how: str) -> str:
    document: dict[str, Any] = json.loads(text)
    match how:
        case "cut":
            return text[: len(text) * 2 // 3]
        case "newer":
            document["version"] = 99
        case "role":
            document["messages"][-1]["role"] = "ghost"
        case "orphan":
            document["messages"][-1]["parent_id"] = "nothing"
        case "number":
            document["messages"][-1]["token_count"] = 10**30
        case "half":
            document["session"]["state"]["draft"] = "\ud83d"
        case "no session":
            del document["session"]["id"]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cut", "can't be read"),
        ("newer", "newer Scrubjay"),
        ("role", "ghost"),
        ("orphan", "follows one that is not in it"),
        ("no session", "`id`"),
        ("number", "can't keep a value"),
        ("half", "can't keep a value"),
    ],
)
async def test_a_file_that_is_not_whole_leaves_nothing(
    library: Library, session_id: str, tmp_path: Path, how: str, told: str
) -> None:
    file = tmp_path / "birds.json"
    file.write_text(spoilt(await exported(library, session_id), how), encoding="utf-8")
    async with library_in(tmp_path / "other") as other:
        report = await take_in(other, file)
        assert told in report.problem + "".join(skipped.why for skipped in report.skipped)
        assert report.new == 0
        with pytest.raises(UnknownSessionError):
            await other.session(session_id)


async def test_the_order_of_the_keys_is_free(
    library: Library, session_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "birds.json"
    document = json.loads(await exported(library, session_id))
    file.write_text(
        json.dumps({key: document[key] for key in ("format", "messages", "version", "session")})
    )
    async with library_in(tmp_path / "other") as other:
        report = await take_in(other, file)
        assert (report.new, report.messages) == (1, 5)


async def test_a_file_of_no_known_format_is_refused(library: Library, tmp_path: Path) -> None:
    for content in (b"", b"Dear diary", b'{"format": "diary"}', b"SQLite format 3\0garbage"):
        file = tmp_path / "diary"
        file.write_bytes(content)
        with pytest.raises((UnreadableError, StorageError), match="diary"):
            await take_in(library, file)
    assert await library.sessions() == []


async def test_a_long_conversation_is_written_and_read_in_parts(
    library: Library, store: Store, tmp_path: Path
) -> None:
    session = await store.sessions.create(title="Long")
    await store.sessions.take_in(session, _long(session.id, 1203))
    pieces = [piece async for piece in JSON.pieces(library, session)]
    assert max(map(len, pieces)) < 1000
    file = tmp_path / "long.json"
    file.write_text("".join(pieces), encoding="utf-8")
    shares: list[float] = []
    async with library_in(tmp_path / "other") as other:
        report = await take_in(other, file, progress=lambda _report, share: shares.append(share))
        assert report.messages == 1203
        [last] = await other.page(session.id, 1202, 2000)
        assert last.content == "1202"
    assert shares[-1] > 0.5


async def _long(session_id: str, count: int) -> AsyncIterator[list[Placed]]:
    for number in range(count):
        message = Message(
            id=f"{number:032x}",
            session_id=session_id,
            parent_id=f"{number - 1:032x}" if number else None,
            position=0,
            role=Role.USER,
            content=f"{number}",
            created_at=1_700_000_000.0,
        )
        yield [Placed(message=message, shown=True)]
