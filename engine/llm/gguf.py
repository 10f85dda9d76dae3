"""What a GGUF file says of itself: architecture, trained window, size, quantisation, chat template.

The format is described in ggml's `docs/gguf.md`; versions 2 and 3, little-endian, are read.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING = 8
_ARRAY = 9
_MOST_DIMENSIONS = 8  # ggml has 4
_CONTROL_TOKEN = 3  # llama.cpp's `enum llama_token_type`

# `general.file_type`, from llama.cpp's `enum llama_ftype`: the kinds that people publish.
_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    25: "IQ4_NL",
    30: "IQ4_XS",
    32: "BF16",
}


class NotGGUFError(Exception):
    """The file is not a GGUF file, is damaged or is cut short; the message says which."""


class GGUFHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A GGUF file's description of itself. None where it does not say."""

    architecture: str
    name: str | None = None
    licence: str | None = None
    parameters: int
    context_length: int | None = None
    """The longest window that the model was trained for, in tokens."""

    quantization: str | None = None
    has_chat_template: bool = False
    parts: int = 1
    """Of how many files the model consists; more than one can't be used."""

    control_tokens: tuple[str, ...]
    """The words of the vocabulary that the chat template is made of, such as `<|im_end|>`."""


def read_header(file: Path) -> GGUFHeader:
    """Read a file's metadata; some milliseconds for a common vocabulary.

    Raises:
        NotGGUFError: The file is not GGUF, or ends before its tensors do.
        OSError: The file can't be read.
    """
    with file.open("rb") as stream:
        if stream.read(4) != MAGIC:
            raise NotGGUFError(f"{file.name} is not a GGUF file")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data, file.name).header()
            except (
                struct.error,
                IndexError,
                OverflowError,
                KeyError,
                RecursionError,
                UnicodeDecodeError,
                msgspec.ValidationError,
            ) as error:
                raise NotGGUFError(f"{file.name} is damaged or cut short") from error


def short_count(parameters: int) -> str:
    """A number of parameters as people write it: `135M`, `7.6B`."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M"


class _Reader:
    def __init__(self, data: mmap.mmap, file_name: str) -> None:
        self._data = data
        self._file_name = file_name
        self._at = len(MAGIC)

    def header(self) -> GGUFHeader:
        version = self._scalar("I")
        if version not in (2, 3):
            raise NotGGUFError(f"{self._file_name} is GGUF of version {version}, not 2 or 3")
        tensors = self._scalar("Q")
        fields = dict(self._field() for _ in range(self._scalar("Q")))
        parameters, last_offset = 0, 0
        for _ in range(tensors):
            count, offset = self._tensor()
            parameters += count
            last_offset = max(last_offset, offset)
        if self._at + last_offset >= len(self._data):
            raise NotGGUFError(f"{self._file_name} is cut short")
        architecture = fields["general.architecture"]
        header = GGUFHeader(
            architecture=architecture,
            name=fields.get("general.name"),
            licence=fields.get("general.license"),
            parameters=parameters,
            context_length=fields.get(f"{architecture}.context_length"),
            quantization=_FILE_TYPES.get(fields.get("general.file_type", -1)),
            has_chat_template="tokenizer.chat_template" in fields,
            parts=fields.get("split.count", 1),
            control_tokens=self._control_tokens(
                fields.get("tokenizer.ggml.tokens"), fields.get("tokenizer.ggml.token_type")
            ),
        )
        # The file may say anything: a field of another type than the format's is damage too.
        return msgspec.json.decode(msgspec.json.encode(header), type=GGUFHeader)

    def _control_tokens(self, tokens: int | None, types: int | None) -> tuple[str, ...]:
        """The tokens of the control type, given where the two arrays begin."""
        if tokens is None or types is None:
            return ()
        self._at = types
        _, count = self._scalar("I"), self._scalar("Q")
        kinds = struct.unpack_from(f"<{count}i", self._data, self._at)
        control = {index for index, kind in enumerate(kinds) if kind == _CONTROL_TOKEN}
        self._at = tokens
        _, count = self._scalar("I"), self._scalar("Q")
        words = [self._string() for _ in range(count)]
        return tuple(word for index, word in enumerate(words) if index in control and word)

    def _field(self) -> tuple[str, Any]:
        return self._string(), self._value(self._scalar("I"))

    def _value(self, kind: int) -> Any:
        """A field's value; of an array, which is passed over, where it begins."""
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            begin = self._at
            self._skip_array()
            return begin
        return self._scalar(_SCALARS[kind])

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(code)
        return value

    def _string(self) -> str:
        length = self._scalar("Q")
        end = self._at + length
        if end > len(self._data):
            raise IndexError
        text = self._data[self._at : end].decode()
        self._at = end
        return text

    def _skip_array(self) -> None:
        kind, length = self._scalar("I"), self._scalar("Q")
        if kind == _STRING:
            for _ in range(length):
                (size,) = struct.unpack_from("<Q", self._data, self._at)
                self._at += 8 + size
        elif kind == _ARRAY:
            for _ in range(length):
                self._skip_array()
        else:
            self._at += length * struct.calcsize(_SCALARS[kind])

    def _tensor(self) -> tuple[int, int]:
        """The number of values in a tensor, and where it begins in the file's data."""
        self._string()
        count = 1
        dimensions = self._scalar("I")
        if dimensions > _MOST_DIMENSIONS:
            raise IndexError
        for _ in range(dimensions):
            count *= self._scalar("Q")
        self._scalar("I")
        return count, self._scalar("Q")
