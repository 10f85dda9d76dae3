"""Soak, and print what came of it."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import tests.soak
from tests.embedded_weights import models_folder
from tests.soak.run import soak


def main() -> int:
    """Returns 1 when there was a problem."""
    parser = argparse.ArgumentParser(
        prog="make soak ARGS=…",
        description=tests.soak.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    again = f"make soak ARGS='--minutes {options.minutes:g} --seed {options.seed}'"
    print(again, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        result = soak(
            Path(folder),
            models_folder(),
            options.seed,
            seconds=60 * options.minutes,
            as_a_program=True,
        )
    print(json.dumps(result, indent=2))
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
