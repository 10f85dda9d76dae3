"""`scrubjay purge`: after it, no file in the data folder holds a word of what was purged."""

from __future__ import annotations

import io
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from engine.config import Settings
from storage import database
from storage.articles import Draft
from storage.records import Role
from storage.store import Store
from tests.embedded_weights import paths_under
from tui.command_line.arguments import parse
from tui.command_line.purge import purge

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scrubjay

SECRET = "quetzalcoatlus"


async def _told(store: Store) -> dict[str, str]:
    """A deleted conversation about a secret, with all that comes from one, and one that stays."""
    old = await store.sessions.create(title=f"About the {SECRET}")
    kept = await store.sessions.create(title="About jays")
    said = await store.messages.append(
        old.id, role=Role.USER, content=f"The {SECRET} is in the garden. " * 40
    )
    answer = await store.messages.append(
        old.id, role=Role.ASSISTANT, content=f"A {SECRET}!", thinking=f"{SECRET}?"
    )
    other = await store.messages.append(kept.id, role=Role.USER, content="I feed jays with acorns.")
    await store.sessions.set_state(old.id, "summary", {"text": f"They saw a {SECRET}."})
    [article] = await store.articles.upsert(
        old.id, [_draft("https://example.org/1", f"On the {SECRET}")]
    )
    await store.articles.cite(answer.id, [article.id])
    [copied] = await store.articles.upsert(
        kept.id, [_draft(f"session:{old.id}#{said.id}", f"The {SECRET} is in the garden.")]
    )
    await store.articles.cite(other.id, [copied.id])
    await store.episodes.add(f"They met the {SECRET}.", session_id=old.id)
    only = await store.facts.add("garden", f"A {SECRET} lives there.", source_ids=[said.id])
    both = await store.facts.add("jays", "Jays eat acorns.", source_ids=[said.id, other.id])
    vectors = await store.vectors("space", 3)
    await vectors.add({said.id: [1, 2, 3], only.id: [3, 2, 1], both.id: [1, 1, 1]})
    await vectors.flush()
    await store.sessions.delete(old.id)
    return {"old": old.id, "kept": kept.id, "only": only.id, "both": both.id, "said": said.id}


def _draft(url: str, text: str) -> Draft:
    return Draft(url=url, source="conversations", title=text, text=text, passage=text)


def _holding(scrubjay: Scrubjay, word: str = SECRET) -> list[str]:
    """The files of the data folder that hold a word, in whatever case."""
    files = [file for file in scrubjay.paths.data_dir.rglob("*") if file.is_file()]
    return [file.name for file in files if word.encode() in file.read_bytes().lower()]


def test_what_is_purged_leaves_no_byte(scrubjay: Scrubjay) -> None:
    ids = scrubjay.stored(_told)
    file = scrubjay.paths.database_file
    old_copy = file.with_name(f"{file.name}.schema-3")
    old_copy.write_bytes(file.read_bytes())
    old_copy.chmod(0o600)
    assert len(_holding(scrubjay)) == 2

    result = scrubjay.run("purge", "--all-deleted", "--yes", "--json")
    assert result.code == 0, result
    assert result.json["purged"] == {
        "sessions": 1,
        "messages": 2,
        "articles": 2,
        "episodes": 1,
        "facts": 1,
    }
    assert result.json["session_ids"] == [ids["old"]]
    assert result.json["log_emptied"] is True
    assert result.json["vacuum_seconds"] >= 0
    assert _holding(scrubjay) == []

    async def left(store: Store) -> dict[str, Any]:
        return {
            "problems": await store.check(),
            "vectors": await store._database.fetch_all("SELECT owner_id FROM vectors"),
            "citations": await store._database.fetch_all("SELECT * FROM citations"),
            "facts": [fact.id async for fact in store.facts.stream()],
            "found": len(await store.search.messages("acorns")),
        }

    assert scrubjay.stored(left) == {
        "problems": [],
        "vectors": [(ids["both"],)],
        "citations": [],
        "facts": [ids["both"]],
        "found": 1,
    }


def test_facts_are_kept_if_that_is_said(scrubjay: Scrubjay) -> None:
    ids = scrubjay.stored(_told)
    result = scrubjay.run("purge", "--session", ids["old"][:13], "--keep-facts", "--yes")
    assert (result.code, result.err) == (0, "")
    assert "1 conversation, 2 messages, 2 articles, 1 episode and 0 facts" in result.out

    async def facts(store: Store) -> list[str]:
        return [fact.id async for fact in store.facts.stream()]

    assert scrubjay.stored(facts) == [ids["only"], ids["both"]]


def test_only_what_was_deleted_before_a_day_goes(scrubjay: Scrubjay) -> None:
    scrubjay.stored(_told)
    today = time.strftime("%Y-%m-%d")
    result = scrubjay.run("purge", "--before", today, "--yes")
    assert result.code == 0
    assert "Nothing was to be purged." in result.out
    assert len(_holding(scrubjay)) == 1
    assert "'yesterday' is no day" in scrubjay.run("purge", "--before", "yesterday", "--yes").err


def test_a_conversation_that_is_not_deleted_can_be_purged_by_its_id(scrubjay: Scrubjay) -> None:
    ids = scrubjay.stored(_told)
    assert scrubjay.run("purge", "--session", ids["kept"], "--yes").code == 0
    assert scrubjay.run("sessions", "list", "--json").json == []
    assert _holding(scrubjay, "acorn") == [scrubjay.paths.database_file.name]  # the fact of both
    assert scrubjay.run("purge", "--session", "", "--yes").code == 1
    result = scrubjay.run("purge", "--session", "nothing-like-it", "--yes")
    assert result.code == 1
    assert "There is no session" in result.err


@pytest.mark.parametrize("arguments", [["--all-deleted"], []])
def test_nothing_is_purged_unasked(scrubjay: Scrubjay, arguments: list[str]) -> None:
    scrubjay.stored(_told)
    result = scrubjay.run("purge", *arguments)
    assert result.code == 2
    assert result.out == ""
    assert len(_holding(scrubjay)) == 1


def test_backups_that_still_hold_it_are_listed(scrubjay: Scrubjay, tmp_path: Path) -> None:
    backup = tmp_path / "copy.db"
    assert scrubjay.run("backup", str(tmp_path / "empty.db")).code == 0
    scrubjay.stored(_told)
    assert scrubjay.run("backup", str(backup)).code == 0
    damaged = scrubjay.paths.database_file.with_name(
        f"{scrubjay.paths.database_file.name}.damaged-1"
    )
    damaged.write_bytes(b"What can't be read")
    result = scrubjay.run("purge", "--all-deleted", "--yes", "--json")
    assert result.code == 0
    assert result.json["copies"] == [str(damaged), str(backup)]
    assert SECRET.encode() in backup.read_bytes()


async def test_a_log_that_another_process_reads_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    paths = paths_under(tmp_path)
    async with await Store.open(paths.database_file) as store:
        await _told(store)
        with closing(sqlite3.connect(paths.database_file, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchall()
            options = parse(["purge", "--all-deleted", "--yes"])
            assert await purge(options, Settings(), paths) == 1
        assert "Another Scrubjay still reads" in capsys.readouterr().err
        assert await purge(options, Settings(), paths) == 0
        for file in paths.data_dir.iterdir():
            assert SECRET.encode() not in file.read_bytes().lower(), file.name


@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("n", 1), ("", 1)])
async def test_who_is_there_is_asked(
    answer: str,
    left: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = paths_under(tmp_path)
    async with await Store.open(paths.database_file) as store:
        await _told(store)
    terminal = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert await purge(parse(["purge", "--all-deleted"]), Settings(), paths) == left
    asked = capsys.readouterr().err
    assert f"About the {SECRET}" in asked
    assert "Remove 1 conversation, 2 messages, 2 articles, 1 episode and 1 fact for good?" in asked
    async with await Store.open(paths.database_file) as store:
        assert len(await store.purging.deleted()) == left
