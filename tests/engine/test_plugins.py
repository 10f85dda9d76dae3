"""Plugins that hang or break while they are used: the program goes on, and says who it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import plugin_finder
from engine.engine import Engine
from engine.events import Event, Notice
from engine.export import Exporter, save
from engine.llm.base import Backend, ModelError
from engine.plugin_finder import EMBEDDERS, PROVIDERS
from engine.plugin_guards import GuardedBackend, GuardedEmbedder, guarded_exporter
from engine.plugins import ChatRequest, Embedder
from engine.research import pipeline
from engine.research.sources import NAMES
from engine.research.sources.base import Source
from tests.embedded_weights import paths_under
from tests.tui.chatting import settings

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = ChatRequest(model="m", messages=())


def installed(site: Path, name: str, code: str) -> None:
    """Leave what an installation of a package leaves."""
    (site / f"{name}.py").write_text(code)
    (site / f"{name}-1.0.dist-info").mkdir()
    (site / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (site / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(
        f"[{plugin_finder.GROUP}]\n{name} = {name}:plugin\n"
    )


async def test_one_that_hangs_is_given_up_and_the_others_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    installed(
        site,
        "a_good",
        "from engine.plugins import *\n@tool()\nasync def greet(context):\n  'Greet.'\n"
        "plugin = Plugin(api=1, tools=(greet,))",
    )
    installed(site, "b_hanging", "import threading\nthreading.Event().wait()")
    installed(site, "c_good", "from engine.plugins import *\nplugin = Plugin(api=1)")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(plugin_finder, "LOAD_SECONDS", 1.0)
    engine = await Engine.open(settings(), paths_under(tmp_path))
    notices: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)

    engine.events.subscribe(hear)
    try:
        loaded = await engine.plugins.load()
        assert [(one.name, bool(one.trouble)) for one in loaded.found] == [
            ("a_good", False),
            ("b_hanging", True),
            ("c_good", False),
        ]
        assert "not imported within 1 seconds" in loaded.found[1].trouble
        assert engine.tools.get("greet") is not None
        assert [text for text in notices if "The plugin b_hanging is skipped" in text]
        await engine.plugins.load()
        assert len(notices) == 1
    finally:
        await engine.close()


def test_the_names_that_are_taken_are_those_of_the_built_in_parts() -> None:
    built_in = {
        kind.name
        for kind in vars(pipeline).values()
        if isinstance(kind, type) and issubclass(kind, Source)
    }
    assert set(NAMES) == built_in
    assert set(PROVIDERS) == {"ollama", "embedded", "openai"}
    assert set(EMBEDDERS) == {"embedded", "words"}


class Broken(Backend):
    provider = "broken"

    async def answers(self, timeout: float) -> bool:
        raise KeyError("answers")

    async def models(self) -> Any:
        raise KeyError("models")

    async def describe(self, model: str) -> Any:
        raise KeyError("describe")

    async def chat(self, request: ChatRequest) -> Any:
        if request.messages:
            yield
        raise KeyError("chat")

    async def count_tokens(self, request: ChatRequest) -> Any:
        raise KeyError("count")

    async def embed(self, model: str, texts: Any) -> Any:
        raise ModelError("busy", "It is busy.")

    async def close(self) -> None:
        raise KeyError("close")


async def test_whatever_a_backend_raises_is_an_error_of_a_model() -> None:
    backend = GuardedBackend(Broken, "broken")
    assert await backend.answers(1) is False
    for work in (backend.models(), backend.describe("m"), backend.count_tokens(REQUEST)):
        with pytest.raises(
            ModelError, match="plugin for models of broken failed: KeyError"
        ) as told:
            await work
        assert "the log" in told.value.failure.next_step
    with pytest.raises(ModelError, match="KeyError"):
        await anext(backend.chat(REQUEST))
    with pytest.raises(ModelError, match="It is busy"):
        await backend.embed("m", [])
    await backend.close()


async def test_a_backend_that_can_not_be_made_is_told() -> None:
    def make() -> Backend:
        raise OSError("no such key")

    with pytest.raises(ModelError, match="models of safe failed: OSError"):
        GuardedBackend(make, "safe")


@pytest.mark.parametrize("rows", [[], [1.0, 2.0], [[1.0], [2.0], [3.0]], "nonsense"])
async def test_vectors_that_do_not_fit_the_texts_are_refused(rows: Any) -> None:
    class Wrong(Embedder):
        name = space = "wrong"

        async def embed(self, texts: Any) -> Any:
            return rows

    with pytest.raises(ModelError, match="embedder wrong failed: ValueError"):
        await GuardedEmbedder(Wrong()).embed(["one", "two"])


async def test_an_exporter_that_breaks_leaves_no_file_and_is_named(tmp_path: Path) -> None:
    async def pieces(library: Any, session: Any) -> Any:
        yield "a beginning"
        raise LookupError

    exporter = guarded_exporter(Exporter(name="odd", ending="odd", pieces=pieces))
    lost: Any = None
    with pytest.raises(OSError, match=r"the plugin for odd failed \(LookupError\)"):
        await save(exporter.pieces(lost, lost), tmp_path / "talk.odd")
    assert list(tmp_path.iterdir()) == []
