"""An import that is killed leaves whole conversations only, and the next one brings the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.cli.conftest import Scrubjay
from tests.engine.imports.test_chatgpt import BRANCHED, chat, written

if TYPE_CHECKING:
    from pathlib import Path

    from storage.store import Store

COUNT = 600


def test_a_killed_import_is_finished_by_the_next(tmp_path: Path) -> None:
    scrubjay = Scrubjay(tmp_path / "home")
    file = written(
        tmp_path / "conversations.json",
        *(chat(*BRANCHED, current="n4", conversation_id=f"c-{n}") for n in range(COUNT)),
    )

    async def figures(store: Store) -> tuple[int, int]:
        kept = await store.figures()
        return kept.sessions, kept.messages

    process = scrubjay.start("sessions", "import", str(file))
    deadline = time.monotonic() + 60
    while not (scrubjay.paths.database_file.exists() and scrubjay.stored(figures)[0] >= 5):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()

    sessions, messages = scrubjay.stored(figures)
    assert 5 <= sessions <= COUNT
    assert messages == 4 * sessions
    [report] = scrubjay.run("sessions", "import", "--json", str(file)).json
    assert (report["new"], report["unchanged"]) == (COUNT - sessions, sessions)
    assert scrubjay.stored(figures) == (COUNT, 4 * COUNT)
