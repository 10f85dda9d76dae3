"""`scrubjay research`: an answer from local files by the real model, with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.embedded_weights import models_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scrubjay


def test_local_files_are_looked_up_and_cited(scrubjay: Scrubjay, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "jays.md").write_text("# Jays\n\nA jay hides thousands of acorns every autumn.\n")
    settings = {
        "SCRUBJAY_MODELS_DIR": str(models_folder()),
        "SCRUBJAY_MODEL_MAX_TOKENS": "40",
        "SCRUBJAY_RESEARCH_OFFLINE": "true",
    }
    file = scrubjay.paths.settings_file
    file.parent.mkdir(parents=True)
    file.write_text(f'[research]\nfolders = ["{notes}"]\n')
    result = scrubjay.run("research", "--json", "How many acorns does a jay hide?", **settings)
    assert result.code == 0, result
    found = result.json
    assert found["answer"]
    assert found["model"] == "embedded:smollm2-135m"
    assert found["topics"]["topics"]
    assert {source["name"] for source in found["sources"]} >= {"files", "conversations"}
    assert all(source["state"] == "done" for source in found["sources"])
    article = found["articles"][0]
    assert article["title"] == "Jays"
    assert article["number"] == 1
    assert 0 < article["relevance"] <= 1
    assert found["report"]["count"] >= 1
    assert not found["report"]["failure"]
    listed = scrubjay.run("sessions", "list", "--json").json
    assert listed[0]["id"] == found["session_id"]
