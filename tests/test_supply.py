"""What Scrubjay is made of: locked by hash, and listed with licences that go with MIT."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from license_expression import AND, OR, LicenseWithExceptionSymbol, get_spdx_licensing

from engine.llm.catalog import DEFAULT, KNOWN
from engine.llm.weights import DEFAULT_WHEEL
from tests.tools.licences import licence
from tests.tools.sbom import RUNTIME_LICENCE, Locked, locked

ROOT = Path(__file__).parents[1]
LISTED = (ROOT / "THIRD_PARTY_LICENSES.md").read_text(encoding="utf-8")
LOCKED = locked()

GO_WITH_MIT = {
    *("MIT", "MIT-0", "0BSD", "ISC", "Zlib", "CC0-1.0", "Unlicense", "BSD-2-Clause"),
    *("BSD-3-Clause", "Apache-2.0", "PSF-2.0", "CNRI-Python"),
    # Of a package that stays a file of its own, unchanged: its own terms hold for it alone.
    *("MPL-1.1", "MPL-2.0"),
}
"""Licences of what may be installed beside a program under MIT without a word of it changing."""


def goes_with_mit(expression: str) -> bool:
    """Whether one of the ways to read an expression of SPDX needs nothing but the above."""
    return _fits(get_spdx_licensing().parse(expression, validate=True))


def _fits(node: Any) -> bool:
    if isinstance(node, AND):
        return all(map(_fits, node.args))
    if isinstance(node, OR):
        return any(map(_fits, node.args))
    # An exception to a licence is more than it: what is linked at run time, and not copied.
    return isinstance(node, LicenseWithExceptionSymbol) or node.key in GO_WITH_MIT


@pytest.mark.parametrize("package", LOCKED, ids=lambda package: f"{package.name}-{package.version}")
def test_every_package_is_locked_by_hash_under_a_licence_that_goes_with_ours(
    package: Locked,
) -> None:
    assert package.hashes
    found = distribution(package.name)
    # Some are locked in one version for each of several Pythons.
    assert found.version in {other.version for other in LOCKED if other.name == package.name}
    assert goes_with_mit(licence(found))


def test_every_package_that_the_program_needs_is_listed_with_its_licence() -> None:
    rows = dict(re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", LISTED, re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    building = {"editables", "hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers"}
    assert '"hatchling' in project
    for package in LOCKED:
        if package.name not in building:
            assert rows[package.name] == licence(distribution(package.name))


def test_models_and_what_is_fetched_are_under_licences_that_allow_it() -> None:
    assert DEFAULT_WHEEL.requirement in LISTED
    assert RUNTIME_LICENCE in " ".join(LISTED.split())
    assert goes_with_mit(RUNTIME_LICENCE)
    assert goes_with_mit(KNOWN[DEFAULT].licence)
    # The others are fetched by whoever agrees to their terms, which the list of models shows.
    assert all(model.licence for model in KNOWN.values())


def test_licences_that_do_not_go_with_ours_are_noticed() -> None:
    assert not goes_with_mit("GPL-3.0-only")
    assert not goes_with_mit("MIT AND AGPL-3.0-only")
    assert goes_with_mit("GPL-2.0-only OR MIT")


def test_the_bill_of_materials_has_every_package_and_the_weights() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.sbom"], cwd=ROOT, capture_output=True, check=True
    )
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["bom-ref"]: part for part in bill["components"]}
    for package in LOCKED:
        part = parts[f"pkg:pypi/{package.name}@{package.version}"]
        assert part["licenses"]
        (reference,) = part["externalReferences"]
        assert {each["content"] for each in reference["hashes"]} == set(package.hashes)
    weights = parts["weights:smollm2-135m"]
    assert weights["type"] == "machine-learning-model"
    assert weights["hashes"][0]["content"] == DEFAULT_WHEEL.member_sha256
    (needs,) = (each for each in bill["dependencies"] if each["ref"] == "scrubjay")
    assert set(needs["dependsOn"]) == set(parts)
