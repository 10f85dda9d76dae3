"""What the engine's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.embedded_weights import models_folder, paths_under

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Paths


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder that holds the real default weights. Tests must not change it."""
    return models_folder()


@pytest.fixture
def embedded_paths(tmp_path: Path, models_dir: Path) -> Paths:
    """Fresh folders, with the default weights in place."""
    return paths_under(tmp_path, models_dir=models_dir)
