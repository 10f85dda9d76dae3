"""Settings and folders: defaults, the file, the environment, and clear errors for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.config import Settings, SettingsError, find_paths, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "config.toml", {}) == Settings()


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[model]\ndefault = "ollama:a"\ntemperature = 0.5\n[ui]\ntheme = "nord"\n')
    settings = load_settings(
        file, {"SCRUBJAY_MODEL_DEFAULT": "ollama:b", "SCRUBJAY_UI_SIDEBAR": "false"}
    )
    assert settings.model.default == "ollama:b"
    assert settings.model.temperature == 0.5
    assert settings.ui.theme == "nord"
    assert settings.ui.sidebar is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[model\n", "not valid TOML"),
        ("[model]\ntemprature = 1.0\n", "temprature"),
        ('[model]\ntemperature = "hot"\n', r"\$\.model\.temperature"),
        ("[nonsense]\n", "nonsense"),
        ('[context.compaction]\nshell = "ran"\n', "no tool shell; there are: calculator"),
        ('[context.compaction]\nread_file = "{paht}"\n', r"may name \{path\}, as they are"),
        ('[context.compaction]\nread_file = "{path!r}"\n', r"may name \{path\}, as they are"),
        ('[context.compaction]\nread_file = "{path"\n', r"template for read_file.*expected '\}'"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_of_the_mistake(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(file, {})
    assert str(file) in str(caught.value)


def test_a_bad_variable_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SCRUBJAY_MODEL_TEMPERATURE='hot'"):
        load_settings(tmp_path / "none", {"SCRUBJAY_MODEL_TEMPERATURE": "hot"})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="can't be read"):
        load_settings(file, {})


def test_folders_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    paths = find_paths({})
    assert paths.database_file == tmp_path / "data" / "scrubjay" / "scrubjay.db"
    assert paths.settings_file == tmp_path / "config" / "scrubjay" / "config.toml"
    assert paths.models_dir == tmp_path / "data" / "scrubjay" / "models"


def test_folders_can_be_overridden_one_by_one(tmp_path: Path) -> None:
    paths = find_paths(
        {"SCRUBJAY_DATA_DIR": str(tmp_path / "d"), "SCRUBJAY_MODELS_DIR": str(tmp_path / "m")}
    )
    assert paths.database_file == tmp_path / "d" / "scrubjay.db"
    assert paths.models_dir == tmp_path / "m"
