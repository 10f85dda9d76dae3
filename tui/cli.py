"""The program's entry: the command line is read, and the screen or a command is run.

Nothing but the standard library is imported before it is known what is wanted, so that `--help` and
`--version` answer at once.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from engine.config import Paths, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `scrubjay` with `arguments`, by default those of the process. Returns the exit code.

    The codes are those of `tui.command_line.console.Exit`.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) in (["--version"], ["-V"]):
        from engine import __version__

        print(f"scrubjay {__version__}")
        return 0

    from tui.command_line.arguments import parse

    options = parse(arguments)
    try:
        code = _run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    from engine.config import Settings, SettingsError, find_paths, load_settings
    from engine.llm.base import ModelError
    from storage.errors import StorageError
    from tui.command_line.console import CommandError, complain

    if options.command == "completions":
        from tui.command_line.arguments import build_parser
        from tui.command_line.completions import script

        print(script(options.shell, build_parser()), end="")
        return 0
    paths = find_paths()
    try:
        if options.command == "desktop":
            from tui.command_line.desktop import desktop

            return desktop(options)
        if options.command == "doctor":
            from tui.command_line.doctor import doctor

            _keep_log(Settings(), paths)
            return doctor(options, paths)
        settings = load_settings(paths.settings_file)
        _keep_log(settings, paths)
        if options.command is None and not (options.plain or options.serve):
            return _open_screen(settings, paths)

        from tui.command_line.running import run

        if options.serve:
            from tui.command_line.serve import serve

            return run(serve(options, settings, paths))
        if options.command in (None, "chat"):
            from tui.command_line.chat import chat

            return run(chat(options, settings, paths))

        from tui.command_line import (
            ask,
            backup,
            mcp,
            memory,
            models,
            plugins,
            purge,
            recall,
            sessions,
            stats,
        )
        from tui.command_line import storage as stores

        command = {
            "ask": ask.ask,
            "research": ask.research,
            "sessions": sessions.sessions,
            "recall": recall.recall,
            "memory": memory.memory,
            "models": models.models,
            "mcp": mcp.mcp,
            "plugins": plugins.plugins,
            "stats": stats.stats,
            "context": stats.context,
            "backup": backup.backup,
            "purge": purge.purge,
            "storage": stores.storage,
        }
        return run(command[options.command](options, settings, paths))
    except CommandError as error:
        complain(error.message, error.next_step)
        return error.code
    except StorageError as error:
        complain(error.message, error.next_step)
    except ModelError as error:
        complain(error.failure.message, error.failure.next_step)
    except SettingsError as error:
        complain(str(error))
    return 1


def _open_screen(settings: Settings, paths: Paths) -> int:
    from tui.command_line.console import CommandError, Exit

    in_browser = "TEXTUAL_DRIVER" in os.environ
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "The screen needs a terminal, and this is none.",
            "In scripts and pipes use `scrubjay ask` or `scrubjay chat`.",
            code=Exit.USAGE,
        )

    if os.environ.get("TERM") == "dumb" and not in_browser:
        raise CommandError(
            "This terminal (TERM is dumb) can't draw the screen.",
            "Talk line by line with `scrubjay chat`.",
            code=Exit.USAGE,
        )

    encoding = (sys.stderr.encoding or "").lower()  # what the screen is drawn on
    if not in_browser and "utf" not in encoding:
        raise CommandError(
            f"This terminal's encoding is {encoding}, and the screen is drawn in UTF-8.",
            "Set LANG to a UTF-8 locale, such as C.UTF-8, or use `scrubjay chat`.",
            code=Exit.USAGE,
        )

    from tui import app

    return app.run(settings, paths)


def _keep_log(settings: Settings, paths: Paths) -> None:
    from engine import logs
    from tui.command_line.console import complain

    try:
        logs.set_up(paths.log_file, settings.log.level)
    except OSError as error:
        complain(f"Nothing is logged: {paths.log_file} can't be written ({error.strerror}).")


if __name__ == "__main__":
    sys.exit(main())
