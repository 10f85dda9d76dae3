"""Markdown laid out as lines, block by block: CommonMark, tables, strikethrough, task lists."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rich.cells import cell_len

from tui.harmless import visible
from tui.transcript.highlight import highlight, language_name
from tui.transcript.tables import table_lines
from tui.transcript.text import Line, Span, Style, wrap, wrap_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

DEEPEST = 20
"""Levels of nesting that are laid out; what goes deeper is shown as it was written."""

LONGEST_PARAGRAPH = 8_000
"""Characters: a longer paragraph is shown as it was written, since parsing is not linear in it."""

LARGEST_TABLE = 20_000
"""Cells: a larger one is shown as it was written."""

NARROWEST = 8
"""Cells of text that nesting leaves: what is nested deeper goes without its indentation."""

_BULLETS = "•◦▪"
_TASK = re.compile(r"\[([ xX])\][ \t]+(?=\S)")
_BLANK = re.compile(r"[\s>]*")
_SAFE_LINK = re.compile(
    r"(?:https?|mailto|ftp):[^\x00-\x20\x7f-\x9f]+|image:[0-9a-f]{64}", re.IGNORECASE
)


class Node(NamedTuple):
    """A block of the document and what is inside it."""

    token: Token
    children: list[Node]

    @property
    def first_line(self) -> int:
        """The line of the source where it begins."""
        return self.token.map[0] if self.token.map else 0


class Unit(NamedTuple):
    """What is laid out at once: a block at the top of the document, or one item of a list there."""

    lines: list[Line]
    first_line: int
    gap: bool
    """Whether a blank row goes before it."""

    node: Node
    number: int | None = None
    """On an item of a numbered list: its number."""


References: TypeAlias = dict[str, Any]
"""The link definitions of a document, in the form in which markdown-it passes them around."""


def parse(source: str, references: References) -> list[Node]:
    """The blocks of `source`; inline text is parsed when a block is laid out."""
    roots: list[Node] = []
    path: list[list[Node]] = [roots]
    for token in _block_parser().parse(source, references):
        if token.nesting < 0:
            path.pop()
            continue
        node = Node(token, [])
        path[-1].append(node)
        if token.nesting > 0:
            path.append(node.children)
    return roots


def lay_out(
    source: str,
    width: int,
    references: References,
    *,
    previous: Node | None = None,
    number: int | None = None,
) -> Iterator[Unit]:
    """Lay out the blocks of `source`, one after the other.

    Args:
        source: Markdown; control characters in it are shown, never obeyed.
        width: Cells to fit into.
        references: Definitions known so far; those in `source` are added.
        previous: The block before them, where `source` continues a text.
        number: Of the first item, where `source` continues a numbered list.
    """
    lines = source.split("\n")
    layout = _Layout(width, references, lines)
    for node in parse(source, references):
        if node.token.type in ("bullet_list_open", "ordered_list_open"):
            yield from layout.items(node, previous, number=number)
        else:
            yield Unit(layout.block(node), node.first_line, layout.gap(node, previous), node)
        number = None
        previous = node


def markdown_lines(source: str, width: int) -> list[Line]:
    """A whole Markdown text as lines."""
    lines: list[Line] = []
    for unit in lay_out(visible(source), width, {}):
        if unit.gap:
            lines.append(Line(()))
        lines.extend(unit.lines)
    return lines


def inline_spans(text: str, references: References, style: Style = ()) -> list[Span]:
    """Inline Markdown as styled text; line breaks are kept."""
    if not _MARKED.search(text) or len(text) > LONGEST_PARAGRAPH or _open_brackets(text) > DEEPEST:
        return [Span(text, style)]
    (block,) = _inline_parser().parseInline(text, references)
    return list(_inline(block.children or [], style))


_MARKED = re.compile(r"[\\`*_~\[\]!<&:]|[ \t]\n|\n[ \t]")
"""What can be inline markup or a bare link; text without any of it needs no parser."""


def _open_brackets(text: str) -> int:
    """How many brackets are open at most; the parser looks ahead from each for its end."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]]", text):
        depth = max(0, depth + (1 if bracket == "[" else -1))
        deepest = max(deepest, depth)
    return deepest


def code_blocks(source: str) -> list[tuple[str, str]]:
    """Every block of code in `source` with its language, in the order in which they stand."""
    return [
        (token.content.removesuffix("\n"), language_name(token.info))
        for token in _block_parser().parse(source, {})
        if token.type in ("fence", "code_block")
    ]


def links(source: str) -> list[tuple[str, str]]:
    """Every link in `source` as its text and its address, each address once."""
    references: References = {}
    found: dict[str, str] = {}
    for token in _block_parser().parse(source, references):
        if token.type == "inline":
            for span in inline_spans(token.content, references):
                if span.link:
                    found.setdefault(span.link, span.text)
    return [(text, address) for address, text in found.items()]


@lru_cache(maxsize=1)
def _block_parser() -> MarkdownIt:
    parser = _parser()
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@lru_cache(maxsize=1)
def _inline_parser() -> MarkdownIt:
    return _parser()


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # HTML is off: a model's tags are shown as they are.
    options = {"html": False, "linkify": True, "maxNesting": DEEPEST}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough", "linkify"])
    parser.disable(["html_block", "html_inline"])
    # Only whole addresses: `main.py` is a file, though .py is a country's domain.
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    return parser


class _Layout:
    """Lays out blocks for a width; nested ones by further layouts of what width is left."""

    def __init__(
        self, width: int, references: References, source: Sequence[str], depth: int = 0
    ) -> None:
        self.width = max(NARROWEST, width)
        self.references = references
        self.source = source
        self.depth = depth

    def gap(self, node: Node, previous: Node | None) -> bool:
        """Whether a blank row parts `node` from the block before it.

        As its author spaced them, except that headings stand clear of what is above them
        and close to what is below.
        """
        if previous is None:
            return False
        if node.token.type == "heading_open":
            return True
        if previous.token.type == "heading_open":
            return False
        return self._blank_before(node)

    def block(self, node: Node) -> list[Line]:
        """The lines of one block."""
        token = node.token
        if self._is_too_deep(node):
            return self._as_written(node)
        match token.type:
            case "paragraph_open":
                return wrap_spans(self._inline_of(node), self.width)
            case "heading_open":
                level = min(int(token.tag[1:]), 4)
                return wrap_spans(self._inline_of(node, (f"heading{level}",)), self.width)
            case "fence" | "code_block":
                return code_lines(token.content, token.info, self.width)
            case "blockquote_open":
                return self._quote(node)
            case "bullet_list_open" | "ordered_list_open":
                lines: list[Line] = []
                for unit in self.items(node, None):
                    if unit.gap and lines:
                        lines.append(Line(()))
                    lines.extend(unit.lines)
                return lines
            case "hr":
                return [Line((), lead=(Span("─" * min(self.width, 24), ("rule",)),))]
            case "table_open":
                return self._table(node)
            case _:
                return self.blocks(node.children)

    def blocks(self, nodes: Sequence[Node]) -> list[Line]:
        """The lines of several blocks, one under the other."""
        lines: list[Line] = []
        previous: Node | None = None
        for node in nodes:
            if self.gap(node, previous):
                lines.append(Line(()))
            lines.extend(self.block(node))
            previous = node
        return lines

    def items(
        self, list_node: Node, previous: Node | None, *, number: int | None = None
    ) -> Iterator[Unit]:
        """The items of a list, each laid out by itself."""
        ordered = list_node.token.type == "ordered_list_open"
        if ordered and number is None:
            start = list_node.token.attrGet("start")
            number = 1 if start is None else int(start)
        if not ordered:
            number = None
        for at, item in enumerate(list_node.children):
            gap = self.gap(list_node, previous) if at == 0 else self._blank_before(item)
            marker = f"{number}. " if ordered else f"{_BULLETS[self.depth % len(_BULLETS)]} "
            yield Unit(self._item(item, marker), item.first_line, gap, item, number)
            if number is not None:
                number += 1

    def _item(self, item: Node, marker: str) -> list[Line]:
        style: Style = ("bullet",)
        if self._is_too_deep(item):
            return self._as_written(item)
        if task := _take_task(item):
            marker, style = ("✔ ", ("task-done",)) if task in "xX" else ("☐ ", ("bullet",))
        size = cell_len(marker)
        if self.width - size < NARROWEST:
            return [Line((Span(marker, style),)), *self._inside(0).blocks(item.children)]
        indent = Span(" " * size)
        lines = self._inside(size).blocks(item.children) or [Line(())]
        return [
            _beside(Span(marker, style), lines[0]),
            *(_indented(line, indent) for line in lines[1:]),
        ]

    def _quote(self, node: Node) -> list[Line]:
        bar = [Span("▎ ", ("quote-bar",))] if self.width - 2 >= NARROWEST else []
        lines = []
        for line in self._inside(2 if bar else 0).blocks(node.children):
            quoted = (span._replace(style=("quote", *span.style)) for span in line.spans)
            lines.append(line._replace(spans=tuple(quoted), lead=(*bar, *line.lead)))
        return lines

    def _table(self, node: Node) -> list[Line]:
        rows: list[list[list[Span]]] = []
        aligns: list[str] = []
        for section in node.children:
            for row in section.children:
                rows.append([self._inline_of(cell) for cell in row.children])
                if not aligns:
                    aligns = [_align(cell.token) for cell in row.children]
        if len(aligns) * len(rows) > LARGEST_TABLE:
            return self._as_written(node)
        return table_lines(rows, aligns, self.width)

    def _inline_of(self, node: Node, style: Style = ()) -> list[Span]:
        spans: list[Span] = []
        for child in node.children:
            spans.extend(inline_spans(child.token.content, self.references, style))
        return spans

    def _inside(self, taken: int) -> _Layout:
        return _Layout(self.width - taken, self.references, self.source, self.depth + 1)

    def _is_too_deep(self, node: Node) -> bool:
        # The parser drops what is nested deeper, so the whole block is shown as it was written.
        return self.depth == 0 and _deepest(node) >= DEEPEST - 1

    def _as_written(self, node: Node) -> list[Line]:
        start, end = node.token.map or (0, 0)
        return wrap_spans([Span("\n".join(self.source[start:end]))], self.width)

    def _blank_before(self, node: Node) -> bool:
        line = node.first_line - 1
        return line >= 0 and is_blank(self.source[line])


def code_lines(content: str, info: str, width: int, *, label: bool = True) -> list[Line]:
    """A block of code on its own ground, under the name of its language."""
    language = language_name(info)
    ground: Style = ("code-block",)
    edge = Span(" ", ground)
    lines = []
    if label and language:
        name = "".join(language[start:end] for start, end in wrap(language, width - 2)[:1])
        shown = Span(name, ("code-block", "code-label"))
        lines.append(Line((), lead=(edge, shown), fill=ground))
    for spans in highlight(content.removesuffix("\n"), language):
        grounded = [span._replace(style=("code-block", *span.style)) for span in spans]
        for line in wrap_spans(grounded, width - 2):
            lead = (edge,) if line.joint is None else (Span("↪", ("code-block", "code-label")),)
            lines.append(line._replace(lead=lead, fill=ground))
    return lines


def _inline(tokens: Sequence[Token], base: Style) -> Iterator[Span]:
    styles: list[str] = []
    link = ""
    for token in tokens:
        style = (*base, *styles)
        match token.type:
            case "text" | "text_special":
                if token.content:
                    yield Span(token.content, style, link)
            case "code_inline":
                yield Span(token.content, (*style, "code"), link)
            case "softbreak" | "hardbreak":
                yield Span("\n")
            case "strong_open" | "em_open" | "s_open":
                styles.append({"strong_open": "strong", "em_open": "em"}.get(token.type, "strike"))
            case "strong_close" | "em_close" | "s_close":
                styles.pop()
            case "link_open":
                link = safe_link(str(token.attrGet("href") or ""))
                styles.append("link")
            case "link_close":
                link = ""
                styles.pop()
            case "image":
                address = safe_link(str(token.attrGet("src") or ""))
                name = token.content or "image"
                yield Span(f"▣ {visible(name)}", (*style, "link"), link or address)
            case _:
                if token.content:
                    yield Span(token.content, style, link)


def safe_link(address: str) -> str:
    """The address where it may be handed to the terminal and the system, else nothing."""
    return address if _SAFE_LINK.fullmatch(address) else ""


def _take_task(item: Node) -> str | None:
    """Take the `[x]` off an item of a task list. Returns what is in the brackets."""
    if not item.children or item.children[0].token.type != "paragraph_open":
        return None
    inline = item.children[0].children[0].token
    match = _TASK.match(inline.content)
    if not match:
        return None
    inline.content = inline.content[match.end() :]
    return match[1]


def _beside(marker: Span, line: Line) -> Line:
    """A line with its item's marker on the left, which is copied with it where it can be."""
    if line.lead or line.fill:
        return line.led_by(marker)
    return line._replace(spans=(marker, *line.spans))


def _indented(line: Line, indent: Span) -> Line:
    """A line under its item's marker; the indentation is copied where it carries structure."""
    if line.joint is None and not line.lead and not line.fill and line.spans:
        return line._replace(spans=(indent, *line.spans))
    return line.led_by(indent)


def is_blank(line: str) -> bool:
    """Whether a line of source is empty but for white space and the marks of quotes."""
    return _BLANK.fullmatch(line) is not None


def _align(token: Token) -> str:
    style = str(token.attrGet("style") or "")
    return style.removeprefix("text-align:") or "left"


def _deepest(node: Node) -> int:
    return max((_deepest(child) for child in node.children), default=node.token.level)
