"""A conversation as one HTML file to read and to print: the shown branch, and nothing from outside.

What was said is Markdown; raw HTML in it is text like any other. Images that questions show are in
the page; it loads none, nor script or font, and its content policy would let none load.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec
from markdown_it import MarkdownIt
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

from engine.export.reading import note_of, shown, speaker_of, title_of, when
from engine.images import images_in, measure
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

    from engine.library import Library
    from storage.records import Message, Session

LONGEST_CODE = 60_000
LONGEST_LINE = 2_000
"""Characters: code beyond either is shown without colours, for some lexers get slow."""

CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
"""Control characters, and the pictures of them that a page can show."""


async def pieces(library: Library, session: Session) -> AsyncGenerator[str]:
    """The page, a piece a message."""
    title = _text(title_of(session))
    yield _HEAD.format(title=title, style=_STYLE + _code_styles())
    yield f"<header><h1>{title}</h1><p>{when(session.created_at)}</p></header>\n<main>\n"
    async for message in shown(library, session):
        yield _article(message, await _images(library, message))
    yield "</main>\n</body>\n</html>\n"


async def _images(library: Library, message: Message) -> dict[str, str]:
    """The images that a question shows, as addresses that hold them, by how it names them."""
    found: dict[str, str] = {}
    for image in images_in(message.content) if message.role is Role.USER else ():
        if data := await library.image(image.sha256):
            kind = measure(data).kind
            found[f"image:{image.sha256}"] = f"data:{kind};base64,{b64encode(data).decode()}"
    return found


def _article(message: Message, images: dict[str, str]) -> str:
    speaker, said_at = _text(speaker_of(message)), when(message.created_at)
    parts = [
        f'<article class="{message.role.value}" id="m{_text(message.id)}">',
        f"<h2>{speaker} <time>{said_at}</time></h2>",
    ]
    if message.thinking:
        parts.append(_folded("Thinking", _markdown().render(_visible(message.thinking))))
    if message.role is Role.TOOL:
        parts.append(_folded("Result", f"<pre>{_text(message.content)}</pre>"))
    elif message.content:
        parts.append(_markdown().render(_visible(message.content), {"images": images}))
    for call in message.tool_calls:
        arguments = msgspec.json.format(msgspec.json.encode(call.arguments), indent=2).decode()
        parts.append(_folded(f"Calls {_text(call.name)}", f"<pre>{_text(arguments)}</pre>"))
    if note := note_of(message):
        parts.append(f'<p class="note">{_text(note)}</p>')
    return "\n".join([*parts, "</article>\n"])


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"


_LEADS = re.compile(r"https?://|mailto:|#")
"""How a link begins that leads somewhere from wherever the page is kept: others would lead to files
that lie beside it by chance."""


def _visible(text: str) -> str:
    return text.translate(CONTROLS)


def _text(text: str) -> str:
    return escape(_visible(text))


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "highlight": _coloured})
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("link_open", _link)
    markdown.add_render_rule("image", _image)
    return markdown


def _link(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    attributes = tokens[index].attrs
    attributes["rel"] = "noopener noreferrer"
    if not _LEADS.match(str(attributes.get("href", ""))):
        attributes.pop("href", None)
    return renderer.renderToken(tokens, index, options, env)


def _image(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    """The picture where it is in the page, else a link to it.

    Showing one from elsewhere would tell its server that somebody reads this.
    """
    token = tokens[index]
    address = escape(str(token.attrs.get("src", "")))
    words = renderer.renderInlineAsText(token.children, options, env) or "image"
    if inside := env.get("images", {}).get(address):
        return f'<img src="{inside}" alt="{escape(words)}">'
    if not _LEADS.match(address):
        return escape(words)
    return f'<a href="{address}" rel="noopener noreferrer">{escape(words)}</a>'


def _coloured(code: str, language: str, _attributes: Any) -> str:
    """The inside of a code block; empty lets markdown-it escape it."""
    too_long = len(code) > LONGEST_CODE or any(
        len(line) > LONGEST_LINE for line in code.split("\n")
    )
    if not language or too_long:
        return ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


@lru_cache(maxsize=1)
def _code_styles() -> str:
    light = HtmlFormatter(style="default").get_style_defs("pre")
    dark = HtmlFormatter(style="github-dark").get_style_defs("pre")
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n{_CODE}"


_HEAD = """\
<!DOCTYPE html>
<html lang="und">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Scrubjay">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
"""

_STYLE = """\
:root { color-scheme: light dark; --ink: #1d2430; --soft: #566072; --paper: #fdfdfb;
  --line: #d5d9e0; --code: #f2f4f7; --you: #1f5fa8; --link: #1f5fa8; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #dfe4ec; --soft: #9aa5b5; --paper: #14181f; --line: #303844; --code: #1d232c;
    --you: #7fb2ee; --link: #8fbcf0; }
}
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 46rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
header p, time { color: var(--soft); }
article { border-top: 1px solid var(--line); padding: .5rem 0; }
article > h2 { font-size: .9rem; margin: .5rem 0; }
article.user > h2 { color: var(--you); }
time { font-weight: normal; margin-left: .5em; }
a { color: var(--link); }
pre { background: var(--code); padding: .75rem; border-radius: 4px; overflow-x: auto; }
code, pre { font: .875rem/1.5 ui-monospace, monospace; }
:not(pre) > code { background: var(--code); padding: .1em .3em; border-radius: 3px; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left; }
blockquote { margin: 0; padding-left: 1rem; border-left: 3px solid var(--line);
  color: var(--soft); }
details { color: var(--soft); margin: .5rem 0; }
.note { color: var(--soft); font-style: italic; }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  article > h2 { break-after: avoid; }
  pre { white-space: pre-wrap; border: 1px solid var(--line); }
  pre, table, blockquote { break-inside: avoid; }
  a[href^="http"]::after { content: " (" attr(href) ")"; color: var(--soft); }
}
"""

_CODE = "pre { background: var(--code); }\n"
"""Over the backgrounds of the styles for code."""
