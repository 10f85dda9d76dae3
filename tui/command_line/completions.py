"""`scrubjay completions`: what bash, zsh and fish need to complete the command line.

It is made from the parser of the command line itself, so it knows every command and option, and
what their values are: given words, files, or the ids of the latest sessions, which are asked for
when they are needed.
"""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SESSIONS = "scrubjay sessions list --limit 50 2>/dev/null"
"""Prints the latest sessions, a line each, which begins with the id."""

FILES = {"FILE", "PATH"}


class Value(msgspec.Struct, frozen=True):
    """What may stand in one place."""

    words: tuple[tuple[str, str], ...] = ()
    """Each with what it means, if that is known."""

    sessions: bool = False
    files: bool = False


class Level(msgspec.Struct, frozen=True):
    """What may follow some commands."""

    path: str
    """The commands, with blanks between them; empty before the first."""

    options: tuple[tuple[str, str], ...]
    """Each with what it does."""

    values: tuple[tuple[str, Value], ...]
    """The options that take something, and what."""

    argument: Value


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for one of `SHELLS`."""
    return SHELLS[shell](list(levels(parser)))


def levels(parser: argparse.ArgumentParser, path: str = "") -> Iterator[Level]:
    """What may be said after a parser's commands, and after those below them."""
    options: list[tuple[str, str]] = []
    values: list[tuple[str, Value]] = []
    argument = Value()
    below: list[tuple[str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            argument = Value(words=tuple((name, told.get(name, "")) for name in action.choices))
            below = list(action.choices.items())
        elif action.help is argparse.SUPPRESS:
            continue
        elif not action.option_strings:
            argument = _value(action)
        else:
            options += [(name, action.help or "") for name in action.option_strings]
            if action.nargs != 0:
                values += [(name, _value(action)) for name in action.option_strings]
    yield Level(path, tuple(options), tuple(values), argument)
    for name, inner in below:
        yield from levels(inner, f"{path} {name}".strip())


def _value(action: argparse.Action) -> Value:
    if action.choices is not None:
        return Value(words=tuple((str(choice), "") for choice in action.choices))
    if action.dest == "session":
        return Value(words=(("last", "the latest session"),), sessions=True)
    metavars = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
    return Value(files=not FILES.isdisjoint(filter(None, metavars)))


def _bash(found: list[Level]) -> str:
    def replies(value: Value) -> str:
        words = shlex.quote(" ".join(word for word, _ in value.words))
        if value.sessions:
            words += f'" $({SESSIONS} | cut -d" " -f1)"'
        if value.files:
            return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))'
        return f'COMPREPLY=($(compgen -W {words} -- "$cur"))'

    return "\n".join(
        [
            "# Completion of scrubjay for bash.",
            "_scrubjay() {",
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word",
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            '        case "$path $word" in',
            *(f"            {_patterns(found)}) path=${{path:+$path }}$word ;;",),
            "        esac",
            "    done",
            '    case "$path $prev" in',
            *(
                f"        {_quoted(f'{level.path} {name}')}) {replies(value)}; return ;;"
                for level in found
                for name, value in level.values
            ),
            "    esac",
            '    case "$path:$cur" in',
            *(
                line
                for level in found
                for line in (
                    f"        {_quoted(level.path + ':-')}*) {replies(Value(level.options))} ;;",
                    f"        {_quoted(level.path + ':')}*) {replies(level.argument)} ;;",
                )
            ),
            "    esac",
            "}",
            "complete -F _scrubjay scrubjay",
            "",
        ]
    )


def _zsh(found: list[Level]) -> str:
    def offers(value: Value) -> str:
        parts = []
        if value.words:
            described = " ".join(
                shlex.quote(f"{_colons(word)}:{help}" if help else _colons(word))
                for word, help in value.words
            )
            parts.append(f"offered=({described}); _describe word offered")
        if value.sessions:
            escaped = "sed 's/:/\\\\:/g; s/  */:/'"
            parts.append(f'offered=(${{(f)"$({SESSIONS} | {escaped})"}})')
            parts.append("_describe session offered")
        if value.files:
            parts.append("_files")
        return "; ".join(parts) or ":"

    return "\n".join(
        [
            "#compdef scrubjay",
            "# Completion of scrubjay for zsh.",
            "_scrubjay() {",
            "    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} at= word",
            "    local -a said=(${words[2,CURRENT-1]}) offered",
            "    for word in $said; do",
            '        case "$at $word" in',
            f"            {_patterns(found)}) at=${{at:+$at }}$word ;;",
            "        esac",
            "    done",
            '    case "$at $prev" in',
            *(
                f"        {_quoted(f'{level.path} {name}')}) {offers(value)}; return ;;"
                for level in found
                for name, value in level.values
            ),
            "    esac",
            '    case "$at:$cur" in',
            *(
                line
                for level in found
                for line in (
                    f"        {_quoted(level.path + ':-')}*) {offers(Value(level.options))} ;;",
                    f"        {_quoted(level.path + ':')}*) {offers(level.argument)} ;;",
                )
            ),
            "    esac",
            "}",
            'if [ "$funcstack[1]" = _scrubjay ]; then _scrubjay "$@"; '
            "else compdef _scrubjay scrubjay; fi",
            "",
        ]
    )


def _fish(found: list[Level]) -> str:
    def offer(level: Level, rest: str, help: str = "") -> str:
        told = f" -d {_fish_quoted(help)}" if help else ""
        return f"complete -c scrubjay -n '__scrubjay_at {level.path}' {rest}{told}"

    def arguments(value: Value) -> str:
        # What is told of the option would else be told of each.
        words = [f'{word}\\t"{help}"' for word, help in value.words]
        if value.sessions:
            words.append("(__scrubjay_sessions)")
        return f"-x -a {_fish_quoted(' '.join(words))}" if words else "-x"

    lines = [
        "# Completion of scrubjay for fish.",
        "function __scrubjay_at",
        "    set -l path",
        "    for word in (commandline -opc)[2..]",
        '        switch (string join -- " " $path $word)',
        f"            case {' '.join(_fish_quoted(level.path) for level in found if level.path)}",
        "                set -a path $word",
        "        end",
        "    end",
        '    test "$path" = "$argv"',
        "end",
        "function __scrubjay_sessions",
        f"    {SESSIONS} | string replace -r ' +' \\t",
        "end",
        "complete -c scrubjay -f",
    ]
    for level in found:
        taking = dict(level.values)
        for name, help in level.options:
            kind = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            if name in taking:
                value = taking[name]
                kind += f" {'-r -F' if value.files else arguments(value)}"
            lines.append(offer(level, kind, help))
        if level.argument.files:
            lines.append(offer(level, "-F"))
        for word, help in level.argument.words:
            lines.append(offer(level, f"-a {word}", help))
        if level.argument.sessions:
            lines.append(offer(level, "-a '(__scrubjay_sessions)'"))
    return "\n".join([*lines, ""])


SHELLS: dict[str, Callable[[list[Level]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _patterns(found: list[Level]) -> str:
    """Every command, after those it belongs to, for a `case`."""
    return "|".join(_quoted(_with_blank(level.path)) for level in found if level.path)


def _with_blank(path: str) -> str:
    before, _, name = path.rpartition(" ")
    return f"{before} {name}"


def _quoted(text: str) -> str:
    return f"'{text}'"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
