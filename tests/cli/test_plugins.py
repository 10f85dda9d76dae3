"""Plugins: the example is installed and each of its parts is used; broken ones are skipped."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.research.outcome import STATE
from storage.records import Role
from tests.cli.conftest import ROOT, Scrubjay
from tests.terminal.app import PROMPT, QUIT
from tests.terminal.app import scrubjay as in_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from storage.store import Store

EXAMPLE = ROOT / "tests" / "data" / "example_plugin"
PARTS = [
    "tool roll_dice",
    "source proverbs",
    "model provider parrot",
    "embedder vowels",
    "exporter org",
    "theme example-dusk",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package, as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--target", str(folder), str(EXAMPLE)),
        ],
        check=True,
    )
    return folder


@pytest.fixture
def with_plugin(site: Path, tmp_path: Path) -> Scrubjay:
    return Scrubjay(
        tmp_path / "home",
        PYTHONPATH=str(site),
        SCRUBJAY_MODEL_DEFAULT="parrot:grey",
        SCRUBJAY_RESEARCH_OFFLINE="true",
    )


def broken(site: Path, name: str, code: str) -> None:
    """What an installation of a package leaves, whose module has that code."""
    module = f"broken_{name.replace('-', '_')}"
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken-{name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[scrubjay.plugins]\n{name} = {module}:plugin\n")


def test_what_a_plugin_adds_is_listed(with_plugin: Scrubjay) -> None:
    listed = with_plugin.run("plugins", "list", "--json")
    assert listed.code == 0, listed
    [found] = listed.json
    assert (found["name"], found["package"]) == ("example", "scrubjay-example 1.0")
    assert found["adds"] == PARTS
    assert not found["trouble"]


def test_its_model_answers_and_is_listed(with_plugin: Scrubjay) -> None:
    asked = with_plugin.run("ask", "Hello there.")
    assert (asked.code, asked.out.strip()) == (0, "You said: Hello there.")
    assert "parrot:grey" in with_plugin.run("models", "list").out
    wrong = with_plugin.run("ask", "--model", "parrot:blue", "Hello?")
    assert wrong.code == 1
    assert "Ask `parrot:grey`." in wrong.err


@pytest.mark.parametrize(
    ("said", "result"), [("y", r"[1-6], [1-6]"), ("n", r".*did not allow.*")], ids=["yes", "no"]
)
def test_its_tool_runs_with_consent_alone(with_plugin: Scrubjay, said: str, result: str) -> None:
    talked = with_plugin.run("chat", stdin=f"Roll the dice.\n{said}\n")
    assert talked.code == 0, talked
    assert 'roll_dice with {"sides":6,"count":2}' in talked.err

    async def results(store: Store) -> list[str]:
        [session] = await store.sessions.list()
        messages = await store.messages.tail(session.id, 9)
        return [message.content for message in messages if message.role is Role.TOOL]

    [told] = with_plugin.stored(results)
    assert re.fullmatch(result, told, re.DOTALL)


def test_its_source_is_asked_and_its_embedder_ranks(with_plugin: Scrubjay) -> None:
    found = with_plugin.run(
        "research", "--json", "What grows from acorns?", SCRUBJAY_RESEARCH_EMBEDDER="vowels"
    )
    assert found.code == 0, found
    [source] = [one for one in found.json["sources"] if one["name"] == "proverbs"]
    assert (source["state"], source["articles"]) == ("done", 1)
    [article] = found.json["articles"]
    assert article["text"].startswith("Great oaks")

    async def outcome(store: Store) -> str:
        [session] = await store.sessions.list()
        return str(session.state[STATE]["embedder"])

    assert with_plugin.stored(outcome) == "vowels"
    left_out = with_plugin.run(
        "research", "--json", "What grows from acorns?", SCRUBJAY_RESEARCH_OFF="proverbs"
    )
    assert "proverbs" not in [one["name"] for one in left_out.json["sources"]]


def test_its_exporter_writes_files(with_plugin: Scrubjay, tmp_path: Path) -> None:
    with_plugin.run("ask", "Hello there.")
    exported = with_plugin.run("sessions", "export", "last", "--format", "org")
    assert exported.out.startswith("#+TITLE: Hello there.\n* user\nHello there.\n* assistant\n")
    written = with_plugin.run("sessions", "export", "--all", "--format", "org", "-o", str(tmp_path))
    assert written.code == 0, written
    assert len(list(tmp_path.glob("*.org"))) == 1
    file = tmp_path / "by-its-ending.org"
    with_plugin.run("chat", "--session", "last", stdin=f"/export {file}\n")
    assert file.read_text().startswith("#+TITLE:")


def test_its_theme_is_shown(with_plugin: Scrubjay, site: Path, tmp_path: Path) -> None:
    with in_terminal(
        tmp_path / "home",
        PYTHONPATH=str(site),
        SCRUBJAY_MODEL_DEFAULT="parrot:grey",
        SCRUBJAY_UI_THEME="example-dusk",
        COLORTERM="truecolor",
    ) as terminal:
        terminal.wait_for(PROMPT)
        terminal.wait_for("parrot:grey|grey")
        terminal.wait_for(lambda _: re.search(rb"48;2;3[12];20;16", terminal.everything))
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
    assert "There is no theme" not in terminal.everything.decode(errors="replace")


PLUGIN = "from engine.plugins import *\n"
BROKEN = {
    "a-raising": ("1 / 0", "importing it raised ZeroDivisionError"),
    "b-leaving": ("raise SystemExit(3)", "importing it raised SystemExit"),
    "c-missing": ("import not_there_at_all", "No module named 'not_there_at_all'"),
    "d-dict": ("plugin = {}", "names something of type dict"),
    "e-newer": (PLUGIN + "plugin = Plugin(api=2)", "version 2 of the interface; here is 1. Upgr"),
    "f-older": (PLUGIN + "plugin = Plugin(api=0)", "version 0 of the interface; here is 1. Look"),
    "g-list": (PLUGIN + "plugin = Plugin(api=1, tools=[])", "its tools must be a tuple"),
    "h-function": (PLUGIN + "plugin = Plugin(api=1, tools=(print,))", "among its tools must be"),
    "i-taken": (
        PLUGIN + "@tool()\nasync def calculator(c):\n  'Count.'\n"
        "plugin = Plugin(api=1, tools=(calculator,))",
        "the tool calculator is there already",
    ),
    "j-part": (
        PLUGIN + "class B(Backend):\n  provider = 'b'\nplugin = Plugin(api=1, backends=(B,))",
        "must be a class of Backend that has all its methods",
    ),
    "k-nameless": (
        PLUGIN + "class S(Source):\n  async def find(self, query, reach):\n    yield\n"
        "plugin = Plugin(api=1, sources=(S(),))",
        "something in it has no name",
    ),
}  # fmt: skip


def test_an_exporter_that_fails_is_told_of_without_a_traceback(
    with_plugin: Scrubjay, site: Path, tmp_path: Path
) -> None:
    code = "async def pieces(library, session):\n  1 / 0\n  yield\n"
    parts = "exporters=(Exporter(name='bad', ending='bad', pieces=pieces),)"
    broken(tmp_path, "failing", f"{PLUGIN}{code}plugin = Plugin(api=1, {parts})")
    path = f"{tmp_path}:{site}"
    with_plugin.run("ask", "Hello there.", PYTHONPATH=path)
    put_out = with_plugin.run("sessions", "export", "last", "--format", "bad", PYTHONPATH=path)
    assert (put_out.code, put_out.out) == (1, "")
    assert put_out.err == (
        "scrubjay: It can't be written out: the plugin for bad failed (ZeroDivisionError).\n"
    )


def test_broken_ones_are_told_and_skipped_and_the_others_work(
    with_plugin: Scrubjay, site: Path, tmp_path: Path
) -> None:
    for name, (code, _) in BROKEN.items():
        broken(tmp_path, name, code)
    broken(tmp_path, "z-copy", PLUGIN + "class E(Embedder):\n  name = space = 'vowels'\n"
    "  async def embed(self, texts): ...\nplugin = Plugin(api=1, embedders=(E(),))")  # fmt: skip
    path = f"{tmp_path}:{site}"
    listed = with_plugin.run("plugins", "list", "--json", PYTHONPATH=path)
    assert listed.code == 1
    found = {one["name"]: one for one in listed.json}
    for name, (_, told) in BROKEN.items():
        assert told in found[name]["trouble"]
        assert found[name]["adds"] == []
    assert "the embedder vowels is there already" in found["z-copy"]["trouble"]
    assert found["example"]["adds"] == PARTS

    asked = with_plugin.run("ask", "Hello there.", PYTHONPATH=path)
    assert asked.out.strip() == "You said: Hello there."
    doctor = with_plugin.run("doctor", "--json", PYTHONPATH=path)
    [finding] = [one for one in doctor.json if one["name"] == "plugins"]
    assert finding["state"] == "problem"
    assert "a-raising is skipped: importing it raised ZeroDivisionError" in finding["text"]
    log = with_plugin.paths.log_file.read_text()
    assert "the plugin e-newer is skipped" in log


def test_without_any_there_is_nothing_to_tell(scrubjay: Scrubjay) -> None:
    listed = scrubjay.run("plugins", "list")
    assert (listed.code, listed.out) == (0, "No plugins are installed.\n")
    doctor = scrubjay.run("doctor", "--json")
    [finding] = [one for one in doctor.json if one["name"] == "plugins"]
    assert finding["state"] == "ok"
