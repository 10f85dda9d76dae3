"""Small GGUF files that say what a test wants them to say."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_U32 = 4
_STRING = 8


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(fields: dict[str, str | int], *, version: int = 3) -> bytes:
    """A GGUF file with these fields and one tensor of four values."""
    out = b"GGUF" + struct.pack("<IQQ", version, 1, len(fields))
    for key, value in fields.items():
        out += _text(key)
        if isinstance(value, str):
            out += struct.pack("<I", _STRING) + _text(value)
        else:
            out += struct.pack("<II", _U32, value)
    out += _text("weights") + struct.pack("<IQIQ", 1, 4, 0, 0)
    return out + bytes(64)


CHAT: dict[str, str | int] = {
    "general.architecture": "llama",
    "general.file_type": 15,
    "general.license": "mit",
    "llama.context_length": 2048,
    "tokenizer.chat_template": "{{ messages }}",
}


def write(folder: Path, content: bytes, name: str = "model.gguf") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file
