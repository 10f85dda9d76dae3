"""The soak run, for some seconds; `make soak` lasts longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from storage.messages import Messages
from storage.records import Role
from tests.soak import Soak, soak

if TYPE_CHECKING:
    from pathlib import Path

SEED, SECONDS = 2, 6.0


def test_nothing_is_lost_doubled_or_left_behind(tmp_path: Path) -> None:
    result = soak(tmp_path, SECONDS, SEED, processes=False)
    assert result["problems"] == [], f"seed {SEED}"
    assert result["done"]["questions"] >= 1


@pytest.mark.parametrize(("times", "told"), [(0, "was neither"), (2, "is kept 2 times and not 1")])
async def test_a_question_that_is_lost_or_doubled_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, told: str
) -> None:
    append = Messages.append

    async def wrong(self: Messages, session_id: str, **values: Any) -> Any:
        if values["role"] is Role.USER and "q00000x" in values["content"]:
            if not times:
                values["content"] = "Something else."
            else:
                await append(self, session_id, **values)
        return await append(self, session_id, **values)

    monkeypatch.setattr(Messages, "append", wrong)
    if not times:  # it is waited for in vain
        monkeypatch.setattr("tests.soak.SETTLED_SECONDS", 1.0)
    run = Soak(tmp_path, 0, SEED, processes=False)
    await run.run()
    assert any("q00000x" in one and told in one for one in run.problems), run.problems
