"""Charts of a report on articles: bars, a histogram, keywords and a timeline, in text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from tui.figures import bar, sparkline
from tui.widgets.figures import WIDEST, heading, pair
from tui.widgets.rows import MUTED, Row, fit, one_line, text_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.research.analysis import Keyword, Period, Report

LABEL_CELLS = 15
MOST_PERIODS = 12


def charts(report: Report, width: int) -> Iterator[Row]:
    """Everything that a report holds, or why it holds nothing."""
    yield heading("Analysis")
    if report.failure:
        yield text_row(
            Content.styled(fit(f" {one_line(report.failure)}", width - 1), "$text-error")
        )
        return
    yield pair("articles", f"{report.count:,}", width)
    if report.mean is not None and report.deviation is not None:
        yield pair("relevance", f"{report.mean:.0%} ± {report.deviation:.0%}", width)
    yield pair("to read", f"{report.words:,} words, {report.reading_minutes:.0f} min", width)
    if report.sources:
        yield heading("Articles by source")
        most = max(source.count for source in report.sources)
        for source in report.sources:
            figure = f"{source.count}" + ("" if source.mean is None else f" · {source.mean:.0%}")
            yield bar_row(source.source, source.count / most, figure, width)
    if any(report.histogram):
        yield heading("Relevance", "0 to 100 %")
        yield histogram_row(report.histogram, width)
    if report.keywords:
        yield heading("Keywords")
        yield keywords_row(report.keywords, width)
    if report.timeline:
        yield heading("Published")
        yield from timeline_rows(report.timeline, width)


def bar_row(label: str, share: float, figure: str, width: int, style: str = "$accent") -> Row:
    """A label, a bar of a share of the room, and a figure."""
    room = max(1, min(width, WIDEST) - LABEL_CELLS - 11)
    return text_row(
        Content.assemble(
            " ",
            (fit(one_line(label), LABEL_CELLS), MUTED),
            (fit(bar(share, room), room), style),
            (f" {figure}", ""),
        )
    )


def histogram_row(counts: Sequence[int], width: int) -> Row:
    """A column a tenth, each as wide as fits, over its count."""
    cells = max(1, min(4, (min(width, WIDEST) - 2) // len(counts)))
    columns = "".join(
        (column * max(1, cells - 1) if count else "").ljust(cells)
        for column, count in zip(sparkline(counts), counts, strict=True)
    )
    figures = "".join(fit(str(count) if count else "·", cells) for count in counts)
    return text_row(Content.styled(f" {columns}", "$accent"), Content.styled(f" {figures}", MUTED))


def keywords_row(keywords: Sequence[Keyword], width: int) -> Row:
    """The keywords, most frequent first, as many a line as fit."""
    lines: list[Content] = []
    line = Content(" ")
    for keyword in keywords:
        term = fit(one_line(keyword.term), min(cell_len(one_line(keyword.term)), width - 10))
        piece = Content.assemble((term, ""), (f" {keyword.count}", MUTED))
        if line.cell_length > 1 and line.cell_length + piece.cell_length + 3 > width:
            lines.append(line)
            line = Content(" ")
        line = line + piece + "   "
    return text_row(*(one.rstrip() for one in (*lines, line)))


def timeline_rows(periods: Sequence[Period], width: int) -> Iterator[Row]:
    """A bar a year or month, the latest last; what is older than fits is told as a number."""
    shown = periods[-MOST_PERIODS:]
    if earlier := sum(period.count for period in periods[:-MOST_PERIODS]):
        yield pair("earlier", f"{earlier:,}", width)
    most = max(period.count for period in shown)
    for period in shown:
        yield bar_row(period.period, period.count / most, f"{period.count}", width, "$secondary")
