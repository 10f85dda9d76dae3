"""What can be said on the command line."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

CODES = """\
exit codes:
  0    it worked
  1    a model, the store or the settings failed; standard error says why and what to do
  2    the command line is wrong
  130  interrupted with ctrl-c; what had come of an answer is kept
  141  whoever read the output went away
  143  ended by a signal (128 and its number); what had come of an answer is kept
"""


class _Formats(tuple[str, ...]):
    """The forms of an exported conversation; those of plugins are looked up when one is said."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        from tui.command_line.plugins import exporters

        return name in exporters()


FORMATS = _Formats(("markdown", "json", "html"))

MEMORIES = ("fact", "episode", "skill")
"""The kinds of memories."""

SESSION = "a session's id, the beginning of one, or `last`"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        SystemExit: 2 when it is wrong, 0 after help; both have been printed.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.serve and options.command is not None:
        parser.error("--serve is said without a command")
    if options.port and not options.serve:
        parser.error("--port belongs to --serve")
    return options


def build_parser() -> argparse.ArgumentParser:
    """The command line, with every command."""
    parser = _Parser(
        prog="scrubjay",
        description="An assistant in your terminal, on local models, that remembers.\n"
        "Without a command it opens the screen.",
        epilog=CODES,
    )
    parser.add_argument("-V", "--version", action=_Version, help="print the version and stop")
    parser.add_argument(
        "--plain", action="store_true", help="talk line by line, as `scrubjay chat` does"
    )
    parser.add_argument(
        "--serve", action="store_true", help="show the app in a browser on this machine"
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="where to serve it; any free port if not"
    )
    parser.set_defaults(command=None, session="new", model=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    _add_ask(commands)
    _add_chat(commands)
    _add_research(commands)
    _add_sessions(commands)
    _add_recall(commands)
    _add_memory(commands)
    _add_models(commands)
    _add_mcp(commands)
    _add_plugins(commands)
    _add_stats(commands)
    backup = commands.add_parser("backup", help="copy all conversations to a file")
    backup.add_argument("file", metavar="FILE", help="a new file")
    _add_purge(commands)
    _add_storage(commands)
    doctor = commands.add_parser(
        "doctor",
        help="check terminal, settings, database, models and disk",
        description="Look at everything that Scrubjay needs, a line each, and say what to do.\n"
        "The exit code is 1 when something needs doing.",
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument(
        "--repair",
        action="store_true",
        help="first save what can be read of a damaged database into a new one, and keep the old;"
        " close every other Scrubjay before",
    )
    desktop = commands.add_parser(
        "desktop",
        help="put Scrubjay into the desktop's menu, or take it out",
        description="Put Scrubjay into the desktop's menu, with its icon, or take it out. It\n"
        "opens in the desktop's own terminal. For desktops that follow freedesktop.org.",
    )
    desktop.add_argument("action", choices=("install", "uninstall"))
    completions = commands.add_parser(
        "completions",
        help="print what a shell needs to complete this command line",
        description="Print what a shell needs to complete this command line, such as\n"
        '  eval "$(scrubjay completions bash)"               in ~/.bashrc\n'
        '  eval "$(scrubjay completions zsh)"                in ~/.zshrc, after compinit\n'
        "  scrubjay completions fish | source                 in config.fish",
    )
    completions.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser, as are those of its commands, with formatted descriptions."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(formatter_class=_Formatter, **keywords)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks the system itself for the width: argparse's way imports a lot for that."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=max(columns, 40) - 2)


class _Version(argparse.Action):
    """Like argparse's own, but the version is looked up only when it is asked for."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from engine import __version__

        print(f"scrubjay {__version__}")
        parser.exit()


def _add_ask(commands: argparse._SubParsersAction[_Parser]) -> None:
    ask = commands.add_parser(
        "ask",
        help="answer a question on standard output",
        description="Answer a question on standard output, as the answer comes.\n"
        "Files that it names with @ are put into it, and what is piped in comes behind it.\n"
        "The conversation is kept.",
        epilog=CODES,
    )
    ask.add_argument("question", nargs="*", help="what to ask")
    ask.add_argument(
        "--session",
        default="new",
        metavar="ID",
        help=f"where to ask: `new` (the default), {SESSION}",
    )
    ask.add_argument(
        "--model",
        type=_model_ref,
        metavar="REF",
        help="who answers, such as `ollama:llama3.2` or `embedded:smollm2-135m`",
    )
    ask.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object with answer, model, usage, timings and session_id",
    )


def _add_chat(commands: argparse._SubParsersAction[_Parser]) -> None:
    chat = commands.add_parser(
        "chat",
        help="talk line by line: for screen readers, plain terminals and pipes",
        description="Talk line by line, for screen readers, plain terminals and pipes: nothing\n"
        "moves the cursor, nothing has a colour. Answers go to standard output, everything\n"
        "else to standard error. /help lists the commands.",
        epilog=CODES,
    )
    chat.add_argument(
        "--session",
        default="new",
        metavar="ID",
        help=f"where to talk: `new` (the default), {SESSION}",
    )
    chat.add_argument("--model", type=_model_ref, metavar="REF", help="who answers")
    chat.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)


def _add_research(commands: argparse._SubParsersAction[_Parser]) -> None:
    research = commands.add_parser(
        "research",
        help="look a question up everywhere at once, and answer with citations",
        description="Look a question up everywhere at once, and answer with citations.\n"
        "Pages whose addresses the question names are read. The conversation is kept.",
        epilog=CODES,
    )
    research.add_argument("question", nargs="*", help="what to find out")
    research.add_argument(
        "--session",
        default="new",
        metavar="ID",
        help=f"where to ask: `new` (the default), {SESSION}",
    )
    research.add_argument("--model", type=_model_ref, metavar="REF", help="who answers")
    research.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object with topics, sources, articles, report and answer",
    )


def _add_sessions(commands: argparse._SubParsersAction[_Parser]) -> None:
    sessions = commands.add_parser(
        "sessions",
        help="list, show, search, export, import, delete and restore conversations",
    )
    actions = sessions.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True
    )

    lister = actions.add_parser("list", help="the latest conversations, the newest first")
    lister.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most N (50)")
    lister.add_argument("--archived", action="store_true", help="those that were archived")
    lister.add_argument("--json", action="store_true", help="print them as JSON")

    show = actions.add_parser("show", help="print a conversation")
    show.add_argument("session", help=SESSION)

    search = actions.add_parser("search", help="find conversations by what was said in them")
    search.add_argument("query", nargs="+", help="words; the sidebar's search has the same syntax")
    search.add_argument("--limit", type=_positive, default=30, metavar="N", help="at most N (30)")
    search.add_argument("--json", action="store_true", help="print them as JSON")

    export = actions.add_parser(
        "export",
        help="write a conversation, or all of them, to files",
        description="Write a conversation, or all of them, to files.\n"
        "Markdown and HTML have what is shown. JSON loses nothing: it has every branch, and\n"
        "`scrubjay sessions import` takes it in again.",
    )
    export.add_argument("session", nargs="?", help=SESSION)
    export.add_argument("--all", action="store_true", help="every conversation, a file each")
    export.add_argument(
        "--format",
        choices=FORMATS,
        default="markdown",
        help="markdown by default; plugins may have more",
    )
    export.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a file, or a folder in which the file gets a name; standard output by default",
    )
    export.add_argument("--force", action="store_true", help="replace files that are there")

    importer = actions.add_parser(
        "import",
        help="take conversations in from files",
        description="Take conversations in from files: JSON that Scrubjay exported, ChatGPT's\n"
        "conversations.json or the archive it comes in, and the databases of oterm (store.db)\n"
        "and elia (elia.sqlite). What is here already is not taken in again.",
        epilog=CODES,
    )
    importer.add_argument(
        "files", nargs="+", metavar="FILE", help="a file, or a folder of JSON files"
    )
    importer.add_argument(
        "--format",
        choices=("scrubjay", "chatgpt", "oterm", "elia"),
        help="what the files are; by default that is seen from what is in them",
    )
    importer.add_argument("--json", action="store_true", help="print what came of it as JSON")

    delete = actions.add_parser("delete", help="take a conversation out of the list")
    delete.add_argument("session", help=SESSION)
    delete.add_argument("-y", "--yes", action="store_true", help="don't ask")

    archive = actions.add_parser("archive", help="take a conversation out of the list and keep it")
    archive.add_argument("session", help=SESSION)

    restore = actions.add_parser("restore", help="bring a deleted or archived conversation back")
    restore.add_argument("session", help="its whole id")


def _add_recall(commands: argparse._SubParsersAction[_Parser]) -> None:
    recall = commands.add_parser(
        "recall",
        help="what would be brought back from memory for a question, and why",
        description="What would be brought back from memory for a question: what was said in\n"
        "earlier conversations, and of the facts, episodes and skills what shares its words.",
        epilog=CODES,
    )
    recall.add_argument("question", nargs="+", help="what is asked, in ordinary words")
    recall.add_argument("--limit", type=_positive, default=5, metavar="N", help="at most N (5)")
    recall.add_argument(
        "--tokens", type=_positive, metavar="N", help="of what was said, as much as N tokens hold"
    )
    recall.add_argument(
        "--kinds",
        type=partial(_kinds, ("message", *MEMORIES)),
        default=("message", *MEMORIES),
        metavar="KIND,...",
        help="only some of message, fact, episode and skill",
    )
    recall.add_argument("--explain", action="store_true", help="what spoke for each, with its part")
    recall.add_argument("--json", action="store_true", help="print it as JSON, the reasons too")


def _add_memory(commands: argparse._SubParsersAction[_Parser]) -> None:
    memory = commands.add_parser(
        "memory", help="list, search, show, add, edit, pin and forget what is remembered"
    )
    actions = memory.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)

    lister = actions.add_parser("list", help="the pinned memories, then the newest")
    search = actions.add_parser("search", help="the memories that share words with a query")
    search.add_argument("query", nargs="+", help="words")
    for finder in (lister, search):
        finder.add_argument(
            "--kinds",
            type=partial(_kinds, MEMORIES),
            metavar="KIND,...",
            help="only some of fact, episode and skill",
        )
        finder.add_argument(
            "--limit", type=_positive, default=50, metavar="N", help="at most N (50)"
        )
        finder.add_argument(
            "--superseded", action="store_true", help="the facts, too, that hold no more"
        )

    show = actions.add_parser("show", help="a memory, its sources and what it said before")

    remember = actions.add_parser("remember", help="keep something")
    remember.add_argument("text", nargs="+", help="what to remember, as a sentence")
    remember.add_argument("--kind", choices=MEMORIES, default="fact", help="fact by default")
    remember.add_argument(
        "--name", default="", help="what a fact is about, or what a skill is called"
    )

    edit = actions.add_parser("edit", help="say a memory in other words")
    pin = actions.add_parser("pin", help="let a memory be thought of at every question")
    unpin = actions.add_parser("unpin", help="let it be thought of when it fits")
    forget = actions.add_parser("forget", help="remove a memory for good")
    for action in (show, edit, pin, unpin, forget):
        action.add_argument("memory", help="its id, or the beginning of it")
    edit.add_argument("text", help="what it shall say")
    forget.add_argument(
        "--everywhere", action="store_true", help="strike it out of its messages, too"
    )
    forget.add_argument("-y", "--yes", action="store_true", help="don't ask")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print what came of it as JSON")


def _add_models(commands: argparse._SubParsersAction[_Parser]) -> None:
    models = commands.add_parser("models", help="list, add and remove models")
    actions = models.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)

    lister = actions.add_parser("list", help="the models that can answer, and those to be had")
    lister.add_argument("--json", action="store_true", help="print them as JSON")

    add = actions.add_parser("add", help="fetch an embedded model")
    add.add_argument("model", help="a known name, the address of a GGUF file, or its path")
    add.add_argument("--name", help="what to call it")
    add.add_argument("--sha256", metavar="HASH", help="the hash that the file must have")

    remove = actions.add_parser("remove", help="delete an embedded model from the disk")
    remove.add_argument("model", help="its name")


def _add_mcp(commands: argparse._SubParsersAction[_Parser]) -> None:
    mcp = commands.add_parser(
        "mcp",
        help="let other programs search and recall; list the servers of tools used here",
        description="Speak the Model Context Protocol on standard input and output, for a program\n"
        "that starts this command: it may search and read conversations, and recall.",
        epilog=CODES,
    )
    mcp.set_defaults(action="serve")
    actions = mcp.add_subparsers(title="actions", metavar="ACTION")
    serve = actions.add_parser("serve", help="the same as no action")
    for parser, default in ((mcp, ()), (serve, argparse.SUPPRESS)):
        parser.add_argument(
            "--allow",
            type=partial(_kinds, ("remember", "research")),
            default=default,
            metavar="WHAT,...",
            help="let the program remember or research, too",
        )
    lister = actions.add_parser(
        "list", help="the servers in the settings: whether they start, and what they offer"
    )
    lister.set_defaults(action="list")
    lister.add_argument("--json", action="store_true", help="print them as JSON")
    for action, told in (
        ("login", "log in to a server that wants it, in a browser"),
        ("logout", "forget what that server has granted"),
    ):
        parser = actions.add_parser(action, help=told)
        parser.set_defaults(action=action)
        parser.add_argument("server", help="its name in the settings")


def _add_plugins(commands: argparse._SubParsersAction[_Parser]) -> None:
    plugins = commands.add_parser("plugins", help="list what installed packages add")
    actions = plugins.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True
    )
    lister = actions.add_parser(
        "list",
        help="every plugin, what it adds, and why one is skipped",
        description="Every plugin, what it adds, and why one is skipped. Install one with pip,\n"
        "where Scrubjay is installed. The exit code is 1 when one is skipped.",
    )
    lister.add_argument("--json", action="store_true", help="print them as JSON")


def _add_stats(commands: argparse._SubParsersAction[_Parser]) -> None:
    stats = commands.add_parser("stats", help="what answers cost: tokens by day, model and session")
    stats.add_argument("--limit", type=_positive, default=20, metavar="N", help="at most N of each")
    stats.add_argument("--json", action="store_true", help="print them as JSON")

    context = commands.add_parser(
        "context",
        help="what a model is shown of a conversation",
        description="What a model would be shown if the last question of a conversation were\n"
        "asked now: each part, its tokens, and what there was no room for.",
    )
    context.add_argument("session", help=SESSION)
    context.add_argument("--json", action="store_true", help="print it as JSON, the messages too")


def _kinds(known: Sequence[str], text: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(","))
    if wrong := [kind for kind in kinds if kind not in known]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(known)}")
    return kinds


def _add_purge(commands: argparse._SubParsersAction[_Parser]) -> None:
    purge = commands.add_parser(
        "purge",
        help="remove deleted conversations for good",
        description="Remove conversations for good: their messages, articles and episodes, and\n"
        "the facts that were learnt from them alone. No words of them are left in the database,\n"
        "its indexes and its log, and copies made before an upgrade are removed. Backups made\n"
        "with `scrubjay backup` are listed. Answers of other conversations that repeat what was\n"
        "said, and exported files, stay.",
        epilog=CODES,
    )
    which = purge.add_mutually_exclusive_group(required=True)
    which.add_argument("--all-deleted", action="store_true", help="all that were deleted")
    which.add_argument(
        "--before", type=_day, metavar="DATE", help="those deleted before a day, as 2026-01-31"
    )
    which.add_argument("--session", metavar="ID", help=f"one, deleted or not: {SESSION}")
    purge.add_argument(
        "--keep-facts", action="store_true", help="keep the facts that were learnt from them alone"
    )
    purge.add_argument("-y", "--yes", action="store_true", help="don't ask")
    purge.add_argument("--json", action="store_true", help="print what came of it as JSON")


def _add_storage(commands: argparse._SubParsersAction[_Parser]) -> None:
    storage = commands.add_parser("storage", help="move everything to a server, or back to a file")
    kinds = storage.add_subparsers(metavar="COMMAND", dest="what", required=True)
    copy = kinds.add_parser(
        "copy",
        help="copy everything from one store to an empty one",
        description="Copy everything that is kept: from the file on this machine to a PostgreSQL\n"
        "server, back, or from one to another. What broke off goes on when the same is asked\n"
        "again. In the end both are compared, by the numbers of their rows and by checksums.\n"
        "Quit Scrubjay everywhere before. The copy is used once [storage] url names it.",
        epilog=CODES,
    )
    place = "a file, or postgresql://user@host/database"
    copy.add_argument("--from", dest="source", required=True, metavar="STORE", help=place)
    copy.add_argument("--to", dest="target", required=True, metavar="STORE", help=place)
    copy.add_argument("--json", action="store_true", help="print numbers and checksums as JSON")


def _day(text: str) -> float:
    from datetime import datetime

    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone().timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as 2026-01-31") from None


def _positive(text: str) -> int:
    return _whole(text, 1, sys.maxsize, "a whole number from 1")


def _port(text: str) -> int:
    return _whole(text, 0, 65_535, "a port from 0 to 65535")


def _whole(text: str, least: int, most: int, wanted: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return number


def _model_ref(text: str) -> str:
    provider, _, name = text.partition(":")
    if not (provider and name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no model; write `provider:name`, as in `ollama:llama3.2`"
        )
    return text
