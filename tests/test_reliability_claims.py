"""docs/reliability.md: every fault in its tables names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_security_claims import NAMED, found_in

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
FAULTS = PAGE.partition("## The faults")[2].partition("## The soak")[0]
ROWS = [row for row in re.findall(r"^\|(.+)\|$", FAULTS, re.MULTILINE) if "| ---" not in row]


def test_every_fault_says_what_is_seen_and_names_a_test() -> None:
    rows = [row for row in ROWS if not row.endswith(" the test ")]
    assert len(rows) > 50
    for row in rows:
        what, seen, tests = (cell.strip() for cell in row.split("|"))
        assert what
        assert seen
        assert NAMED.search(tests), row


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(FAULTS))))
def test_every_named_test_is_there(file: str, name: str) -> None:
    assert name in found_in(ROOT / file)


def test_every_test_of_a_fault_is_told() -> None:
    """What the doctor, the machine and the servers are tested for stands on the page."""
    for file in ("test_doctor.py", "test_machine.py", "test_servers.py"):
        told = {name for where, name in NAMED.findall(FAULTS) if where.endswith(f"faults/{file}")}
        assert found_in(ROOT / "tests" / "faults" / file) == told
