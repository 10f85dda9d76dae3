"""From nothing to a kept conversation with `make run`, on a machine with only Python and make.

The weights are really fetched, and a real model answers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest

from tests.homes import environment
from tests.terminal.app import ENTER, PROMPT, QUIT, ROOT, answer_on, is_over, open_session, sidebar
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

QUESTION = "What is a jay?"
INSTALLED_WITHIN = 400.0
FETCHED_WITHIN = 200.0


@pytest.mark.timeout(900)
def test_make_run_leads_from_a_clone_to_an_answer_and_back_to_it(tmp_path: Path) -> None:
    clone = tmp_path / "scrubjay"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    env = _bare_environment(tmp_path / "home")

    with Terminal(["make", "run"], env=env, cwd=clone) as terminal:
        terminal.wait_for("Installing what Scrubjay needs")
        terminal.wait_for(PROMPT, within=INSTALLED_WITHIN)
        terminal.keys(QUESTION)
        terminal.wait_for(lambda text: QUESTION in text)
        terminal.keys(ENTER)
        seen: set[str] = set()

        def came_to_its_end(text: str) -> bool:
            seen.add(answer_on(text))
            return is_over(text) or "✖" in text

        terminal.wait_for(came_to_its_end, FETCHED_WITHIN)
        assert is_over(terminal.text), terminal.text
        assert len(seen) > 5, f"the answer came at once, not as a stream: {seen}"
        assert "fetching smollm2-135m (93 MB), once" in terminal.everything.decode(errors="replace")
        answer = answer_on(terminal.text)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0

    with Terminal(["make", "run"], env=env, cwd=clone) as terminal:
        terminal.wait_for(PROMPT)
        terminal.wait_for(lambda text: QUESTION in sidebar(text))
        assert "Installing" not in terminal.everything.decode(errors="replace")
        open_session(terminal, QUESTION)
        terminal.wait_for(lambda text: answer_on(text) == answer)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0


def _bare_environment(home: Path) -> Mapping[str, str]:
    """What `env -i` would leave, with this Python first on the path; pip may keep its cache."""
    variables = environment(home)
    variables.setdefault("PIP_CACHE_DIR", platformdirs.user_cache_dir("pip"))
    variables["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{variables['PATH']}"
    return variables
