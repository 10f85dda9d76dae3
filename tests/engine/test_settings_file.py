"""What there is to set, and the settings file when the program writes into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.config import Settings, SettingsError, load_settings
from engine.settings_file import all_settings, changed, find, line_of, write

if TYPE_CHECKING:
    from pathlib import Path

OWN = """\
# My settings

[model]
default = "ollama:llama3.2"   # the quick one
stop = [
    "END",  # of the story
]

[ui]
theme = 'nord'
"""


def test_everything_that_can_be_set_says_what_it_is_for() -> None:
    assert [one.key for one in all_settings() if not one.words] == []
    assert {one.section for one in all_settings()} == {*Settings.__struct_fields__} - {"keys"}


def test_every_default_fits_its_own_kind() -> None:
    settings = Settings()
    for one in all_settings():
        assert getattr(getattr(settings, one.section), one.key) == one.default
        assert one.wanted


def test_a_value_is_put_in_its_place_and_the_rest_stays_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(OWN)
    write(file, "ui", "theme", "gruvbox")
    write(file, "ui", "sidebar", False)
    write(file, "research", "feeds", ("https://example.org/feed",))
    assert file.read_text() == (
        OWN.replace("'nord'", '"gruvbox"')
        + 'sidebar = false\n\n[research]\nfeeds = ["https://example.org/feed"]\n'
    )
    assert load_settings(file, {}).research.feeds == ("https://example.org/feed",)


def test_a_value_that_is_taken_out_leaves_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(OWN)
    write(file, "model", "default", None)
    assert load_settings(file, {}).model.default == ""
    assert "# My settings" in file.read_text()
    write(file, "memory", "limit", None)
    assert load_settings(file, {}).memory.limit == 3


def test_a_file_that_is_not_there_is_made_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "config" / "config.toml"
    write(file, "ui", "theme", "nord")
    assert file.read_text() == '[ui]\ntheme = "nord"\n'
    assert [one.name for one in file.parent.iterdir()] == ["config.toml"]


def test_windows_line_ends_and_a_link_stay(tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.toml"
    kept.write_bytes(b"[ui]\r\ntheme = 'nord'\r\n")
    file = tmp_path / "config.toml"
    file.symlink_to(kept)
    write(file, "ui", "theme", "gruvbox")
    assert kept.read_bytes() == b'[ui]\r\ntheme = "gruvbox"\r\n'
    assert file.is_symlink()


@pytest.mark.parametrize("text", ["[ui\n", "ui = 1\n", "[[ui]]\n"])
def test_a_file_that_can_t_be_written_into_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"config\.toml"):
        write(file, "ui", "theme", "nord")
    assert file.read_text() == text


def test_a_value_that_somebody_writes_must_fit() -> None:
    settings = changed(Settings(), "ui", "enter", "newline")
    assert settings.ui.enter == "newline"
    assert changed(settings, "memory", "limit", "5").memory.limit == 5
    assert changed(settings, "model", "temperature", "").model.temperature is None
    with pytest.raises(SettingsError, match=r"temperature must be a number from 0 to 5\."):
        changed(settings, "model", "temperature", "9")
    with pytest.raises(SettingsError, match="begins with neither http nor https"):
        changed(settings, "research", "proxy", "socks://x")
    assert find("ui", "enter").choices == ("send", "newline")


def test_the_line_of_a_key_is_found_however_it_is_written() -> None:
    text = 'a.b = """\n[c]\nd = 1\n"""\n[c]\n\n"d" = [\n1,\n]\n'
    assert line_of(text, ["a", "b"]) == 1
    assert line_of(text, ["c"]) == 5
    assert line_of(text, ["c", "d"]) == 7
