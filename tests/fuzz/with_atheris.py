"""Fuzzes the same places with atheris, which looks for inputs that reach new code.

    python -m tests.fuzz.with_atheris [PLACE ...] [-max_total_time=SECONDS] [-seed=N]

The options are libFuzzer's. An input that does harm is written into the folder it is run in.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["tui", "engine", "storage"]):
    from tests.fuzz.places import PLACES
    from tests.fuzz.texts import CORPUS

SECONDS = 600
LONGEST = 20_000
"""Bytes of an input."""


def main(arguments: list[str]) -> None:
    """Fuzz for ten minutes, or as the options say."""
    options = [one for one in arguments if one.startswith("-")]
    chosen = [one for one in arguments if not one.startswith("-")]
    known = {place.__name__: place for place in PLACES}
    if unknown := set(chosen) - set(known):
        sys.exit(f"There is no place {', '.join(unknown)}; there are: {', '.join(known)}.")
    places = [known[name] for name in chosen] or list(PLACES)

    def one_input(data: bytes) -> None:
        """The first byte says where, the rest is the text."""
        if data:
            text = data[1:].decode("utf-8", "surrogateescape" if data[0] & 1 else "replace")
            places[data[0] % len(places)](text)

    with tempfile.TemporaryDirectory() as folder:
        for place in range(len(places)):
            for name, text in CORPUS.items():
                seed: Any = bytes([place]) + text.encode()
                (Path(folder) / f"{place}-{name}").write_bytes(seed)
        defaults = [f"-max_total_time={SECONDS}", f"-max_len={LONGEST}"]
        atheris.Setup([sys.argv[0], *defaults, *options, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
