"""Work of which only the latest counts."""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

from tests.tui.chatting import chatting
from tui.latest import run_latest

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_replaced_before_its_first_step_is_never_begun(tmp_path: Path) -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))

    async with chatting(tmp_path) as chat:
        await chat.ready()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            workers = [run_latest(chat.screen, work, "test") for _ in range(3)]
            await chat.until(lambda: workers[-1].is_finished)
            gc.collect()
    assert begun == [0]
    assert [str(one.message) for one in told if "never awaited" in str(one.message)] == []
