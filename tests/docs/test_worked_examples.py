"""The worked examples do what their page says, when their code is run as it stands there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.config import ResearchSettings
from engine.research.errors import FetchError
from engine.research.fetching import Network
from engine.research.sources.base import Query, Reach
from engine.tools.registry import Registry, ToolContext
from storage.records import ToolCall
from tests.docs.pages import ROOT, fenced
from tests.embedded_weights import models_folder
from tests.homes import environment
from tests.terminal.app import PROMPT, QUIT
from tests.terminal.screen import Terminal
from tests.tui.chatting import chatting
from tui.widgets import inspector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "worked-examples.md"


def example(file: str) -> dict[str, Any]:
    """The names in the example of a file, which is run as a module."""
    [code] = [one for one in fenced(PAGE, "python") if one.startswith(f"# {file}\n")]
    names: dict[str, Any] = {"__name__": file.removesuffix(".py").replace("/", ".")}
    exec(compile(code, file, "exec"), names)
    return names


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, in which all that the page says has been done."""
    tree = tmp_path_factory.mktemp("tree")
    unneeded = shutil.ignore_patterns("__pycache__", "__snapshots__", "pictures")
    for folder in ("tui", "engine", "storage", "assets", "docs", "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=unneeded)
    shutil.copy(ROOT / "pyproject.toml", tree)
    for code in fenced(PAGE, "python"):
        (tree / code.partition("\n")[0].removeprefix("# ")).write_text(code)
    for change in fenced(PAGE, "diff"):
        subprocess.run(["git", "apply"], input=change.encode(), cwd=tree, check=True)
    return tree


def run_in(tree: Path, home: Path, *arguments: str, **more: str) -> str:
    """What a program of the changed tree says; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(home, SCRUBJAY_MODELS_DIR=str(models_folder()), **more),
        cwd=tree,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_code_has_the_projects_style(changed: Path, tmp_path: Path) -> None:
    new = [code.partition("\n")[0].removeprefix("# ") for code in fenced(PAGE, "python")]
    run_in(changed, tmp_path, "-m", "ruff", "check", *new)
    run_in(changed, tmp_path, "-m", "ruff", "format", "--check", *new)


def test_the_tool_is_among_the_others(changed: Path, tmp_path: Path) -> None:
    listed = "from engine.tools import built_in_tools as t; print([one.name for one in t()])"
    assert "'flip_coin'" in run_in(changed, tmp_path, "-c", listed)


def test_research_asks_the_source(changed: Path, almanac: str, tmp_path: Path) -> None:
    answer = run_in(
        changed,
        tmp_path,
        *("-m", "tui.cli", "research", "Where do jays hide acorns?"),
        SCRUBJAY_RESEARCH_ALMANAC_URL=almanac,
        SCRUBJAY_RESEARCH_OFF='["wikipedia", "hacker news", "arxiv", "stack exchange"]',
        SCRUBJAY_MODEL_MAX_TOKENS="12",
    )
    assert "1. [Day 0](<http://almanac/0>) · almanac" in answer


def test_the_panels_key_is_pressed(changed: Path, tmp_path: Path) -> None:
    file = "tests/tui/test_every_binding.py"
    run_in(changed, tmp_path, "-m", "pytest", "-q", "-p", "no:xdist", file, "-k", "[Inspector]")


async def test_the_tool_can_be_called() -> None:
    tools = Registry([example("engine/tools/flip_coin.py")["flip_coin"]])
    unused: Any = None
    context = ToolContext(session_id="s", store=unused)
    told = await tools.call(context, ToolCall(id="1", name="flip_coin", arguments={"count": 3}))
    assert set(told.text.split(", ")) <= {"heads", "tails"}
    assert len(told.text.split(", ")) == 3
    refused = await tools.call(context, ToolCall(id="2", name="flip_coin", arguments={"count": 0}))
    assert (refused.failed, refused.text) == (True, "Flip 1 to 100 coins.")
    [spec] = tools.specs
    assert spec.description == "Flip coins, and tell how each of them fell."
    assert spec.parameters["properties"]["count"]["description"] == "How many coins are flipped."


class Answering(BaseHTTPRequestHandler):
    """An almanac; what is looked for tells how it answers."""

    def do_GET(self) -> None:
        entries = [
            {"url": f"http://almanac/{day}", "title": f"Day {day}", "text": "Jays hide acorns."}
            for day in range(9)
        ]
        body = b"none" if "nonsense" in self.path else msgspec.json.encode(entries)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def almanac() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_the_source_finds_articles(almanac: str, tmp_path: Path) -> None:
    source = example("engine/research/sources/almanac.py")["Almanac"](almanac)
    unused: Any = None
    async with Network.open(ResearchSettings(), tmp_path) as network:
        reach = Reach(fetcher=network.fetcher(), workers=unused, notes=[])
        query = Query(question="Jays?", topics=("jays",), session_id="s", limit=5)
        found = [draft async for draft in source.find(query, reach)]
        assert [draft.title for draft in found] == [f"Day {day}" for day in range(5)]
        assert found[0].source == "almanac"
        with pytest.raises(FetchError, match="what is no almanac"):
            await anext(source.find(msgspec.structs.replace(query, topics=("nonsense",)), reach))


async def test_the_panel_is_a_tab_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = example("tui/widgets/answers_panel.py")["AnswersPanel"]
    monkeypatch.setitem(inspector.PANELS, "Answers", panel)
    async with chatting(tmp_path, size=(160, 40)) as chat:
        await chat.ready()
        await chat.pilot.press("f4")
        await chat.until(lambda: bool(chat.screen.query(inspector.Inspector)))
        chat.screen.query_one(inspector.Inspector).tab = "Answers"
        await chat.until_shown("0 in this run.")
        chat.composer.focus()
        await chat.say("Who sings?")
        await chat.until_shown("1 in this run.")


def test_what_is_logged_is_shown_by_the_console(tmp_path: Path) -> None:
    """As `make dev` beside `make console` does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = environment(
        tmp_path / "home",
        PYTHONPATH=str(ROOT),
        SCRUBJAY_MODELS_DIR=str(models_folder()),
        TEXTUAL="debug,devtools",
        TEXTUAL_DEVTOOLS_PORT=port,
    )
    settings = tmp_path / "home" / "config" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[mcp.servers.broken]\ncommand = "false"\n')
    variables["SCRUBJAY_CONFIG_DIR"] = str(settings.parent)
    textual = [sys.executable, "-m", "textual_dev", "console", "-x", "EVENT", "--port", port]
    app = [sys.executable, "-m", "tui.cli"]
    with Terminal(textual, env=variables, cwd=tmp_path) as console:
        console.wait_for("Press")  # it listens
        with Terminal(app, env=variables, cwd=tmp_path) as terminal:
            terminal.wait_for(PROMPT)
            console.wait_for("WARNING engine.pool: job 'MCP server broken' failed")
            terminal.keys(QUIT)
            assert terminal.wait_for_end() == 0


def test_a_style_that_is_saved_is_on_the_screen_at_once(tmp_path: Path) -> None:
    """As `make dev` shows it; the change is that of CONTRIBUTING.md."""
    shutil.copytree(ROOT / "assets", tmp_path / "assets")
    style = tmp_path / "assets" / "scrubjay.tcss"
    before, after = "background: $surface; }", "background: $primary; }"
    assert "change `#sidebar`'s `background: $surface` to `background: $primary`" in " ".join(
        (ROOT / "CONTRIBUTING.md").read_text().split()
    )
    variables = environment(
        tmp_path / "home",
        PYTHONPATH=str(ROOT),
        SCRUBJAY_MODELS_DIR=str(models_folder()),
        TEXTUAL="debug",
        COLORTERM="truecolor",
    )
    with Terminal([sys.executable, "-m", "tui.cli"], env=variables, cwd=tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        terminal.wait_for("smollm2")
        blue = b"48;2;106;165;238m"
        assert blue not in terminal.everything
        text = style.read_text()
        assert before in text
        style.write_text(text.replace(before, after, 1))
        terminal.wait_for(lambda _: blue in terminal.everything)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
