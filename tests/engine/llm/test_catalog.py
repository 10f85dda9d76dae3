"""The catalogue of embedded models, and what GGUF files say of themselves."""

from __future__ import annotations

import contextlib
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm import catalog, weights
from engine.llm.base import ModelError
from engine.llm.catalog import DEFAULT, KNOWN
from engine.llm.gguf import NotGGUFError, read_header, short_count
from tests.embedded_weights import paths_under
from tests.engine.llm.gguf_files import CHAT, gguf, write

if TYPE_CHECKING:
    from engine.config import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_under(tmp_path)


def test_a_file_tells_its_window_size_and_kind(tmp_path: Path) -> None:
    header = read_header(write(tmp_path, gguf(CHAT)))
    assert header.architecture == "llama"
    assert header.context_length == 2048
    assert header.quantization == "Q4_K_M"
    assert header.licence == "mit"
    assert header.parameters == 4
    assert header.has_chat_template
    assert header.control_tokens == ()


def test_the_real_weights_tell_their_control_tokens(models_dir: Path) -> None:
    header = read_header(models_dir / f"{DEFAULT}.gguf")
    assert {"<|im_start|>", "<|im_end|>"} <= set(header.control_tokens)
    assert "the" not in header.control_tokens
    assert header.parameters == 134_515_008


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a GGUF file"),
        (b"GG", "not a GGUF file"),
        (b"GGUF", "damaged or cut short"),
        (gguf(CHAT, version=1), "version 1"),
        (gguf(CHAT)[:60], "damaged or cut short"),
        (gguf(CHAT)[:-64], "cut short"),
        (gguf({"general.architecture": 7}), "damaged"),
        (gguf({}), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), "damaged"),
    ],
)
def test_a_file_that_is_damaged_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(NotGGUFError, match=complaint):
        read_header(write(tmp_path, content))


def test_no_cut_of_a_file_is_taken_for_a_model(tmp_path: Path) -> None:
    whole = gguf(CHAT)
    for length in range(len(whole) - 64):
        with pytest.raises(NotGGUFError):
            read_header(write(tmp_path, whole[:length]))


@given(st.data())
def test_no_damage_breaks_the_reader(data: st.DataObject) -> None:
    content = bytearray(gguf(CHAT))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(4, len(content) - 1))
        content[at] = data.draw(st.sampled_from([0, 1, 8, 9, 127, 128, 255]))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(NotGGUFError):
        read_header(write(Path(folder), bytes(content)))


async def test_models_without_a_chat_template_are_refused(paths: Paths, tmp_path: Path) -> None:
    base = {key: value for key, value in CHAT.items() if key != "tokenizer.chat_template"}
    with pytest.raises(ModelError, match="no chat template"):
        await weights.add(paths, str(write(tmp_path, gguf(base))))


async def test_one_part_of_a_model_is_refused(paths: Paths, tmp_path: Path) -> None:
    part = write(tmp_path, gguf(CHAT | {"split.count": 3}))
    with pytest.raises(ModelError, match="one of 3 parts") as refused:
        await weights.add(paths, str(part))
    assert "llama-gguf-split --merge" in refused.value.failure.next_step


async def test_models_are_listed_with_the_largest_first(paths: Paths, tmp_path: Path) -> None:
    small = gguf(CHAT)
    large = small.replace(struct.pack("<IQIQ", 1, 4, 0, 0), struct.pack("<IQIQ", 1, 8, 0, 0))
    await weights.add(paths, str(write(tmp_path, small, "small.gguf")))
    await weights.add(paths, str(write(tmp_path, large, "large.gguf")))
    assert [model.name for model in catalog.installed(paths)] == ["large", "small"]
    (tmp_path / "large.gguf").unlink()
    assert [model.name for model in catalog.installed(paths)] == ["small"]


async def test_a_second_model_of_the_same_name_takes_nothing_away(
    paths: Paths, tmp_path: Path
) -> None:
    first = write(tmp_path, gguf(CHAT))
    (tmp_path / "other").mkdir()
    second = write(tmp_path / "other", gguf(CHAT))
    await weights.add(paths, str(first))
    with pytest.raises(ModelError, match="already the name of the model from") as taken:
        await weights.add(paths, str(second))
    assert taken.value.kind == "name_taken"
    assert catalog.find(paths, "model").path(paths) == first
    await weights.add(paths, str(first))


async def test_a_damaged_record_hides_only_its_own_model(paths: Paths, tmp_path: Path) -> None:
    await weights.add(paths, str(write(tmp_path, gguf(CHAT))))
    (paths.models_dir / "other.json").write_text('{"name": "other"')
    assert [model.name for model in catalog.installed(paths)] == ["model"]


def test_a_model_that_is_not_there_says_how_to_get_it(paths: Paths) -> None:
    with pytest.raises(ModelError) as missing:
        catalog.find(paths, "qwen2.5-3b")
    assert missing.value.kind == "weights_missing"
    assert missing.value.failure.next_step == "Run `scrubjay models add qwen2.5-3b`."
    with pytest.raises(ModelError) as unknown:
        catalog.find(paths, "nonsense")
    assert unknown.value.kind == "model_missing"
    with pytest.raises(ModelError):
        catalog.remove(paths, "nonsense")


async def test_removing_a_fetched_model_frees_the_disk(paths: Paths, models_dir: Path) -> None:
    paths.models_dir.mkdir()
    (paths.models_dir / f"{DEFAULT}.gguf").hardlink_to(models_dir / f"{DEFAULT}.gguf")
    await weights.fetch_default(paths)
    catalog.remove(paths, DEFAULT)
    assert [file.name for file in paths.models_dir.iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["", "../x", "a b", "UPPER", ".hidden", "x" * 65])
async def test_a_name_that_could_leave_the_folder_is_refused(
    paths: Paths, tmp_path: Path, name: str
) -> None:
    file = write(tmp_path, gguf(CHAT))
    if name:
        with pytest.raises(ModelError, match="can't be a model's name"):
            await weights.add(paths, str(file), name=name)
    assert not catalog.is_name(name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "qwen2.5-7b-instruct-q4_k_m"),
        ("my model (1).GGUF", "my-model-1"),
        ("...", "model"),
    ],
)
def test_files_give_models_their_names(file: str, name: str) -> None:
    assert catalog.name_for(file) == name
    assert catalog.is_name(name)


def test_known_models_can_be_named_and_fetched_safely() -> None:
    for name, known in KNOWN.items():
        assert known.name == name
        assert catalog.is_name(name)
        assert known.url.startswith("https://") or (name == DEFAULT and not known.url)
        assert known.licence
        assert known.size_bytes > 50_000_000


def test_counts_are_written_as_people_write_them() -> None:
    assert short_count(134_515_008) == "135M"
    assert short_count(7_615_616_512) == "7.6B"
