"""Colours for code, by Pygments, which is imported when the first code is shown."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tui.transcript.text import Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]
    from pygments.token import _TokenType  # type: ignore[import-untyped]

LONGEST = 60_000
"""Characters: longer code is shown without colours."""

LONGEST_LINE = 2_000
"""Characters: some lexers need more than linear time for a line."""


def highlight(code: str, language: str) -> list[list[Span]]:
    """The lines of `code` as spans in styles like `tok-keyword`, if the language is known."""
    lexer = _lexer(language) if len(code) <= LONGEST else None
    if lexer is None or any(len(line) > LONGEST_LINE for line in code.split("\n")):
        return [[Span(line)] if line else [] for line in code.split("\n")]
    lines: list[list[Span]] = [[]]
    for kind, text in lexer.get_tokens(code):
        style = _style(kind)
        first, *others = text.split("\n")
        if lines[-1] and lines[-1][-1].style == style:
            # What looks alike stays together: an emoji comes in several tokens.
            first = lines[-1].pop().text + first
        if first:
            lines[-1].append(Span(first, style))
        lines.extend([Span(piece, style)] if piece else [] for piece in others)
    # A lexer always ends with a newline, which the code did not have.
    return lines[: code.count("\n") + 1]


def language_name(info: str) -> str:
    """The language in the info string of a code fence: its first word."""
    word = info.strip().split(maxsplit=1)[0] if info.strip() else ""
    return word.strip("{}.").lower()


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    if not language or language in {"text", "txt", "plain", "plaintext", "output"}:
        return None
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=True)
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def _style(kind: _TokenType) -> tuple[str, ...]:
    from pygments.token import Token

    names = {
        Token.Comment: "tok-comment",
        Token.Keyword: "tok-keyword",
        Token.Operator.Word: "tok-keyword",
        Token.Name.Builtin: "tok-builtin",
        Token.Name.Class: "tok-type",
        Token.Name.Exception: "tok-type",
        Token.Name.Namespace: "tok-type",
        Token.Keyword.Type: "tok-type",
        Token.Name.Function: "tok-function",
        Token.Name.Decorator: "tok-function",
        Token.Name.Tag: "tok-keyword",
        Token.Name.Attribute: "tok-function",
        Token.Name.Variable: "tok-builtin",
        Token.Literal.String: "tok-string",
        Token.Literal.Number: "tok-number",
        Token.Keyword.Constant: "tok-number",
        Token.Generic.Deleted: "tok-deleted",
        Token.Generic.Inserted: "tok-inserted",
        Token.Generic.Heading: "tok-function",
        Token.Generic.Subheading: "tok-function",
        Token.Generic.Prompt: "tok-comment",
        Token.Generic.Output: "tok-comment",
    }
    ancestor: _TokenType | None = kind
    while ancestor is not None:
        if ancestor in names:
            return (names[ancestor],)
        ancestor = ancestor.parent
    return ()
