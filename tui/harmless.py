"""Text from elsewhere, made safe for a terminal."""

from __future__ import annotations

import re
import unicodedata

MOST_MARKS = 24
"""Characters without a width of their own that may follow each other; the longest in earnest, the
flags of regions, have seven. A thousand make a terminal crawl, and paint over the rows around."""

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)
# Where marks may be: nothing that is a word, space or ASCII; and the parts of Korean syllables.
_MARKS = re.compile(rf"[^\w\s!-~]{{{MOST_MARKS + 1},}}|[\u1160-\u11ff]{{{MOST_MARKS + 1},}}")

_HOST = re.compile(r"(?<=://)[^/?#\s\"]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f‹›]")


def visible(text: str) -> str:
    """Show what a terminal would obey as something to read.

    Control characters become their Unicode control pictures (`␛`), direction overrides and their
    like become their code in brackets (`‹202E›`), half a surrogate pair becomes `�`. Of marks that
    are heaped on one character the first are shown, and `‹…›`.
    """
    text = text.replace("\r\n", "\n").removesuffix("\r")
    if text.isascii() and text.isprintable():
        return text
    text = _HARMFUL.sub(_picture, text) if _HARMFUL.search(text) else text
    return text if text.isascii() else _MARKS.sub(_some, text)


def exact(text: str) -> str:
    """Show also what can't be seen: what one agrees to must not hide in it.

    Characters of no width or that look like a blank, and letters beyond ASCII in the name of a
    host, of which some look like others, become their codes in brackets: `‹200B›`.
    """
    text = visible(text)
    if text.isascii():
        return text
    text = _HOST.sub(lambda host: _BEYOND_ASCII.sub(_code, host[0]), text)
    return "".join(_code(char) if _is_unseen(char) else char for char in text)


def _is_unseen(char: str) -> bool:
    blank = char >= "\x80" and unicodedata.category(char) in ("Cf", "Zs")
    return blank or char in "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"


def _code(found: str | re.Match[str]) -> str:
    return f"‹{ord(found if isinstance(found, str) else found[0]):X}›"


def with_signs(text: str) -> str:
    """Show what a terminal would obey as a sign, one for one, for text that a cursor moves in."""
    return text if text.isascii() and text.isprintable() else _HARMFUL.sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    picture = _picture(match)
    return picture if len(picture) == 1 else "�"


def _some(match: re.Match[str]) -> str:
    """The characters of a run, but for those that are too many marks in a row."""
    shown: list[str] = []
    marks = 0
    for char in match[0]:
        is_mark = char >= "\u0300" and (
            unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or "\u1160" <= char <= "\u11ff"
        )
        marks = marks + 1 if is_mark else 0
        if marks <= MOST_MARKS:
            shown.append(char)
        elif marks == MOST_MARKS + 1:
            shown.append("‹…›")
    return "".join(shown)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF:
        return "�"
    return f"‹{code:X}›"
