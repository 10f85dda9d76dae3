"""Text from elsewhere, made safe for a terminal."""

from __future__ import annotations

import re

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Show what a terminal would obey as something to read.

    Control characters become their Unicode control pictures (`␛`), direction overrides and their
    like become their code in brackets (`‹202E›`), half a surrogate pair becomes `�`.
    """
    text = text.replace("\r\n", "\n").removesuffix("\r")
    return _HARMFUL.sub(_picture, text) if _HARMFUL.search(text) else text


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF:
        return "�"
    return f"‹{code:X}›"
