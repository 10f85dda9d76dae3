"""`scrubjay doctor` finds what is amiss and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.records import Role
from tests.embedded_weights import models_folder

if TYPE_CHECKING:
    from storage.store import Store
    from tests.cli.conftest import Result, Scrubjay


def test_an_empty_home_needs_nothing_done(scrubjay: Scrubjay) -> None:
    examined = scrubjay.run("doctor")
    assert examined.code == 0, examined
    names = [line.split()[1] for line in examined.out.splitlines() if "→" not in line]
    assert names == [
        *("program", "terminal", "settings", "database", "ollama"),
        *("runtime", "weights", "plugins", "disk", "log"),
    ]
    assert "scrubjay models add smollm2-135m" in examined.out
    assert not scrubjay.paths.database_file.exists()


def test_what_works_is_told(scrubjay: Scrubjay, ollama_host: str) -> None:
    scrubjay.run("sessions", "list")
    examined = scrubjay.run(
        "doctor", "--json", OLLAMA_HOST=ollama_host, SCRUBJAY_MODELS_DIR=str(models_folder())
    )
    assert examined.code == 0
    assert {found["name"]: found["state"] for found in examined.json} == {
        "program": "ok",
        "terminal": "note",
        "settings": "ok",
        "database": "ok",
        "ollama": "ok",
        "runtime": "ok",
        "weights": "ok",
        "plugins": "ok",
        "disk": "ok",
        "log": "ok",
    }


def test_a_wrong_setting_is_found_and_the_rest_still_looked_at(scrubjay: Scrubjay) -> None:
    scrubjay.paths.settings_file.parent.mkdir(parents=True)
    scrubjay.paths.settings_file.write_text("[model]\ncolour = 'blue'\n")
    examined = scrubjay.run("doctor", "--json")
    assert _problems(examined) == ["settings"]
    assert "colour" in examined.out


def test_a_file_that_is_no_database_is_found_and_left_alone(scrubjay: Scrubjay) -> None:
    scrubjay.paths.database_file.parent.mkdir(parents=True)
    scrubjay.paths.database_file.write_bytes(b"These are not the rows you look for." * 100)
    examined = scrubjay.run("doctor", "--json")
    assert _problems(examined) == ["database"]
    assert scrubjay.paths.database_file.read_bytes().startswith(b"These are not")


def test_a_damaged_database_is_repaired_and_the_old_file_kept(scrubjay: Scrubjay) -> None:
    async def fill(store: Store) -> None:
        for number in range(20):
            session = await store.sessions.create(title=f"Bird {number}")
            await store.messages.append(session.id, role=Role.USER, content="song " * 500)

    scrubjay.stored(fill)
    file = scrubjay.paths.database_file
    whole = file.read_bytes()
    cut = whole[: len(whole) * 9 // 10]
    file.write_bytes(cut)
    examined = scrubjay.run("doctor", "--json")
    assert _problems(examined) == ["database"]
    assert "scrubjay doctor --repair" in examined.out

    repaired = scrubjay.run("doctor", "--repair")
    assert repaired.code == 0, repaired
    assert "The old file is" in repaired.err
    [kept] = file.parent.glob("scrubjay.db.damaged-*")
    assert kept.read_bytes() == cut
    listed = scrubjay.run("sessions", "list", "--json").json
    assert {session["title"] for session in listed} & {f"Bird {number}" for number in range(20)}


def test_there_is_nothing_to_repair_in_an_empty_home(scrubjay: Scrubjay) -> None:
    repaired = scrubjay.run("doctor", "--repair")
    assert repaired.code == 1
    assert "There is no database" in repaired.err


def test_weights_that_changed_are_found(scrubjay: Scrubjay) -> None:
    folder = scrubjay.paths.models_dir
    folder.mkdir(parents=True)
    for file in models_folder().glob("smollm2-135m.*"):
        (folder / file.name).write_bytes(file.read_bytes())
    with (folder / "smollm2-135m.gguf").open("r+b") as weights:
        weights.seek(50_000_000)
        weights.write(b"\0" * 64)
    examined = scrubjay.run("doctor", "--json")
    assert _problems(examined) == ["weights"]
    assert "scrubjay models remove smollm2-135m" in examined.out


def test_a_server_that_is_wanted_and_missing_is_a_problem(scrubjay: Scrubjay) -> None:
    examined = scrubjay.run("doctor", "--json", SCRUBJAY_OLLAMA_HOST="127.0.0.1:1")
    assert _problems(examined) == ["ollama"]


def test_a_server_of_the_openai_kind_is_looked_at_when_one_is_set(
    scrubjay: Scrubjay, ollama_host: str
) -> None:
    url = f"http://{ollama_host}/v1"
    examined = scrubjay.run("doctor", "--json", SCRUBJAY_OPENAI_BASE_URL=url)
    [found] = [found for found in examined.json if found["name"] == "openai"]
    assert found["state"] == "ok"
    assert "smollm2:135m" in found["text"]
    examined = scrubjay.run("doctor", "--json", SCRUBJAY_OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert _problems(examined) == ["openai"]


def test_each_model_host_is_looked_at(scrubjay: Scrubjay, ollama_host: str) -> None:
    examined = scrubjay.run(
        "doctor",
        "--json",
        SCRUBJAY_OLLAMA_HOST=ollama_host,
        SCRUBJAY_OLLAMA_HOSTS="127.0.0.1:1",
        SCRUBJAY_OPENAI_HOSTS=f"http://{ollama_host}/v1, http://127.0.0.1:2/v1 SOME_KEY",
    )
    assert _problems(examined) == ["ollama 127.0.0.1:1", "openai 127.0.0.1:2"]
    found = {finding["name"]: finding["text"] for finding in examined.json}
    assert ollama_host in found["ollama"]
    assert "smollm2:135m" in found["openai"]


def test_a_cluster_that_is_set_is_looked_at(scrubjay: Scrubjay) -> None:
    nowhere = {"executor": "dask", "scheduler": "tcp://127.0.0.1:1"}
    scrubjay.paths.settings_file.parent.mkdir(parents=True)
    written = "\n".join(f'{key} = "{value}"' for key, value in nowhere.items())
    scrubjay.paths.settings_file.write_text(f"[workers]\n{written}\n")
    examined = scrubjay.run("doctor", "--json")
    assert _problems(examined) == ["workers"]
    assert "No Dask scheduler answers at tcp://127.0.0.1:1." in examined.out


@pytest.mark.parametrize("folder", ["SCRUBJAY_DATA_DIR", "SCRUBJAY_STATE_DIR"])
def test_a_folder_that_is_a_file_is_found(scrubjay: Scrubjay, folder: str) -> None:
    place = scrubjay.paths.data_dir.parent / "file"
    place.parent.mkdir(parents=True)
    place.write_text("")
    examined = scrubjay.run("doctor", "--json", **{folder: str(place)})
    assert _problems(examined) == ["database" if "DATA" in folder else "log"]


def _problems(examined: Result) -> list[str]:
    assert "Traceback" not in examined.err
    problems = [found for found in examined.json if found["state"] == "problem"]
    assert examined.code == (1 if problems else 0)
    assert all(found["next_step"] for found in problems)
    return [found["name"] for found in problems]
