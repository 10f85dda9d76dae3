"""`scrubjay models`: listed, added and removed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx

from tests.embedded_weights import models_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scrubjay


def test_known_models_are_listed_with_their_size_and_licence(scrubjay: Scrubjay) -> None:
    listed = scrubjay.run("models", "list")
    assert listed.code == 0
    assert listed.out.startswith("No model is ready to answer yet.")
    [line] = [line for line in listed.out.splitlines() if " smollm2-360m " in line]
    assert "0.4 GB" in line
    assert "Apache-2.0" in line
    assert {model["name"] for model in scrubjay.run("models", "list", "--json").json["known"]} > {
        "smollm2-135m",
        "qwen2.5-1.5b",
    }


def test_a_file_of_ones_own_is_added_and_left_alone_when_removed(
    scrubjay: Scrubjay, tmp_path: Path
) -> None:
    file = tmp_path / "Mine.gguf"
    shutil.copy(models_folder() / "smollm2-135m.gguf", file)
    added = scrubjay.run("models", "add", str(file), "--name", "mine")
    assert added.code == 0, added
    assert "embedded:mine is ready" in added.out
    [ready] = scrubjay.run("models", "list", "--json").json["ready"]
    assert ready["ref"] == "embedded:mine"
    assert ready["context_length"] == 8192

    assert scrubjay.run("models", "remove", "embedded:mine").code == 0
    assert scrubjay.run("models", "list", "--json").json["ready"] == []
    assert file.is_file()


def test_a_file_with_another_hash_is_refused(scrubjay: Scrubjay, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF and nothing more")
    refused = scrubjay.run("models", "add", str(file), "--sha256", "0" * 64)
    assert refused.code == 1
    assert "SHA-256" in refused.err


def test_what_is_no_model_is_told_with_the_known_names(scrubjay: Scrubjay) -> None:
    refused = scrubjay.run("models", "add", "nothing-of-the-kind")
    assert refused.code == 1
    assert "neither a known model" in refused.err
    assert "qwen2.5-1.5b" in refused.err


def test_a_model_of_ollama_needs_its_server(scrubjay: Scrubjay) -> None:
    for action in ("add", "remove"):
        refused = scrubjay.run("models", action, "ollama:llama3.2")
        assert refused.code == 1
        assert "Ollama" in refused.err
        assert "`ollama serve`" in refused.err


def test_a_model_is_removed_from_a_server(scrubjay: Scrubjay, ollama_host: str) -> None:
    copy = {"source": "smollm2:135m", "destination": "scrubjay-test-cli"}
    url = f"http://{ollama_host.removeprefix('http://')}/api/copy"
    httpx.post(url, json=copy, trust_env=False).raise_for_status()
    removed = scrubjay.run("models", "remove", "ollama:scrubjay-test-cli", OLLAMA_HOST=ollama_host)
    assert removed.code == 0
    assert "`scrubjay models add ollama:scrubjay-test-cli` brings it back" in removed.out
    again = scrubjay.run("models", "remove", "ollama:scrubjay-test-cli", OLLAMA_HOST=ollama_host)
    assert again.code == 1


def test_a_model_that_is_not_there_can_not_be_removed(scrubjay: Scrubjay) -> None:
    refused = scrubjay.run("models", "remove", "nobody")
    assert refused.code == 1
    assert "no embedded model called nobody" in refused.err


def test_the_models_of_a_server_are_listed(scrubjay: Scrubjay, ollama_host: str) -> None:
    listed = scrubjay.run("models", "list", "--json", OLLAMA_HOST=ollama_host)
    assert "ollama:smollm2:135m" in [model["ref"] for model in listed.json["ready"]]


def test_it_is_told_which_server_has_a_model(scrubjay: Scrubjay, ollama_host: str) -> None:
    both = {"OLLAMA_HOST": "127.0.0.1:1", "SCRUBJAY_OLLAMA_HOSTS": ollama_host}
    listed = scrubjay.run("models", "list", "--json", **both)
    [model] = [one for one in listed.json["ready"] if one["ref"] == "ollama:smollm2:135m"]
    assert [host["name"] for host in model["hosts"]] == [ollama_host]
    [line] = [
        line for line in scrubjay.run("models", "list", **both).out.splitlines() if ":135m " in line
    ]
    assert f"on {ollama_host}" in line
