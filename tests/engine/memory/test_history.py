"""What a fact said before, as memories tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.engine.support import running_engine

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_a_fact_said_before_comes_newest_first(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        first = await engine.memory.remember("The user lives in Lima.")
        second = await engine.memory.edit(first.id, "The user lives in Cusco.")
        third = await engine.memory.edit(second.id, "The user lives in Puno.")
        before = await engine.memory.history(third.id)
        assert [kept.id for kept in before] == [second.id, first.id]
        assert all(kept.valid_to is not None for kept in before)
        assert await engine.memory.history(first.id) == []


async def test_only_facts_have_a_history(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        skill = await engine.memory.remember("Boil it.", kind="skill", name="tea")
        await engine.memory.edit(skill.id, "Boil water first.")
        assert await engine.memory.history(skill.id) == []
