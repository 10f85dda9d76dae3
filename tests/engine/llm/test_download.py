"""Adding a model from an address: resumed, checked, and whole or not at all."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from engine.llm import catalog, weights
from engine.llm.base import ModelError
from engine.llm.catalog import DEFAULT
from tests.embedded_weights import paths_under
from tests.engine.llm.file_server import FileServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.config import Paths

HASH = weights.DEFAULT_WHEEL.member_sha256
SIZE = weights.DEFAULT_WHEEL.member_bytes


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_under(tmp_path)


@pytest.fixture(scope="module")
def gguf(models_dir: Path) -> bytes:
    return (models_dir / f"{DEFAULT}.gguf").read_bytes()


@pytest.fixture
def hub(gguf: bytes) -> Iterator[FileServer]:
    with serving(gguf) as server:
        yield server


def names(paths: Paths) -> list[str]:
    return sorted(file.name for file in paths.models_dir.iterdir() if file.name != ".lock")


async def test_a_file_comes_whole_and_is_known_by_its_hash(paths: Paths, hub: FileServer) -> None:
    steps: list[tuple[int, int | None]] = []
    hub.stated_sha256 = HASH
    model = await weights.add(paths, hub.url, progress=lambda *step: steps.append(step))
    assert model == catalog.find(paths, "file")
    assert model.sha256 == HASH
    assert model.source == hub.url
    assert steps[0] == (0, SIZE)
    assert steps[-1] == (SIZE, SIZE)
    assert names(paths) == ["file.gguf", "file.json"]


async def test_a_broken_fetch_goes_on_where_it_stopped(paths: Paths, hub: FileServer) -> None:
    hub.break_after = 30_000_000
    with pytest.raises(ModelError, match="broke after 29 MB") as broken:
        await weights.add(paths, hub.url)
    assert broken.value.kind == "offline"
    assert catalog.installed(paths) == []
    hub.break_after = None
    steps: list[tuple[int, int | None]] = []
    model = await weights.add(paths, hub.url, progress=lambda *step: steps.append(step))
    assert steps[0][0] > 28_000_000
    assert steps[-1] == (SIZE, SIZE)
    assert model.sha256 == HASH
    assert names(paths) == ["file.gguf", "file.json"]


async def test_a_cancelled_fetch_goes_on_where_it_stopped(paths: Paths, hub: FileServer) -> None:
    done = 0

    def progress(now: int, total: int | None) -> None:
        nonlocal done
        done = now

    fetch = asyncio.create_task(weights.add(paths, hub.url, progress=progress))
    deadline = time.monotonic() + 20
    while done < 5_000_000:
        assert time.monotonic() < deadline
        await asyncio.sleep(0)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    model = await weights.add(paths, hub.url)
    assert hub.ranges[1]
    assert model.sha256 == HASH


async def test_content_that_has_changed_meanwhile_is_fetched_anew(
    paths: Paths, hub: FileServer
) -> None:
    hub.break_after = 1_000_000
    with pytest.raises(ModelError):
        await weights.add(paths, hub.url)
    hub.break_after = None
    hub.etag = '"second"'
    assert (await weights.add(paths, hub.url)).sha256 == HASH


async def test_damage_on_the_way_is_found_by_the_hub_s_hash(
    paths: Paths, hub: FileServer, gguf: bytes
) -> None:
    hub.stated_sha256 = HASH
    hub.content = gguf[:-6] + b"damage"
    with pytest.raises(ModelError, match="It was deleted") as refused:
        await weights.add(paths, hub.url)
    assert refused.value.kind == "corrupt"
    assert names(paths) == []


async def test_damage_on_the_way_is_found_by_the_given_hash(paths: Paths, hub: FileServer) -> None:
    with pytest.raises(ModelError) as refused:
        await weights.add(paths, hub.url, sha256="0" * 64)
    assert refused.value.kind == "corrupt"
    assert names(paths) == []


async def test_a_web_page_is_not_taken_for_a_model(paths: Paths, hub: FileServer) -> None:
    hub.content = b"<!DOCTYPE html><title>Sign in</title>" + bytes(3_000_000)
    with pytest.raises(ModelError, match="not a GGUF file") as refused:
        await weights.add(paths, hub.url)
    assert refused.value.kind == "not_gguf"
    assert "/resolve/" in refused.value.failure.next_step
    assert names(paths) == []


async def test_a_file_cut_short_by_its_owner_is_refused(
    paths: Paths, hub: FileServer, gguf: bytes
) -> None:
    hub.content = gguf[:3_000_000]
    with pytest.raises(ModelError, match="cut short"):
        await weights.add(paths, hub.url)
    assert names(paths) == []


async def test_a_login_wall_says_what_to_do(paths: Paths, hub: FileServer) -> None:
    hub.status = 401
    with pytest.raises(ModelError, match="answered 401") as refused:
        await weights.add(paths, hub.url)
    assert "scrubjay models add FILE" in refused.value.failure.next_step


async def test_a_dead_address_is_offline(paths: Paths) -> None:
    with pytest.raises(ModelError, match="can't be reached") as offline:
        await weights.add(paths, "http://127.0.0.1:9/model.gguf")
    assert offline.value.kind == "offline"


async def test_plain_http_needs_a_hash(paths: Paths) -> None:
    with pytest.raises(ModelError, match="Anybody on the way") as refused:
        await weights.add(paths, "http://models.example/model.gguf")
    assert "SHA-256" in refused.value.failure.next_step


@pytest.mark.parametrize(
    "address", ["ftp://models.example/model.gguf", "https:///model.gguf", "https://a:b/model.gguf"]
)
async def test_an_address_that_is_none_is_refused(paths: Paths, address: str) -> None:
    with pytest.raises(ModelError) as refused:
        await weights.add(paths, address)
    assert refused.value.kind == "fetch_failed"
