"""The embedded models: those known by name, and those that are on the disk.

A model is one GGUF file and one JSON record beside it, `NAME.json` in the models folder. The record
holds what was checked when the model was added, so that nothing large is read again at each start.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.llm.base import ModelError, Options
from engine.llm.gguf import GGUFHeader  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from engine.config import Paths

log = logging.getLogger(__name__)

DEFAULT = "smollm2-135m"
"""The model that the package index carries, so that it needs no model hub."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be added by its name alone."""

    name: str
    url: str = ""
    """Of the GGUF file; empty for the default, which comes from the package index."""

    licence: str
    size_bytes: int
    """About; what the server says counts."""

    parameters: str
    context_length: int
    note: str
    capabilities: frozenset[str] = frozenset({"chat"})
    options: Options = Options()
    """What this model needs where a request leaves the choice open."""


class InstalledModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model on the disk, as its record has it."""

    name: str
    file: str
    """Relative to the models folder, or absolute for a file that is used where it lies."""

    sha256: str
    size_bytes: int
    mtime_ns: int
    """Size and time of the file when its hash was last found right."""

    source: str
    """Where it came from: an address, a path, or a requirement of the package index."""

    licence: str
    header: GGUFHeader

    def path(self, paths: Paths) -> Path:
        """The GGUF file."""
        return paths.models_dir / self.file


def installed(paths: Paths) -> list[InstalledModel]:
    """The models whose file is there, the largest first: it is most likely the best."""
    found = []
    for record in sorted(paths.models_dir.glob("*.json")):
        try:
            model = msgspec.json.decode(record.read_bytes(), type=InstalledModel)
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the model record %s can't be used: %s", record, error)
            continue
        if model.path(paths).is_file():
            found.append(model)
    return sorted(found, key=lambda model: -model.header.parameters)


def find(paths: Paths, name: str) -> InstalledModel:
    """The installed model of that name.

    Raises:
        ModelError: It is not installed (`weights_missing`), or nobody knows it (`model_missing`).
    """
    for model in installed(paths):
        if model.name == name:
            return model
    if name in KNOWN:
        raise ModelError(
            "weights_missing",
            f"The model {name} has not been fetched yet ({KNOWN[name].size_bytes / 1e6:,.0f} MB).",
            f"Run `scrubjay models add {name}`.",
        )
    raise ModelError(
        "model_missing",
        f"There is no embedded model called {name}.",
        "`scrubjay models list` shows those that there are; `scrubjay models add` takes a known "
        "name, an address or a GGUF file.",
    )


def record(paths: Paths, model: InstalledModel) -> None:
    """Write a model's record; it is installed from then on."""
    file = _record_file(paths, model.name)
    part = file.with_suffix(".json.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(model)))
    part.replace(file)


def remove(paths: Paths, name: str) -> InstalledModel:
    """Take a model out, and delete its file unless the file lies outside the models folder.

    Raises:
        ModelError: It is not installed, or can't be deleted (`disk`).
    """
    model = find(paths, name)
    try:
        if not Path(model.file).is_absolute():
            model.path(paths).unlink(missing_ok=True)
        _record_file(paths, name).unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            "disk", f"{name} can't be removed: {error}.", "Delete the file by hand."
        ) from error
    return model


def name_for(text: str) -> str:
    """A model name made of a file's name: lower case, without its ending."""
    stem = text.lower().removesuffix(".gguf")
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:64] or "model"


def is_name(text: str) -> bool:
    """Whether `text` can name an embedded model."""
    return _NAME.fullmatch(text) is not None


def _record_file(paths: Paths, name: str) -> Path:
    return paths.models_dir / f"{name}.json"


_HUB = "https://huggingface.co"
_TOOLS = frozenset({"chat", "tools"})
_APACHE = "Apache-2.0"
_LLAMA = "Llama 3.2 Community License"
_GEMMA = "Gemma Terms of Use"

# The tests can't reach a model hub: the addresses are as their publishers state them. A file's hash
# is checked against the one that the hub states with the download.
KNOWN: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            name=DEFAULT,
            licence=_APACHE,
            size_bytes=92_871_040,
            parameters="135M",
            context_length=8192,
            note="A tiny demonstration model: it talks fluently, but it invents facts and can't "
            "calculate. For real answers run Ollama, or `scrubjay models add qwen2.5-1.5b`.",
            # Without a penalty it falls into loops, and warmer than this it wanders off.
            options=Options(temperature=0.2, repeat_penalty=1.1, max_tokens=400),
        ),
        KnownModel(
            name="smollm2-360m",
            url=f"{_HUB}/HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/resolve/main/"
            "smollm2-360m-instruct-q8_0.gguf",
            licence=_APACHE,
            size_bytes=386_000_000,
            parameters="360M",
            context_length=8192,
            note="Still tiny; steadier than the default.",
        ),
        KnownModel(
            name="smollm2-1.7b",
            url=f"{_HUB}/HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/resolve/main/"
            "smollm2-1.7b-instruct-q4_k_m.gguf",
            licence=_APACHE,
            size_bytes=1_055_609_824,
            parameters="1.7B",
            context_length=8192,
            note="Small, English.",
        ),
        KnownModel(
            name="qwen2.5-0.5b",
            url=f"{_HUB}/Qwen/Qwen2.5-0.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-0.5b-instruct-q4_k_m.gguf",
            licence=_APACHE,
            size_bytes=491_400_000,
            parameters="0.5B",
            context_length=32_768,
            note="Tiny, many languages.",
            capabilities=_TOOLS,
        ),
        KnownModel(
            name="qwen2.5-1.5b",
            url=f"{_HUB}/Qwen/Qwen2.5-1.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-1.5b-instruct-q4_k_m.gguf",
            licence=_APACHE,
            size_bytes=1_117_000_000,
            parameters="1.5B",
            context_length=32_768,
            note="Small, many languages: useful on any computer.",
            capabilities=_TOOLS,
        ),
        KnownModel(
            name="qwen2.5-3b",
            url=f"{_HUB}/Qwen/Qwen2.5-3B-Instruct-GGUF/resolve/main/"
            "qwen2.5-3b-instruct-q4_k_m.gguf",
            licence="Qwen Research License (not for commercial use)",
            size_bytes=2_105_000_000,
            parameters="3B",
            context_length=32_768,
            note="A good balance on a computer with 8 GB of memory.",
            capabilities=_TOOLS,
        ),
        KnownModel(
            name="qwen2.5-7b",
            url=f"{_HUB}/bartowski/Qwen2.5-7B-Instruct-GGUF/resolve/main/"
            "Qwen2.5-7B-Instruct-Q4_K_M.gguf",
            licence=_APACHE,
            size_bytes=4_683_000_000,
            parameters="7.6B",
            context_length=32_768,
            note="Good answers; slow without a graphics processor, and needs 8 GB of free memory.",
            capabilities=_TOOLS,
        ),
        KnownModel(
            name="qwen3-4b",
            url=f"{_HUB}/Qwen/Qwen3-4B-GGUF/resolve/main/Qwen3-4B-Q4_K_M.gguf",
            licence=_APACHE,
            size_bytes=2_497_280_256,
            parameters="4B",
            context_length=40_960,
            note="Thinks before it answers.",
            capabilities=frozenset({"chat", "tools", "thinking"}),
        ),
        KnownModel(
            name="llama-3.2-1b",
            url=f"{_HUB}/bartowski/Llama-3.2-1B-Instruct-GGUF/resolve/main/"
            "Llama-3.2-1B-Instruct-Q4_K_M.gguf",
            licence=_LLAMA,
            size_bytes=808_000_000,
            parameters="1.2B",
            context_length=131_072,
            note="Small, quick.",
            capabilities=_TOOLS,
        ),
        KnownModel(
            name="llama-3.2-3b",
            url=f"{_HUB}/bartowski/Llama-3.2-3B-Instruct-GGUF/resolve/main/"
            "Llama-3.2-3B-Instruct-Q4_K_M.gguf",
            licence=_LLAMA,
            size_bytes=2_019_000_000,
            parameters="3.2B",
            context_length=131_072,
            note="A good balance on a computer with 8 GB of memory.",
            capabilities=_TOOLS,
        ),
        KnownModel(
            name="gemma-3-1b",
            url=f"{_HUB}/ggml-org/gemma-3-1b-it-GGUF/resolve/main/gemma-3-1b-it-Q4_K_M.gguf",
            licence=_GEMMA,
            size_bytes=806_058_000,
            parameters="1B",
            context_length=32_768,
            note="Small, many languages.",
        ),
        KnownModel(
            name="gemma-3-4b",
            url=f"{_HUB}/ggml-org/gemma-3-4b-it-GGUF/resolve/main/gemma-3-4b-it-Q4_K_M.gguf",
            licence=_GEMMA,
            size_bytes=2_490_000_000,
            parameters="4B",
            context_length=131_072,
            note="Good answers in many languages.",
        ),
    )
}
