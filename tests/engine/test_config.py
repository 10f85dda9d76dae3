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
        ("[model\n", "not valid TOML: .* line 1, column 7"),
        ("[model]\n\ntemprature = 1.0\n", r"line 3: \[model\] has no 'temprature'\. .*temperature"),
        ("[modle]\n", r"line 1: There is no section \[modle\]\. Perhaps \[model\] is meant"),
        ("[nonsense]\n", r"line 1: There is no section \[nonsense\]\. There are model,"),
        ('theme = "nord"\n', r"line 1: .* theme belongs below \[ui\]"),
        ("[ui]\nzzz = 1\n", r"line 2: \[ui\] has no 'zzz'\. It has theme, enter"),
        (
            '[model]\n# warm\ntemperature = "hot"\n',
            r"line 3: \[model\] temperature is 'hot', and must be a number from 0 to 5\. Correct",
        ),
        ("[embedded]\nthreads = 0\n", "line 2: .*threads is 0, .* a whole number, at least 1"),
        ("[research]\nread_seconds = 0\n", "line 2: .*read_seconds is 0, .* a number above 0"),
        ('[ui]\nenter = "quit"\n', "must be “send” or “newline”"),
        ('[context]\npriority = ["notes"]\n', r"priority\.0 .*|priority is .*“articles” or “summ"),
        ("[model]\nstop = [\n  1,\n]\nseed = 1\n", "line 2: .*stop is .*a list of texts"),
        ("model = 1\n", "line 1: .*model.* is 1, and must be a section"),
        ("[memory]\n[keys]\n'chat.new' = 4\n", r"line 3: \[keys\] chat\.new is 4, .* a text"),
        ("[research]\nshown = 2\nproxy = 'x'\n", r"line 3: \[research\] proxy: .* neither http"),
        (
            '[context.compaction]\nshell = "ran"\n',
            r"line 2: \[context\] compaction\.shell: .*no tool shell; there are: calculator",
        ),
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('comand = "x"', r"line 4: \[mcp\.servers\.b\] has no 'comand'\. Perhaps command is meant"),
        ("command = 3", r"line 4: \[mcp\.servers\.b\] command is 3, and must be a text"),
        ('command = "x"\nargs = ["a", 3]', "line 5: .*args is .*must be a list of texts"),
        ('command = "x"\nenv = { A = 3 }', r"line 5: \[mcp\.servers\.b\] env\.A is 3"),
        ('command = "x"\ncall_seconds = 0', "line 5: .*call_seconds is 0.*a number above 0"),
        ("enabled = false", "line 3: .*either a command or a url"),
        ('command = "x"\nurl = "http://x"', "line 4: .*either a command or a url"),
        ('url = "ftp://x"', r"line 4: \[mcp\.servers\.b\] url: .*neither http nor https"),
        ('url = "http://x"\nargs = ["x"]', "line 4: .*args and env belong to a command"),
        ('command = "x"\nheaders = { A = "b" }', "line 4: .*headers and login belong to a url"),
        ('command = "x"\n[mcp.servers.c__d]\ncommand = "x"', "line 5: .*'c__d' names no server"),
        ('command = "x"\n[mcp]\nallow = ["forget"]', "line 6: .*“remember” or “research”"),
    ],
)
def test_a_mistake_with_a_server_is_told_with_its_name(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[mcp.servers.a]\ncommand = "x"\n[mcp.servers.b]\n{text}\n')
    with pytest.raises(SettingsError, match=says):
        load_settings(file, {})


def test_a_bad_variable_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SCRUBJAY_MODEL_TEMPERATURE='hot'"):
        load_settings(tmp_path / "none", {"SCRUBJAY_MODEL_TEMPERATURE": "hot"})


@pytest.mark.parametrize(
    ("name", "written", "says"),
    [
        ("RESEARCH_PROXY", "x", "begins with neither http nor https"),
        ("LOG_LEVEL", "loud", "level must be “debug” or “info”"),
        ("EMBEDDED_THREADS", "0", "threads must be a whole number, at least 1"),
        ("RESEARCH_FEEDS", "[1]", "feeds must be a list of texts"),
        ("RESEARCH_FEEDS", "[", "feeds must be a list of texts"),
    ],
)
def test_a_variable_must_fit_as_a_line_of_the_file_must(
    tmp_path: Path, name: str, written: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=f"SCRUBJAY_{name}=.*{says}"):
        load_settings(tmp_path / "none", {f"SCRUBJAY_{name}": written})


def test_a_table_is_no_business_of_a_variable(tmp_path: Path) -> None:
    variables = {"SCRUBJAY_MCP_SERVERS": "x", "SCRUBJAY_CONTEXT_COMPACTION": "y"}
    assert load_settings(tmp_path / "none", variables) == Settings()


def test_a_variable_can_hold_a_list_or_leave_open(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path / "none",
        {
            "SCRUBJAY_RESEARCH_OFF": "arxiv, feeds",
            "SCRUBJAY_MODEL_STOP": '["a, b"]',
            "SCRUBJAY_MODEL_SEED": "",
        },
    )
    assert settings.research.off == ("arxiv", "feeds")
    assert settings.model.stop == ("a, b",)
    assert settings.model.seed is None


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"not text in UTF-8\. Save it in that"):
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
