"""Files that a message names: which are put into it, and how a name is completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.attachments import LARGEST_BYTES, AttachmentError, FileNames, with_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.md").write_text("Jays cache acorns.\n")
    (tmp_path / "my notes.txt").write_text("Two words.")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "notes.py").write_text("print('```')\n")
    (tmp_path / "src" / "deep").mkdir()
    (tmp_path / "src" / "deep" / "nest.py").write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "notes").write_text("")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "notes.js").write_text("")
    return tmp_path


def test_a_named_file_stands_behind_the_message_under_its_name(folder: Path) -> None:
    assert with_files("Sum up @notes.md, please.", folder).text == (
        "Sum up @notes.md, please.\n\n`notes.md`:\n\n```md\nJays cache acorns.\n```"
    )


def test_a_name_in_quotes_may_have_blanks_and_each_file_comes_once(folder: Path) -> None:
    text = with_files('@"my notes.txt" and (@notes.md) and @notes.md!', folder).text
    assert text.count("Two words.") == text.count("Jays cache acorns.") == 1


def test_the_fence_is_longer_than_any_in_the_file(folder: Path) -> None:
    assert "````py\nprint('```')\n````" in with_files("@src/notes.py", folder).text


@pytest.mark.parametrize(
    "text",
    ["me@example.org", "@nobody", "@src", "@", "a @ b", "@~nobody/x", "@a\0b", "no@notes.md"],
)
def test_an_at_that_names_no_file_is_left_as_it_is(folder: Path, text: str) -> None:
    assert with_files(text, folder) == (text, {})


def test_what_is_no_text_or_too_large_is_refused_by_name(folder: Path) -> None:
    (folder / "jay.png").write_bytes(b"\x89PNG\0")
    (folder / "old.txt").write_bytes("Häher".encode("latin-1"))
    with (folder / "large.txt").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    for name, why in (
        ("jay.png", "neither text nor"),
        ("old.txt", "UTF-8"),
        ("large.txt", "at most 1 MB"),
    ):
        with pytest.raises(AttachmentError, match=why) as refused:
            with_files(f"@{name}", folder)
        assert name in str(refused.value)


def test_a_question_that_is_asked_anew_has_its_files_already(folder: Path) -> None:
    text = with_files("Sum up @notes.md, please.", folder).text
    assert with_files(text, folder).text == text


def test_names_are_completed_by_their_last_part_first_and_without_what_nobody_wrote(
    folder: Path,
) -> None:
    names = FileNames(folder)
    assert names.fitting("not", 10) == ["notes.md", "src/notes.py", "my notes.txt"]
    assert names.fitting("deep", 10) == ["src/deep/nest.py"]
    assert names.fitting("not", 1) == ["notes.md"]
    assert names.fitting("zebra", 10) == []


def test_a_folder_is_completed_within_itself(folder: Path) -> None:
    names = FileNames(folder)
    assert names.fitting("src/", 10) == ["src/deep/", "src/notes.py"]
    assert names.fitting("src/N", 10) == ["src/notes.py"]
    assert names.fitting("./n", 10) == ["./node_modules/", "./notes.md"]
    assert names.fitting(f"{folder}/my", 10) == [f"{folder}/my notes.txt"]
    assert names.fitting("/nowhere/at/all", 10) == []
