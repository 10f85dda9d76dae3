"""Writes THIRD_PARTY_LICENSES.md from what the installed packages say of themselves.

python -m tests.tools.licences          writes the file
python -m tests.tools.licences --check  fails when it would be another
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from engine.llm.runtime_library import WHEELS
from engine.llm.weights import DEFAULT_WHEEL

ROOT = Path(__file__).parents[2]
FILE = ROOT / "THIRD_PARTY_LICENSES.md"

SPDX = {
    "PSFL": "PSF-2.0",
    "The BSD 2-Clause License": "BSD-2-Clause",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Apache Software": "Apache-2.0",
}
"""What packages from before SPDX call their licences."""

HEAD = """\
# Third-party licences

Scrubjay itself is under the MIT licence (`LICENSE`). This file is made by `make licences`.

## Packages that are installed with Scrubjay

Each carries the text of its licence in its own wheel; `requirements.lock` has the versions.

| package | licence |
| --- | --- |
"""

REST = """
The wheel of xllamacpp contains llama.cpp and ggml (MIT, Copyright (c) The ggml authors).

## What is fetched while Scrubjay runs

| what | where from | licence |
| --- | --- | --- |
| SmolLM2-135M-Instruct, the default model | `{weights}`, one file of it | Apache-2.0 |
| libgomp, only where the system has none | `{runtime}`, one file of it | GPL-3.0-or-later \
WITH GCC-exception-3.1 |

SmolLM2-135M-Instruct was made by Hugging Face (Loubna Ben Allal and others); the file is a
quantised (Q4_1) conversion of it. The Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0

Other models that `scrubjay models add` fetches are under licences of their own, which
`scrubjay models list` names.

## What is in Scrubjay's own package

`assets/tokenizers/o200k_base.tiktoken.gz` is the vocabulary `o200k_base` of tiktoken:

"""


def main() -> None:
    """Write the file."""
    FILE.write_text(_text(), encoding="utf-8")


def needed() -> dict[str, Distribution]:
    """The packages that the program needs here, by their normalised names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, Distribution] = {}
    followed: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found.setdefault(name, distribution(name))
        # One package may want another plain, and the next one the same with an extra.
        for extra in {"", *requirement.extras}:
            if (name, extra) not in followed:
                followed.add((name, extra))
                waiting += _required_by(found[name], extra)
    return found


def _text() -> str:
    rows = [f"| {name} | {licence(found)} |" for name, found in needed().items()]
    rest = REST.format(
        weights=DEFAULT_WHEEL.requirement, runtime=next(iter(WHEELS.values())).requirement
    )
    notice = _licence_text(distribution("tiktoken"))
    quoted = "\n".join(f"> {line}".rstrip() for line in notice.strip().splitlines())
    return f"{HEAD}{chr(10).join(sorted(rows))}\n{rest}{quoted}\n"


def _required_by(package: Distribution, extra: str) -> list[Requirement]:
    requirements = map(Requirement, package.requires or ())
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    ]


def licence(found: Distribution) -> str:
    """A package's licence as an expression of SPDX, where the package names one."""
    named = _named(found)
    return SPDX.get(named, named)


def _named(found: Distribution) -> str:
    metadata = found.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    named = metadata["License"].strip() if "License" in metadata else ""
    if named and len(named.splitlines()) == 1 and len(named) < 40:
        return named
    for classifier in metadata.get_all("Classifier") or ():
        if classifier.startswith("License :: OSI Approved :: "):
            return re.sub(r" License$", "", classifier.rpartition(" :: ")[2])
    return _licence_text(found).strip().splitlines()[0].removesuffix(" License")


def _licence_text(found: Distribution) -> str:
    [file] = [file for file in found.files or () if re.search(r"/LICEN[CS]E[^/]*$", str(file))]
    return file.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
