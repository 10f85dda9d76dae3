"""The embedded model's weights for tests: fetched once, by the program's own code, and kept.

They lie in `$SCRUBJAY_TEST_CACHE/models`, else in the user's cache. A test that gives the program
an empty home points `SCRUBJAY_MODELS_DIR` there.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import platformdirs

from engine.config import Paths
from engine.llm.weights import fetch_default


def models_folder() -> Path:
    """The folder that holds the default model, fetched now if it is not there yet."""
    folder = _cache() / "models"
    asyncio.run(fetch_default(paths_under(_cache(), models_dir=folder)))
    return folder


def paths_under(folder: Path, *, models_dir: Path | None = None) -> Paths:
    """All the program's folders inside one; the models where they are already, if given."""
    return Paths(
        config_dir=folder / "config",
        data_dir=folder / "data",
        state_dir=folder / "state",
        cache_dir=folder / "cache",
        models_dir=models_dir or folder / "models",
    )


def _cache() -> Path:
    chosen = os.environ.get("SCRUBJAY_TEST_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("scrubjay-tests"))
