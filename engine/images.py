"""Images in messages: how a message names one, what its first bytes tell, and what it costs.

A question shows an image by a line of Markdown that names its SHA-256; the bytes are the store's.
So a question that is edited, copied, exported or taken back takes its images along as it does its
words.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import msgspec

from engine.llm.base import ChatImage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.llm.base import ChatRequest

LARGEST_BYTES = 10_000_000
"""A larger image is refused: it would be looked at for minutes, and many a server takes none."""

PATCH = 28
"""Pixels of a side of the square that becomes one token in Qwen2-VL (Wang et al. 2024,
https://arxiv.org/abs/2409.12191); other models differ, and none tells."""

FEWEST_TOKENS, MOST_TOKENS = 256, 2048
"""What any image is taken to cost at least (Gemma 3 makes 256 of each) and at most."""

_NAMED = re.compile(
    r"!\[(?P<label>(?P<name>[^\]\n]*), (?P<width>\d{1,6})×(?P<height>\d{1,6}), [^\]\n]*)\]"
    r"\(image:(?P<sha256>[0-9a-f]{64})\)"
)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image as a message names it."""

    sha256: str
    name: str
    label: str
    """The name, its size in pixels and in bytes."""

    width: int
    """In pixels, as `height`."""

    height: int

    @property
    def tokens(self) -> int:
        """About how many tokens a model makes of it."""
        patches = -(-self.width // PATCH) * -(-self.height // PATCH)
        return min(max(patches, FEWEST_TOKENS), MOST_TOKENS)


class UnreadableImageError(ValueError):
    """These bytes don't begin as an image of a kind that models can see; the text says why."""


class Measured(msgspec.Struct, frozen=True):
    """What an image's first bytes tell."""

    kind: str
    """As a media type."""

    width: int
    height: int


def named(name: str, sha256: str, data: bytes) -> str:
    """The line that shows an image in a question."""
    measured = measure(data)
    size = f"{measured.width}×{measured.height}, {_size(len(data))}"
    return f"{_begun(name)}{size}](image:{sha256})"


def is_named(name: str, text: str) -> bool:
    """Whether a question names an image of that name already."""
    return _begun(name) in text


def _begun(name: str) -> str:
    # One word: what is struck out of a question goes by clauses, and must not leave half a line.
    name = re.sub(r"[\s\[\]\\]", "_", name)
    return f"![{name}, "


def images_in(content: str) -> list[Image]:
    """The images that a question names, each once."""
    found = {
        match["sha256"]: Image(
            sha256=match["sha256"],
            name=match["name"],
            label=match["label"],
            width=int(match["width"]),
            height=int(match["height"]),
        )
        for match in _NAMED.finditer(content)
    }
    return list(found.values())


def in_words(content: str) -> str:
    """A question with a word for each image, for whoever can't see them."""
    return _NAMED.sub(r"[image: \g<name>]", content) if "](image:" in content else content


def without_images(content: str) -> str:
    """The words of a question alone."""
    return _NAMED.sub("", content).rstrip() if "](image:" in content else content


def shown_by(content: str) -> tuple[ChatImage, ...]:
    """The images of a question for a model, their bytes still to come."""
    return tuple(
        ChatImage(sha256=image.sha256, tokens=image.tokens) for image in images_in(content)
    )


async def with_bytes(
    request: ChatRequest, get: Callable[[str], Awaitable[bytes | None]]
) -> ChatRequest:
    """The request with the bytes of its images; one that is not kept any more is left out."""
    if not any(message.images for message in request.messages):
        return request
    messages = []
    for message in request.messages:
        images = []
        for image in message.images:
            if data := await get(image.sha256):
                kind = measure(data).kind
                images.append(msgspec.structs.replace(image, kind=kind, data=data))
        messages.append(msgspec.structs.replace(message, images=tuple(images)))
    return msgspec.structs.replace(request, messages=tuple(messages))


def is_image(begun: bytes) -> bool:
    """Whether a file that begins so is an image, be it of a kind that no model sees."""
    return bool(_IMAGE.match(begun))


_IMAGE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP", re.DOTALL)


def measure(data: bytes) -> Measured:
    """The kind and size of an image, by its header.

    PNG: https://www.w3.org/TR/png-3/#11IHDR; JPEG: ITU-T T.81, B.2.2;
    WebP: https://developers.google.com/speed/webp/docs/riff_container.

    Raises:
        UnreadableImageError: It is of another kind, or damaged.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
            return _sound("image/png", width, height)
        if data.startswith(b"\xff\xd8\xff"):
            return _sound("image/jpeg", *_jpeg_size(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _sound("image/webp", *_webp_size(data))
    except struct.error:
        raise UnreadableImageError("is damaged: it ends in its header") from None
    raise UnreadableImageError("is of a kind that models can't see; save it as PNG or JPEG")


def _sound(kind: str, width: int, height: int) -> Measured:
    if not (0 < width < 1_000_000 and 0 < height < 1_000_000):
        raise UnreadableImageError("is damaged: its header makes no sense")
    return Measured(kind, width, height)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        mark, code, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF or (code != 0xFF and length < 2):
            raise UnreadableImageError("is damaged: its header makes no sense")
        if code == 0xFF:  # a fill byte
            at += 1
            continue
        # A frame begins, whatever its coding; C4, C8 and CC are tables.
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        low, mid, high, low2, mid2, high2 = struct.unpack_from("6B", data, 24)
        return 1 + low + (mid << 8) + (high << 16), 1 + low2 + (mid2 << 8) + (high2 << 16)
    raise UnreadableImageError("is damaged: its header makes no sense")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
