"""The OpenMP runtime for systems that have none.

llama.cpp's wheel for Linux needs `libgomp.so.1`, which slim images lack. scikit-learn's wheel
carries a copy, and putting that where the child finds it needs no root.
"""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

from engine.llm.base import ModelError
from engine.llm.large_files import disk_error, one_at_a_time
from engine.llm.wheels import WheelFile, fetch_member

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = "libgomp.so.1"

_ANY_PYTHON = ("--implementation", "cp", "--python-version", "3.12", "--abi", "cp312", "--platform")

WHEELS = {
    "x86_64": WheelFile(
        requirement="scikit-learn==1.9.1",
        wheel_sha256="e5d7b18a5b9dca241a74695f3275fa4c895a9dadc72b3d8df5fa9d1083c9b83e",
        wheel_bytes=9_166_043,
        member="scikit_learn.libs/libgomp-e985bcbb.so.1.0.0",
        member_sha256="a43904e4fa297301d4640dc1bb3c8a3480b406f99e498eba9b1914b68aab604a",
        member_bytes=253_289,
        target=(*_ANY_PYTHON, "manylinux_2_28_x86_64"),
    ),
    "aarch64": WheelFile(
        requirement="scikit-learn==1.9.1",
        wheel_sha256="e4c20a6c017d820faa7ac8c783e3d0c6a9a2e297bf9f55332ca17cdf7fd4d04d",
        wheel_bytes=8_871_592,
        member="scikit_learn.libs/libgomp-a49a47f9.so.1.0.0",
        member_sha256="43642df04bdf20f9b4122d336ef3e2e6a486c536e614159ac0e981a901d54537",
        member_bytes=343_345,
        target=(*_ANY_PYTHON, "manylinux_2_28_aarch64"),
    ),
}
"""By `platform.machine()`."""


async def fetch_runtime_library(folder: Path, error: str) -> None:
    """Put the library that a loader's message misses into `folder`.

    Args:
        folder: Where the child looks for shared libraries.
        error: The loader's message.

    Raises:
        ModelError: It is another library, or none is known for this machine (`runtime_missing`);
            or it can't be fetched.
    """
    wheel = WHEELS.get(platform.machine()) if sys.platform == "linux" else None
    if wheel is None or LIBRARY not in error or (folder / LIBRARY).exists():
        raise ModelError(
            "runtime_missing",
            f"The embedded model's runtime can't be loaded: {error}.",
            "Install scrubjay again, or the library that the message names; or use Ollama.",
        )
    try:
        async with one_at_a_time(folder):
            if not (folder / LIBRARY).exists():
                await fetch_member(wheel, folder / LIBRARY, lambda done, total: None)
    except OSError as failure:
        raise disk_error(failure, folder) from failure
    except ModelError as failure:
        if failure.kind != "offline":
            raise
        raise ModelError(
            "offline",
            f"This system lacks {LIBRARY}, and the package index can't be reached to fetch it.",
            "Install it (Debian, Ubuntu: `apt install libgomp1`), or connect and try again.",
        ) from failure
