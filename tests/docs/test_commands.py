"""Every command that the documents show is run, in an empty home, or stands in a checked list."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import Settings
from tests.docs.pages import INLINE, PAGES, ROOT, commands, fenced
from tests.embedded_weights import models_folder
from tests.homes import environment
from tui.command_line.arguments import build_parser
from tui.commands import SLASH

if TYPE_CHECKING:
    from pathlib import Path

DOWNLOADED = ("tests/engine/llm/test_download.py", "weights.add(paths, hub.url)")
COPIED = ("tests/cli/test_storage.py", '"storage", "copy"')

ELSEWHERE = {
    "pip install 'scrubjay[cluster]'": ("tests/dask_cluster.py", "from distributed import"),
    "dask scheduler --host 10.0.0.1 --port 8786": ("tests/dask_cluster.py", '"dask_scheduler"'),
    "dask worker tcp://10.0.0.1:8786 --nthreads 1 --nworkers 4": (
        "tests/dask_cluster.py",
        '"dask_worker"',
    ),
    "pip install .": ("tests/docs/test_stranger.py", "pip install ."),
    "scrubjay": ("tests/docs/test_stranger.py", "Terminal("),
    "scrubjay --serve": ("tests/cli/test_serve.py", '"--serve"'),
    'scrubjay ask --json "…" | jq .usage': ("tests/cli/test_ask.py", '"ask", "--json"'),
    "scrubjay models add qwen2.5-1.5b": ("tests/cli/test_models.py", '"qwen2.5-1.5b"'),
    "scrubjay models add https://…/model.gguf": DOWNLOADED,
    "scrubjay models add https://example.org/model.gguf": DOWNLOADED,
    "scrubjay models add ~/models/model.gguf": ("tests/cli/test_models.py", '"models", "add"'),
    "scrubjay storage copy --from scrubjay.db --to postgresql://jay@server/jay": COPIED,
    "scrubjay storage copy --from ~/.local/share/scrubjay/scrubjay.db"
    " --to postgresql://jay@server.example/jay": COPIED,
    "scrubjay storage copy --from postgresql://jay@server.example/jay --to elsewhere.db": COPIED,
    "scrubjay models remove qwen2.5-1.5b": ("tests/cli/test_models.py", '"models", "remove"'),
}
"""What needs a network, a browser, a terminal or a gigabyte: by whom that is run, and how it is
said there."""

RUN = {
    page: [line for line in commands(page) if line not in ELSEWHERE and line.split()[0] != "make"]
    for page in PAGES
}
MADE = sorted({line for page in PAGES for line in commands(page) if line.startswith("make ")})


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `scrubjay` is this tree's, with the small model in place."""
    binaries = tmp_path_factory.mktemp("bin")
    for name, arguments in (("scrubjay", "-m tui.cli"), ("python", "")):
        file = binaries / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        file.chmod(0o755)
    return {
        "PATH": f"{binaries}:{os.defpath}",
        "PYTHONPATH": str(ROOT),
        "SCRUBJAY_MODELS_DIR": str(models_folder()),
        "SCRUBJAY_MODEL_MAX_TOKENS": "12",
        "SCRUBJAY_RESEARCH_OFFLINE": "true",
    }


@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=lambda page: page.name)
def test_the_commands_of_a_page_work_one_after_the_other(
    page: Path, shell: dict[str, str], tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "conversations.json").write_text("[]")
    subprocess.run(["git", "init", "--quiet", str(here)], check=True)
    variables = environment(tmp_path / "home", **shell)
    for line in RUN[page]:
        if line.startswith("python -m tests.benchmarks."):
            assert find_spec(line.split()[2]), line
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            env=variables,
            cwd=here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("line", MADE)
def test_what_make_is_asked_for_is_there(line: str) -> None:
    words = subprocess.run(
        ["bash", "-c", line.replace("make", "make --dry-run", 1)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert words.returncode == 0, words.stderr


def test_what_is_run_elsewhere_is_shown_somewhere_and_run_there() -> None:
    shown = {line for page in PAGES for line in commands(page)}
    assert set(ELSEWHERE) <= shown
    for command, (place, said) in ELSEWHERE.items():
        assert said in (ROOT / place).read_text(encoding="utf-8"), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_are_there(page: Path) -> None:
    for code in INLINE.findall(page.read_text(encoding="utf-8")):
        if code.startswith("/") and " " not in code and code.strip("/").isalpha():
            assert code in SLASH, code
        if code.startswith("scrubjay ") and "$" not in code:
            words = [word for word in code.split()[1:] if word.isalpha() and word.islower()][:2]
            with pytest.raises(SystemExit) as ended:
                build_parser().parse_args([*words, "--help"])
            assert ended.value.code == 0, code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_shown_can_be_set(page: Path) -> None:
    for block in fenced(page, "toml"):
        given = tomllib.loads(block)
        if "primary" not in given and "project" not in given:
            msgspec.convert(given, Settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_that_is_shown_is_that_of_its_file(page: Path) -> None:
    for language in ("python", "toml"):
        for block in fenced(page, language):
            name, _, body = block.partition("\n")
            file = ROOT / "tests/data/example_plugin" / name.removeprefix("# ")
            if name.startswith("# ") and file.is_file():
                assert file.read_text(encoding="utf-8") == body
