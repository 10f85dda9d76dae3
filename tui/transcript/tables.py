"""Tables that fit: as wide as they like, shrunk, or turned into records where it is too narrow."""

from __future__ import annotations

from rich.cells import cell_len

from tui.transcript.text import Line, Span, width_of, wrap_spans

Cell = list[Span]

NARROWEST = 5
"""Cells: below that a column cannot be read and the table is shown as records."""

_BAR = Span(" │ ", ("table-rule",))


def table_lines(rows: list[list[Cell]], aligns: list[str], width: int) -> list[Line]:
    """Lay out a table whose first row is its head.

    Args:
        rows: The cells of each row; every row has as many as `aligns`.
        aligns: `left`, `center` or `right` for each column.
        width: Cells to fit into.
    """
    wanted = [max(_natural(row[column]) for row in rows) for column in range(len(aligns))]
    room = width - len(_BAR.text) * (len(aligns) - 1)
    if sum(wanted) > room and room < NARROWEST * len(aligns):
        return _records(rows, width)
    widths = _shrink(wanted, room)
    lines = []
    for index, row in enumerate(rows):
        lines.extend(_row_lines(row, aligns, widths, head=index == 0))
        if index == 0:
            rule = "─┼─".join("─" * size for size in widths)
            lines.append(Line((Span(rule, ("table-rule",)),)))
    return lines


def _natural(cell: Cell) -> int:
    return max(1, max(cell_len(line) for line in "".join(s.text for s in cell).split("\n")))


def _shrink(wanted: list[int], room: int) -> list[int]:
    """Give every column what it wants, the widest ones equally less when there is not enough."""
    widths = [0] * len(wanted)
    waiting = sorted(range(len(wanted)), key=wanted.__getitem__)
    for done, column in enumerate(waiting):
        share = room // (len(waiting) - done)
        widths[column] = min(wanted[column], max(2, share))
        room -= widths[column]
    return widths


def _row_lines(row: list[Cell], aligns: list[str], widths: list[int], *, head: bool) -> list[Line]:
    style = ("table-head",) if head else ()
    columns = [
        wrap_spans([s._replace(style=(*style, *s.style)) for s in cell], size)
        for cell, size in zip(row, widths, strict=True)
    ]
    lines = []
    for at in range(max(len(column) for column in columns)):
        spans: list[Span] = []
        for number, (column, align, size) in enumerate(zip(columns, aligns, widths, strict=True)):
            cell = column[at].spans if at < len(column) else ()
            spare = max(0, size - width_of(cell))
            left = spare if align == "right" else spare // 2 if align == "center" else 0
            if number:
                spans.append(_BAR)
            if left:
                spans.append(Span(" " * left))
            spans.extend(cell)
            if spare - left and number < len(columns) - 1:
                spans.append(Span(" " * (spare - left)))
        lines.append(Line(tuple(spans)))
    return lines


def _records(rows: list[list[Cell]], width: int) -> list[Line]:
    head, *body = rows
    lines: list[Line] = []
    for number, row in enumerate(body):
        if number:
            lines.append(Line((Span("─" * min(width, 12), ("table-rule",)),)))
        for name, cell in zip(head, row, strict=True):
            title = [span._replace(style=("table-head", *span.style)) for span in name]
            lines.extend(wrap_spans([*title, Span(": "), *cell], width))
    return lines or wrap_spans([s for cell in head for s in (*cell, Span("  "))], width)
