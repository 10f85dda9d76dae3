"""The manual page, from the command line's parser: `python -m tests.tools.manpage` writes it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import assets
from engine import __version__
from tui.command_line.arguments import CODES, build_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(assets.__file__).parent / "man" / "scrubjay.1"

FILES = """\
.TP
.I ~/.config/scrubjay/config.toml
Settings; an environment variable SCRUBJAY_SECTION_KEY overrides a key.
.TP
.I ~/.local/share/scrubjay/scrubjay.db
Everything that is kept.
.TP
.I ~/.local/state/scrubjay/scrubjay.log
The log, in which nobody's words are. On macOS all three are elsewhere.
"""


def text() -> str:
    parser = build_parser()
    return "\n".join(
        [
            f'.TH SCRUBJAY 1 "" "Scrubjay {__version__}" "User Commands"',
            ".SH NAME",
            r"scrubjay \- an assistant in the terminal, on local models, that remembers",
            ".SH SYNOPSIS",
            ".B scrubjay",
            r"[\fB\-\-plain\fR | \fB\-\-serve\fR [\fB\-\-port\fR \fIN\fR]]",
            ".br",
            ".B scrubjay",
            r"\fICOMMAND\fR [\fIARGUMENTS\fR]",
            ".SH DESCRIPTION",
            *_lines(parser.description),
            ".SH OPTIONS",
            *_options(parser),
            ".SH COMMANDS",
            *_commands(parser, "scrubjay"),
            ".SH EXIT STATUS",
            ".nf",
            *_lines(CODES.partition("\n")[2]),
            ".fi",
            ".SH FILES",
            FILES,
        ]
    )


def _commands(parser: argparse.ArgumentParser, path: str) -> Iterator[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        told = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, inner in action.choices.items():
            below = any(isinstance(one, argparse._SubParsersAction) for one in inner._actions)
            if below:
                yield from _commands(inner, f"{path} {name}")
                continue
            yield f".SS {_escaped(f'{path} {name} {_arguments(inner)}'.rstrip())}"
            yield from _lines(inner.description or f"{told[name][:1].upper()}{told[name][1:]}.")
            yield from _options(inner)


def _arguments(parser: argparse.ArgumentParser) -> str:
    shown = []
    for action in parser._actions:
        if action.option_strings or isinstance(action, argparse._SubParsersAction):
            continue
        name = _name(action)
        shown.append(
            {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(
                str(action.nargs), name
            )
        )
    return " ".join(shown)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help is argparse.SUPPRESS:
            continue
        if action.option_strings:
            value = rf" \fI{_escaped(_name(action))}\fR" if action.nargs != 0 else ""
            head = ", ".join(rf"\fB{_escaped(one)}\fR" for one in action.option_strings) + value
        else:
            head = rf"\fI{_escaped(_name(action))}\fR"
        yield ".TP"
        yield head
        yield from _lines(action.help or "")


def _name(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return action.dest.upper()


def _lines(text: str | None) -> list[str]:
    return [_escaped(line) for line in (text or "").splitlines()] or [r"\&"]


def _escaped(text: str) -> str:
    """Text that roff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return rf"\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
