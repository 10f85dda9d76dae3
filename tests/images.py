"""Real image files for tests, small ones; all but the PNG were written by Pillow, 37×21 pixels."""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode


def png(width: int, height: int, shade: int = 120) -> bytes:
    """A grey PNG of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([shade]) * width) * height
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQ"
    "c1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/wAALCAAVACUBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcI"
    "CQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcY"
    "GRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKj"
    "pKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/AG0U"
    "UUUUUUUUUUUUV//Z"
)
PROGRESSIVE_JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQ"
    "c1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/wgALCAAVACUBAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAH/2gAIAQEA"
    "AAABgAB//8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgBAQABBQJ//8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgB"
    "AQAGPwJ//8QAFBABAAAAAAAAAAAAAAAAAAAAMP/aAAgBAQABPyF//9oACAEBAAAAEAAB/8QAFBABAAAAAAAAAAAA"
    "AAAAAAAAMP/aAAgBAQABPxB//9k="
)
WEBP = b64decode("UklGRjQAAABXRUJQVlA4ICgAAADwAgCdASolABUAPxGGvFcsKSYjpWgBgCIJaQAAKUNt8AD+bO4gAAAA")
LOSSLESS_WEBP = b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvJAAFAAdQvOIVr/+BiOh/AAA=")
EXTENDED_WEBP = b64decode(
    "UklGRlgAAABXRUJQVlA4WAoAAAAIAAAAJAAAFAAAVlA4ICgAAADwAgCdASolABUAPxGGvFcsKSYjpWgBgCIJaQAA"
    "KUNt8AD+bO4gAAAARVhJRgoAAABJSSoACAAAAAAA"
)
