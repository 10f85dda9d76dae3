"""The analysis: what its script finds, and every way in which a script may fail."""

from __future__ import annotations

import asyncio
import json
import math
import os
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.research import analysis
from engine.research.analysis import Keyword, OfSource, Period, analyse
from engine.research.analysis_script import read, report, written
from storage.articles import Draft
from tests.engine.research.support import holds

if TYPE_CHECKING:
    from pathlib import Path


def article(number: int, **changes: object) -> Draft:
    fields: dict[str, object] = {
        "url": f"https://x.example/{number}",
        "source": "arxiv" if number % 2 else "wikipedia",
        "title": f"Number {number}",
        "text": "The scrub jay hides an acorn. The scrub jay is a bird.",
        "relevance": number / 10,
        "published_at": 1_600_000_000.0 + number * 40_000_000,
        **changes,
    }
    return Draft(**fields)  # type: ignore[arg-type]


async def test_the_figures_are_those_of_the_articles() -> None:
    found = await analyse([article(number) for number in (1, 2, 3, 4)])
    assert found.failure == ""
    assert found.count == 4
    assert found.mean == pytest.approx(0.25)
    assert found.deviation == pytest.approx(math.sqrt(0.0125))
    assert found.sources == (
        OfSource(source="arxiv", count=2, mean=0.2),
        OfSource(source="wikipedia", count=2, mean=0.30000000000000004),
    )
    assert [top.title for top in found.top] == ["Number 4", "Number 3", "Number 2", "Number 1"]
    assert found.histogram == (0, 1, 1, 1, 1, 0, 0, 0, 0, 0)
    assert found.keywords[0] == Keyword(term="scrub jay", count=8)
    assert "the" not in {keyword.term for keyword in found.keywords}
    assert found.timeline == (
        Period(period="2021", count=1),
        Period(period="2023", count=1),
        Period(period="2024", count=1),
        Period(period="2025", count=1),
    )
    assert found.words == 48
    assert found.reading_minutes == 0.2


async def test_there_is_a_report_on_no_articles_and_on_unranked_ones() -> None:
    assert (await analyse([])).count == 0
    found = await analyse([article(1, relevance=None, published_at=None)])
    assert (found.count, found.mean, found.timeline) == (1, None, ())


def test_articles_of_two_years_are_told_by_month() -> None:
    articles = [
        {"title": "a", "text": "", "source": "s", "published": at}
        for at in (1_735_700_000, 1_735_700_001, 1_738_500_000)
    ]
    assert report(articles)["timeline"] == [
        {"period": "2025-01", "count": 2},
        {"period": "2025-02", "count": 1},
    ]


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("raise SystemExit(3)", "The analysis failed, with the exit status 3."),
        ("1 / 0", "The analysis failed, with the exit status 1."),
        (
            "import os; os.kill(os.getpid(), 11)",
            "The analysis crashed: SIGSEGV.",
        ),
        ("print('hello')", "The analysis answered something that is no report."),
        ("print('[1, 2]')", "The analysis answered something that is no report."),
        ('print(\'{"count": "many"}\')', "The analysis answered something that is no report."),
        (
            "import sys; sys.stdout.buffer.write(bytes([255, 254, 0]))",
            "The analysis answered something that is no report.",
        ),
        ("pass", "The analysis answered something that is no report."),
        (
            "import time; time.sleep(60)",
            "The analysis was ended: it took longer than 1 s.",
        ),
        (
            "while True: print('x' * 10_000)",
            "The analysis was ended: it wrote more than 256,000 bytes.",
        ),
        (
            # What is read was sent after the bounds were set from outside.
            "import sys; sys.stdin.read(); bytes(2_000_000_000)",
            "The analysis failed, with the exit status 1.",
        ),
        (
            "import sys; sys.stdin.close(); import time; time.sleep(60)",
            "The analysis was ended: it took longer than 1 s.",
        ),
    ],
)
async def test_a_script_that_fails_is_told_of(tmp_path: Path, script: str, failure: str) -> None:
    file = tmp_path / "script.py"
    file.write_text(script)
    found = await analyse([article(1)] * 2_000, script=file, seconds=1.0)
    assert found.failure == failure


async def test_what_a_script_has_started_ends_with_it(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "time.sleep(60)\n"
    )
    before = {child.pid for child in psutil.Process().children()}
    analysing = asyncio.ensure_future(analyse([], script=file, seconds=30.0))
    us = psutil.Process()

    def family() -> list[psutil.Process]:
        return [
            child
            for direct in us.children()
            if direct.pid not in before
            for child in direct.children()
        ]

    await holds(family)
    [grandchild] = family()
    analysing.cancel()
    await asyncio.wait([analysing])
    await holds(lambda: not grandchild.is_running() or grandchild.status() == "zombie", 2)
    assert {child.pid for child in us.children()} <= before


async def test_the_script_sees_no_environment_and_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the user")
    file, out = tmp_path / "script.py", tmp_path / "out"
    file.write_text(
        "import os, sys, json\n"
        "assert 'SECRET' not in os.environ and sys.flags.isolated\n"
        f"try:\n    os.write(os.open({str(out)!r}, os.O_CREAT | os.O_WRONLY), b'x')\n"
        "except OSError:\n    print('{}')\n"
    )
    assert (await analyse([], script=file)).failure == ""
    assert not out.exists() or out.stat().st_size == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
async def test_the_real_script_can_open_and_start_nothing_once_it_reads(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    source = analysis.SCRIPT.read_text()
    file.write_text(
        source.replace(
            "    json.dump(report(json.load(sys.stdin))",
            "    try:\n        open('/etc/hostname')\n    except OSError:\n        pass\n"
            "    else:\n        raise SystemExit(9)\n"
            "    json.dump(report(json.load(sys.stdin))",
        )
    )
    assert (await analyse([article(1)], script=file)).failure == ""


JSON = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(value=JSON)
def test_the_script_reads_and_writes_json_as_json_is(value: object) -> None:
    assert read(json.dumps(value)) == value
    assert json.loads(written(value)) == value
