"""A model of a real Ollama server that sees: the tests' chat model behind an eye of chance numbers.

It takes images as any such model does, and what it says of them means nothing. The eye is a
projector as llama.cpp reads it (`tools/mtmd/clip.cpp`): 28×28 pixels in four patches, each of which
becomes one token of the prompt.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import numpy as np
from gguf import GGUFWriter

from tests.ollama_server import CHAT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE_TOKENS = 4

_PIXELS, _PATCH = 28, 14
_WIDTH, _INNER, _BLOCKS = 32, 64, 2
_OUT = 576
"""What the chat model takes for one token."""


def make_seeing_model(host: str, folder: Path) -> str:
    """Let a server have such a model. Returns its name."""
    name = "scrubjay-test-see"
    file = folder / "eye.gguf"
    _write_eye(file)
    eye = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    with httpx.Client(base_url=f"http://{host}", trust_env=False, timeout=60) as http:
        http.post(f"/api/blobs/{eye}", content=file.read_bytes()).raise_for_status()
        told = http.post("/api/show", json={"model": CHAT_MODEL}).raise_for_status().json()
        [weights] = (
            line.rpartition("sha256-")[2]
            for line in told["modelfile"].splitlines()
            if line.startswith("FROM")
        )
        make = {
            "model": name,
            "files": {"chat.gguf": f"sha256:{weights}", "eye.gguf": eye},
            "template": told["template"],
            "parameters": {"num_thread": 1},
            "stream": False,
        }
        http.post("/api/create", json=make).raise_for_status()
    return name


def _write_eye(file: Path) -> None:
    writer = GGUFWriter(file, "clip")
    writer.add_string("general.type", "projector")
    writer.add_bool("clip.has_text_encoder", False)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_string("clip.projector_type", "mlp")
    for key, number in {
        "image_size": _PIXELS,
        "patch_size": _PATCH,
        "embedding_length": _WIDTH,
        "feed_forward_length": _INNER,
        "projection_dim": _OUT,
        "attention.head_count": 2,
        "block_count": _BLOCKS,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    chance = np.random.default_rng(0)
    for name, shape in _tensors():
        writer.add_tensor(name, (0.02 * chance.standard_normal(shape)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "v.class_embd", (_WIDTH,)
    yield "v.patch_embd.weight", (_WIDTH, 3, _PATCH, _PATCH)
    yield "v.position_embd.weight", (IMAGE_TOKENS + 1, _WIDTH)
    layers: dict[str, tuple[int, ...]] = {"v.pre_ln": (_WIDTH,), "v.post_ln": (_WIDTH,)}
    for block in range(_BLOCKS):
        parts: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (_WIDTH, _WIDTH)),
            **dict.fromkeys(("ln1", "ln2"), (_WIDTH,)),
            "ffn_up": (_INNER, _WIDTH),
            "ffn_down": (_WIDTH, _INNER),
        }
        layers |= {f"v.blk.{block}.{name}": shape for name, shape in parts.items()}
    layers |= {"mm.0": (_OUT, _WIDTH), "mm.2": (_OUT, _OUT)}
    for name, shape in layers.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]
