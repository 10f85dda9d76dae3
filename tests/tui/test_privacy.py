"""What leaves this computer is shown in the app, as the settings have it, and all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import (
    McpServer,
    McpSettings,
    MemorySettings,
    OllamaSettings,
    OpenAISettings,
    ResearchSettings,
    Settings,
    StorageSettings,
    WorkerSettings,
)
from engine.privacy import HERE, leaving
from tests.tui.chatting import chatting

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


def places(settings: Settings, model: str | None = None) -> str:
    return "\n".join(f"{entry.what}: {entry.where}" for entry in leaving(settings, model))


async def test_the_list_is_shown_by_a_command(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(80, 40)) as chat:
        await chat.ready()
        await chat.say("/privacy")
        await chat.until_shown("What leaves this computer")
        await chat.until_shown("en.wikipedia.org")
        await chat.pilot.press("end")
        await chat.until_shown("not encrypted")
        await chat.until_shown("no telemetry")
        await chat.pilot.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)


def test_with_the_embedded_model_what_is_said_stays_here() -> None:
    first = leaving(Settings(), "embedded:smollm2-135m")[0]
    assert first.stays


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("", HERE),
        ("127.0.0.1:11434", HERE),
        ("localhost", HERE),
        ("0.0.0.0", HERE),
        ("attic:11434", "attic:11434"),
        ("https://user:secret@models.example.org", "models.example.org"),
    ],
)
def test_a_model_server_elsewhere_is_named_without_secrets(
    host: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    first = leaving(Settings(ollama=OllamaSettings(host=host)), "ollama:m")[0]
    assert where in first.where
    assert first.stays == (where == HERE)
    assert "secret" not in first.where


def test_every_server_that_may_be_asked_is_named() -> None:
    settings = Settings(
        ollama=OllamaSettings(host="attic", hosts=("cellar:1234 CELLAR_KEY",)),
        research=ResearchSettings(proxy="http://user:secret@proxy.example:3128"),
        workers=WorkerSettings(executor="dask", scheduler="tcp://cluster.example:8786"),
        mcp=McpSettings(
            servers={
                "time": McpServer(command="uvx"),
                "far": McpServer(url="https://tools.example/mcp?key=secret"),
                "off": McpServer(url="https://unused.example/", enabled=False),
            }
        ),
    )
    told = places(settings, "ollama:m")
    for name in ("attic", "cellar:1234", "proxy.example:3128", "cluster.example", "tools.example"):
        assert name in told
    assert "the program uvx" in told
    assert "secret" not in told
    assert "CELLAR_KEY" not in told
    assert "unused.example" not in told
    openai = Settings(openai=OpenAISettings(base_url="https://api.example/v1"))
    assert "api.example" in places(openai, "openai:m")


def test_servers_that_another_model_may_be_chosen_on_are_named_too() -> None:
    settings = Settings(
        ollama=OllamaSettings(host="attic"),
        openai=OpenAISettings(base_url="https://api.example/v1"),
        memory=MemorySettings(embedder="ollama:all-minilm"),
    )
    told = leaving(settings, "embedded:m")
    assert told[0].stays
    assert {entry.where for entry in told if entry.what == "The same"} == {
        *("the model server attic:11434", "the model server api.example")
    }
    assert any("meaning" in entry.what and "attic" in entry.where for entry in told)
    assert "plugin 'parrots'" in places(settings, "parrots:grey")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://jay@db.example:5433/jay?sslmode=require", "the database server db.example"),
        ("postgresql://jay@192.0.2.7/jay", "the database server 192.0.2.7"),
        ("postgresql://jay@[2001:db8::7]/jay", "the database server 2001:db8::7"),
        ("postgresql:///jay?host=db.example", "the database server db.example"),
        ("postgresql:///jay", "the database server named.example"),
        ("postgresql://jay@localhost/jay", HERE),
        ("postgresql://jay@[::1]/jay", HERE),
        ("postgresql://%2Frun%2Fpostgresql/jay", HERE),
    ],
)
def test_a_database_server_is_named(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "named.example")
    monkeypatch.delenv("PGHOSTADDR", raising=False)
    settings = Settings(storage=StorageSettings(url=url))
    [entry] = [one for one in leaving(settings, "embedded:m") if "is kept" in one.what]
    assert (entry.where, entry.stays) == (told, told == HERE)
    assert "your PostgreSQL server" in PAGE
    monkeypatch.delenv("PGHOST")
    assert not any("is kept" in one.what for one in leaving(Settings(), "embedded:m"))


def test_offline_research_stays_here() -> None:
    told = leaving(Settings(research=ResearchSettings(offline=True)), "embedded:m")
    assert "wikipedia" not in str(told)
    assert [entry.stays for entry in told if "research" in entry.what] == [True]


def test_the_list_and_the_page_name_the_same_services() -> None:
    told = places(Settings(), "embedded:m")
    for name in (
        *("en.wikipedia.org", "hn.algolia.com", "export.arxiv.org", "api.stackexchange.com"),
        *("huggingface.co", "package index"),
    ):
        assert name in told
        assert name in PAGE
