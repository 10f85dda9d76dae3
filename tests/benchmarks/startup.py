"""How long the start takes: from exec to a prompt that echoes what is typed, in a real terminal.

`python -m tests.benchmarks.startup --json` compares Scrubjay with a bare Textual app that has one
TextArea, and `scrubjay --help` and `--version` with the import of Textual. Runs alternate, so that
other load on the machine meets all of them; figures are medians, in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path
from struct import pack

TYPED = "ξ"
"""Something that neither app shows by itself."""

TYPE_EVERY = 0.01
"""Seconds between two key presses: the first ones may come before anything listens."""

GIVE_UP = 60.0

BARE = """
from textual.app import App
from textual.widgets import TextArea

class Bare(App):
    def compose(self):
        yield TextArea()

Bare().run()
"""

SCRUBJAY = "import sys; from tui.cli import main; sys.exit(main())"


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="of each kind")
    parser.add_argument("--size", default="120x40", help="of the terminal, COLUMNSxROWS")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    columns, rows = map(int, options.size.split("x"))

    with tempfile.TemporaryDirectory() as home:
        environ = environment(Path(home))
        figures = measure(options.runs, (columns, rows), environ)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value}")


def measure(runs: int, size: tuple[int, int], environ: dict[str, str]) -> dict[str, float | str]:
    """The medians, and their ratios."""
    python = sys.executable
    echo = {
        "bare": [python, "-c", BARE],
        "scrubjay": [python, "-c", SCRUBJAY],
    }
    run = {
        "import_textual": [python, "-c", "import textual.app"],
        "help": [python, "-c", SCRUBJAY, "--help"],
        "version": [python, "-c", SCRUBJAY, "--version"],
    }
    for argv in echo.values():
        seconds_to_echo(argv, size, environ)  # writes the byte code, and our database
    seconds: dict[str, list[float]] = {name: [] for name in (*echo, *run)}
    for _ in range(runs):
        for name, argv in echo.items():
            seconds[name].append(seconds_to_echo(argv, size, environ))
        for name, argv in run.items():
            seconds[name].append(seconds_to_end(argv, environ))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "runs": runs,
        "terminal": f"{size[0]}x{size[1]}",
        "bare_echo_seconds": round(median["bare"], 4),
        "scrubjay_echo_seconds": round(median["scrubjay"], 4),
        "echo_ratio": round(median["scrubjay"] / median["bare"], 2),
        "import_textual_seconds": round(median["import_textual"], 4),
        "help_seconds": round(median["help"], 4),
        "help_ratio": round(median["help"] / median["import_textual"], 2),
        "version_seconds": round(median["version"], 4),
        "version_ratio": round(median["version"] / median["import_textual"], 2),
    }


def environment(home: Path) -> dict[str, str]:
    """A home of its own, without any model server: what is measured is the screen."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "OLLAMA_HOST": "127.0.0.1:9",
        "SCRUBJAY_MODEL_DEFAULT": "ollama:none",
    }


def seconds_to_echo(argv: list[str], size: tuple[int, int], environ: dict[str, str]) -> float:
    """From exec until something that was typed is on the screen.

    Raises:
        TimeoutError: Nothing was echoed.
    """
    terminal, inside = os.openpty()
    # Or the terminal itself would echo what is typed before the app reads it.
    attributes = termios.tcgetattr(inside)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(inside, termios.TCSANOW, attributes)
    ioctl(inside, termios.TIOCSWINSZ, pack("HHHH", size[1], size[0], 0, 0))
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(terminal)
        os.login_tty(inside)
        os.execve(argv[0], argv, environ)
    os.close(inside)
    try:
        shown = b""
        while time.perf_counter() - started < GIVE_UP:
            os.write(terminal, TYPED.encode())
            next_key = time.perf_counter() + TYPE_EVERY
            while (wait := next_key - time.perf_counter()) > 0:
                if select.select([terminal], [], [], wait)[0]:
                    try:
                        shown += os.read(terminal, 65536)
                    except OSError as error:  # how Linux says that nobody is left inside
                        raise TimeoutError(f"the program ended, saying {shown!r}") from error
                    if TYPED.encode() in shown:
                        return time.perf_counter() - started
        raise TimeoutError(f"nothing was echoed; the screen says {shown[-2000:]!r}")
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(child, 0)


def seconds_to_end(argv: list[str], environ: dict[str, str]) -> float:
    """From exec until the process has ended."""
    started = time.perf_counter()
    subprocess.run(argv, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
