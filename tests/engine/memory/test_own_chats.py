"""The figures over the project's own chats; see tests/benchmarks/recall_own.py."""

from __future__ import annotations

from tests.benchmarks.recall_own import asked, figures


async def test_recall_over_the_project_s_own_chats_holds_its_level() -> None:
    reached = figures(await asked())
    assert reached.questions == 133
    assert reached.recall_at_5 >= 0.88
    assert reached.recall_at_10 >= 0.92
    assert reached.found >= 0.81
    assert reached.false_recall <= 0.18
