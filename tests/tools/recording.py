"""Records the app on a real terminal, as an animated SVG: `python -m tests.tools.recording`.

What a pseudo-terminal shows while keys are pressed is drawn by `pyte` and kept, a frame a change.
Rows that frames share are written once. Nothing is touched up; another run may get other answers.
"""

from __future__ import annotations

import tempfile
import time
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.terminal.app import ENTER, PROMPT, QUIT, is_over, scrubjay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.terminal.screen import Terminal

FILE = Path(__file__).parents[2] / "docs" / "pictures" / "tour.svg"
COLUMNS, LINES = 100, 26
CELL, ROW = 8.4, 18
QUESTION = "Explain photosynthesis to a child."
FRAME_SECONDS = 0.25
LAST_SECONDS = 3.0
"""So long the last frame stays before it begins again."""

NAMED = {
    "default": "#dbe1ea",
    "black": "#000000",
    "red": "#e27d7d",
    "green": "#7fc08a",
    "brown": "#e3c07b",
    "blue": "#6aa5ee",
    "magenta": "#c08ac0",
    "cyan": "#7fc0c0",
    "white": "#dbe1ea",
}
GROUND = "#11151c"


class Run(NamedTuple):
    """Cells beside each other that look the same."""

    column: int
    text: str
    front: str
    back: str
    bold: bool


Frame = tuple[tuple[Run, ...], ...]


def main() -> None:
    """Record, and write the file."""
    with tempfile.TemporaryDirectory() as home:
        frames = record(Path(home))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(drawn(frames), encoding="utf-8")


def record(home: Path) -> list[tuple[float, Frame]]:
    """What was seen, and for how many seconds."""
    frames: list[tuple[float, Frame]] = []
    began = time.monotonic()

    def keep(terminal: Terminal) -> None:
        frame = _seen(terminal)
        if not frames or frames[-1][1] != frame:
            frames.append((time.monotonic() - began, frame))

    def watch(terminal: Terminal, until: Callable[[str], object], within: float = 60) -> None:
        deadline = time.monotonic() + within
        while not until(terminal.text):
            assert time.monotonic() < deadline, terminal.text
            pause = time.monotonic() + FRAME_SECONDS
            while time.monotonic() < pause:
                terminal._read(0.05)
            keep(terminal)

    def wait(terminal: Terminal, seconds: float) -> None:
        end = time.monotonic() + seconds
        watch(terminal, lambda _: time.monotonic() > end)

    settings = {
        "SCRUBJAY_MODEL_SEED": "1",
        "SCRUBJAY_MODEL_TEMPERATURE": "0",
        "SCRUBJAY_MODEL_MAX_TOKENS": "60",
        "COLORTERM": "truecolor",
    }
    with scrubjay(home, columns=COLUMNS, lines=LINES, **settings) as terminal:
        terminal.wait_for(PROMPT)
        terminal.wait_for("smollm2")
        keep(terminal)
        for word in QUESTION.split(" "):
            terminal.keys(f"{word} " if word != QUESTION.split(" ")[-1] else word)
            wait(terminal, FRAME_SECONDS)
        terminal.keys(ENTER)
        watch(terminal, is_over)
        terminal.keys("\x02")
        wait(terminal, 1.5)
        terminal.keys(QUIT)
        terminal.wait_for_end()
    times = [at for at, _ in frames] + [frames[-1][0] + LAST_SECONDS]
    return [
        (min(after - at, 1.5), frame) for (at, frame), after in zip(frames, times[1:], strict=True)
    ]


def drawn(frames: list[tuple[float, Frame]]) -> str:
    """The frames as one animated SVG."""
    rows: dict[tuple[Run, ...], str] = {}
    for _, frame in frames:
        for row in frame:
            if row:
                rows.setdefault(row, f"r{len(rows)}")
    width, height = COLUMNS * CELL + 16, LINES * ROW + 16
    total = sum(seconds for seconds, _ in frames)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}"'
        ' font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14"'
        ' role="img" aria-label="Scrubjay answers a question">',
        f"<style>.f{{opacity:0;animation-duration:{total:.2f}s;animation-iteration-count:infinite;"
        "animation-timing-function:steps(1,end)}text{white-space:pre}",
    ]
    at = 0.0
    for number, (seconds, _) in enumerate(frames):
        begin, end = 100 * at / total, 100 * (at + seconds) / total
        at += seconds
        before = f"0%{{opacity:0}}{begin:.2f}%{{opacity:1}}" if number else "0%{opacity:1}"
        after = f"{end:.2f}%,100%{{opacity:0}}" if number < len(frames) - 1 else "100%{opacity:1}"
        lines.append(
            f"@keyframes k{number}{{{before}{after}}}.f{number}{{animation-name:k{number}}}"
        )
    lines += [
        "@media (prefers-reduced-motion:reduce){.f{animation:none}"
        f".f{len(frames) - 1}{{opacity:1}}}}</style>",
        f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/><defs>',
        *(f'<g id="{name}">{"".join(map(_run, row))}</g>' for row, name in rows.items()),
        "</defs>",
    ]
    for number, (_, frame) in enumerate(frames):
        used = "".join(
            f'<use href="#{rows[row]}" x="8" y="{8 + place * ROW}"/>'
            for place, row in enumerate(frame)
            if row
        )
        lines.append(f'<g class="f f{number}">{used}</g>')
    return "\n".join([*lines, "</svg>", ""])


def _run(run: Run) -> str:
    x = run.column * CELL
    width = len(run.text) * CELL
    back = (
        f'<rect x="{x:g}" width="{width:g}" height="{ROW}" fill="{run.back}"/>'
        if run.back != GROUND
        else ""
    )
    if not run.text.strip():
        return back
    bold = ' font-weight="bold"' if run.bold else ""
    return (
        f'{back}<text x="{x:g}" y="14" fill="{run.front}"{bold}'
        f' textLength="{width:g}" lengthAdjust="spacingAndGlyphs">{escape(run.text)}</text>'
    )


def _seen(terminal: Terminal) -> Frame:
    screen = terminal._screen
    frame = []
    for line in range(screen.lines):
        cells = [screen.buffer[line][column] for column in range(screen.columns)]
        runs: list[Run] = []
        column = 0
        for look, same in groupby(
            cells, key=lambda cell: (cell.fg, cell.bg, cell.bold, cell.reverse)
        ):
            text = "".join(cell.data or " " for cell in same)
            front, back = _colour(look[0], NAMED["default"]), _colour(look[1], GROUND)
            if look[3]:
                front, back = back, front
            shown = text.rstrip() if back == GROUND else text
            if shown:
                runs.append(Run(column, shown, front, back, look[2]))
            column += len(text)
        frame.append(tuple(runs))
    return tuple(frame)


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return NAMED.get(name) or f"#{name}"


if __name__ == "__main__":
    main()
