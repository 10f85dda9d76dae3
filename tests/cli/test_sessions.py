"""`scrubjay sessions`: conversations listed, shown, exported, deleted and restored."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING

import msgspec
import pytest

from storage.records import Failure, Finish, Role

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Session
    from storage.store import Store
    from tests.cli.conftest import Scrubjay


@pytest.fixture
def kept(scrubjay: Scrubjay) -> list[str]:
    """The ids of two conversations, the newest first."""

    async def fill(store: Store) -> list[str]:
        return [
            (await _conversation(store, title)).id for title in ("Old birds", "New \x1b[31mbirds")
        ][::-1]

    ids: list[str] = scrubjay.stored(fill)
    return ids


async def _conversation(store: Store, title: str) -> Session:
    session = await store.sessions.create(title=title)
    await store.messages.append(session.id, role=Role.USER, content="Who sings?\x1b]0;owned\x07")
    answer = await store.messages.append(
        session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
    )
    await store.messages.finish(
        answer.id,
        finish=Finish.FAILED,
        content="A jay, and",
        model="ollama:jay",
        failure=Failure(kind="unreachable", message="The server went away."),
    )
    return session


def test_the_newest_session_is_listed_first(scrubjay: Scrubjay, kept: list[str]) -> None:
    assert [session["id"] for session in scrubjay.run("sessions", "list", "--json").json] == kept
    lines = scrubjay.run("sessions", "list").out.splitlines()
    assert lines[1].endswith("2 messages  Old birds")
    assert kept[1].startswith(lines[1].split()[0])


def test_a_listing_can_be_cut_short(scrubjay: Scrubjay, kept: list[str]) -> None:
    listed = scrubjay.run("sessions", "list", "--json", "--limit", "1").json
    assert [session["id"] for session in listed] == kept[:1]
    nothing = scrubjay.run("sessions", "list", "--limit", "0")
    assert nothing.code == 2
    assert "'0' is not a whole number from 1" in nothing.err


def test_the_ids_of_a_listing_tell_its_sessions_apart(scrubjay: Scrubjay) -> None:
    async def fill(store: Store) -> None:
        for number in range(4):
            await store.sessions.create(session_id=f"0123456789abcdef{number}0", title="Twin")

    scrubjay.stored(fill)
    shown = [line.split()[0] for line in scrubjay.run("sessions", "list").out.splitlines()]
    assert len(set(shown)) == 4
    for name in shown:
        assert scrubjay.run("sessions", "show", name).code == 0
    both = scrubjay.run("sessions", "show", "0123456789abcdef")
    assert both.code == 1
    assert "beginning of 4 ids" in both.err


def test_an_empty_name_is_not_the_only_session(scrubjay: Scrubjay) -> None:
    """It is what a variable of a shell gives that was never set."""

    async def fill(store: Store) -> None:
        await store.sessions.create(title="Alone")

    scrubjay.stored(fill)
    deleted = scrubjay.run("sessions", "delete", "", "--yes")
    assert deleted.code == 1
    assert "An empty name is no session." in deleted.err
    assert "Alone" in scrubjay.run("sessions", "list").out


def test_an_id_that_begins_another_still_means_its_own_session(scrubjay: Scrubjay) -> None:
    async def fill(store: Store) -> None:
        await store.sessions.create(session_id="aa", title="Short")
        await store.sessions.create(session_id="aaaa", title="Long")

    scrubjay.stored(fill)
    assert scrubjay.run("sessions", "show", "aa").out.startswith("# Short")


def test_a_conversation_is_shown_with_how_it_ended(scrubjay: Scrubjay, kept: list[str]) -> None:
    shown = scrubjay.run("sessions", "show", kept[1][:20])
    assert shown.code == 0
    assert shown.out.startswith("# Old birds\n\n## You · ")
    assert "\n## ollama:jay · " in shown.out
    assert "\nA jay, and\n" in shown.out
    assert shown.out.endswith("*Failed: The server went away.*\n")


def test_a_terminal_is_shown_control_characters_and_a_pipe_gets_them(
    scrubjay: Scrubjay, kept: list[str]
) -> None:
    piped = scrubjay.run("sessions", "show", "last").out
    assert "\x1b]0;owned\x07" in piped
    on_screen = _on_terminal(scrubjay, "sessions", "show", "last")
    assert "Who sings?␛]0;owned␇" in on_screen
    assert "\x1b" not in on_screen
    assert "\x1b" not in _on_terminal(scrubjay, "sessions", "list")


def test_an_export_is_a_whole_file_that_replaces_none_unasked(
    scrubjay: Scrubjay, kept: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "birds.md"
    assert scrubjay.run("sessions", "export", kept[1], "-o", str(file)).code == 0
    text = file.read_text(encoding="utf-8")
    assert text == scrubjay.run("sessions", "show", kept[1]).out

    again = scrubjay.run("sessions", "export", "last", "-o", str(file))
    assert again.code == 1
    assert "--force" in again.err
    assert file.read_text(encoding="utf-8") == text
    assert scrubjay.run("sessions", "export", "last", "--force", "-o", str(file)).code == 0
    assert file.read_text(encoding="utf-8") != text
    assert list(tmp_path.glob(".*.part")) == []


def test_an_export_as_json_has_every_message(scrubjay: Scrubjay) -> None:
    async def fill(store: Store) -> str:
        session = await store.sessions.create(title="Long")
        for number in range(450):
            await store.messages.append(session.id, role=Role.USER, content=f"{number} ·")
        return session.id

    session_id = scrubjay.stored(fill)
    exported = scrubjay.run("sessions", "export", "last", "--format", "json")
    document = msgspec.json.decode(exported.out)
    assert document["format"] == "scrubjay-session"
    assert document["session"]["id"] == session_id
    assert document["session"]["created_at"].endswith("Z")
    assert [message["content"] for message in document["messages"]] == [
        f"{number} ·" for number in range(450)
    ]


def test_an_export_into_no_folder_is_told(scrubjay: Scrubjay, kept: list[str]) -> None:
    failed = scrubjay.run("sessions", "export", kept[0], "-o", "/nowhere/at/all.md")
    assert failed.code == 1
    assert "/nowhere/at/all.md can't be written" in failed.err
    assert "Traceback" not in failed.err


def test_all_are_exported_into_a_folder_and_come_back_from_it(
    scrubjay: Scrubjay, kept: list[str], tmp_path: Path
) -> None:
    assert scrubjay.run("sessions", "archive", kept[1]).code == 0
    folder = tmp_path / "exported" / "here"
    done = scrubjay.run("sessions", "export", "--all", "--format", "json", "-o", str(folder))
    assert done.code == 0, done
    assert f"Wrote 2 conversations into {folder}" in done.err
    assert len(list(folder.glob("*.json"))) == 2
    again = scrubjay.run("sessions", "export", "--all", "--format", "json", "-o", str(folder))
    assert again.code == 1
    assert "--force" in again.err

    other = type(scrubjay)(tmp_path / "other")
    taken = other.run("sessions", "import", str(folder))
    assert taken.code == 0, taken
    assert taken.out.count("Conversations: 1 new") == 2
    assert [one["id"] for one in other.run("sessions", "list", "--json").json] == [kept[0]]
    archived = other.run("sessions", "list", "--archived", "--json").json
    assert [one["id"] for one in archived] == [kept[1]]
    for format in ("json", "markdown"):
        words = ("sessions", "export", kept[0], "--format", format)
        assert other.run(*words).out == scrubjay.run(*words).out

    reports = other.run("sessions", "import", "--json", str(folder)).json
    assert [(one["new"], one["unchanged"], one["messages"]) for one in reports] == [(0, 1, 0)] * 2


def test_an_export_into_a_folder_gets_a_name(
    scrubjay: Scrubjay, kept: list[str], tmp_path: Path
) -> None:
    done = scrubjay.run("sessions", "export", kept[1], "--format", "html", "-o", str(tmp_path))
    assert done.code == 0, done
    [file] = tmp_path.glob("*-Old-birds-*.html")
    assert str(file) in done.err
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_what_to_export_has_to_be_said(scrubjay: Scrubjay) -> None:
    for words in ([], ["last", "--all"], ["--all"]):
        refused = scrubjay.run("sessions", "export", *words)
        assert refused.code == 2
        assert refused.err


def test_an_import_tells_what_it_left_out_and_what_it_could_not_read(
    scrubjay: Scrubjay, tmp_path: Path
) -> None:
    chats = tmp_path / "conversations.json"
    chats.write_text('[7, {"mapping": {}}]')
    diary = tmp_path / "diary.txt"
    diary.write_text("Dear diary")
    missing = tmp_path / "missing"
    done = scrubjay.run("sessions", "import", str(chats), str(diary), str(missing))
    assert done.code == 1
    assert "(chatgpt)\n  Conversations: 0 new" in done.out
    assert "Left out: 1 × conversation: nothing is said in it" in done.out
    assert f"{diary} is in no format that can be imported" in done.err
    assert "oterm" in done.err
    assert f"{missing} can't be read" in done.err
    assert "Traceback" not in done.err


def test_words_are_searched_for(scrubjay: Scrubjay, kept: list[str]) -> None:
    hits = scrubjay.run("sessions", "search", "sings", "--json").json
    assert sorted(hit["id"] for hit in hits) == sorted(kept)
    assert "sings" in hits[0]["snippet"]
    found = scrubjay.run("sessions", "search", "old", "birds")
    assert "Old birds" in found.out
    assert "New" not in found.out
    nothing = scrubjay.run("sessions", "search", "zebra")
    assert (nothing.code, nothing.out) == (0, "Nothing was found.\n")


def test_a_deleted_session_can_be_restored(scrubjay: Scrubjay, kept: list[str]) -> None:
    deleted = scrubjay.run("sessions", "delete", "--yes", kept[0])
    assert deleted.code == 0
    assert f"scrubjay sessions restore {kept[0]}" in deleted.out
    listed = scrubjay.run("sessions", "list", "--json").json
    assert [session["id"] for session in listed] == kept[1:]
    assert scrubjay.run("sessions", "show", kept[0]).code == 1

    assert scrubjay.run("sessions", "restore", kept[0]).code == 0
    assert scrubjay.run("sessions", "show", kept[0]).code == 0


def test_a_deletion_asks_first(scrubjay: Scrubjay, kept: list[str]) -> None:
    unasked = scrubjay.run("sessions", "delete", kept[0])
    assert unasked.code == 2
    assert "--yes" in unasked.err

    kept_on = _on_terminal(scrubjay, "sessions", "delete", kept[0], typed="\n")
    assert "with its 2 messages? [y/N]" in kept_on
    assert len(scrubjay.run("sessions", "list", "--json").json) == 2
    _on_terminal(scrubjay, "sessions", "delete", kept[0], typed="y\n")
    assert len(scrubjay.run("sessions", "list", "--json").json) == 1


def test_a_list_that_nobody_reads_to_its_end_is_no_error(scrubjay: Scrubjay) -> None:
    async def fill(store: Store) -> None:
        for _ in range(200):
            await store.sessions.create(title="t" * 1000)

    scrubjay.stored(fill)
    process = scrubjay.start("sessions", "list", "--limit", "200")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141


def _on_terminal(scrubjay: Scrubjay, *arguments: str, typed: str = "") -> str:
    """What a command puts on a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(scrubjay.command[0], [*scrubjay.command, *arguments], scrubjay.environment)
    os.write(terminal, typed.encode())
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:  # how Linux tells that nobody holds the other end any more
        pass
    os.waitpid(child, 0)
    os.close(terminal)
    return b"".join(pieces).decode()
