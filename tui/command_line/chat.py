"""`scrubjay chat`: a conversation line by line, for screen readers, dumb terminals and pipes.

Nothing moves the cursor and nothing has a colour. Answers go to standard output; the prompt and
everything else go to standard error. The slash commands are those of the screen, where they make
sense.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine import export, imports
from engine.attachments import AttachmentError
from engine.consent import Decision, pending_calls
from engine.llm.base import ModelError
from engine.mcp.errors import ServerError
from engine.mcp.texts import prompt_text, wanted_prompt
from storage.errors import StorageError
from storage.records import Finish, Role
from tui.command_line.ask import answer
from tui.command_line.chat_changes import MISSING, ChatChanges
from tui.command_line.console import CommandError, Exit, ask, complain, say, tell
from tui.command_line.mcp import describe
from tui.command_line.running import opened
from tui.command_line.sessions import READABLE, find, save
from tui.commands import COMMANDS, read_slash

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from engine.config import Paths, Settings
    from engine.engine import Engine
    from engine.mcp.texts import Wanted
    from engine.turn import Turn
    from storage.records import Message, Session, ToolCall
    from tui.commands import Slash

CHUNK = 65_536
PAGE = 500
AGAIN_SECONDS = 3.0
"""Ctrl-c twice within this quits."""


async def chat(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Talk until the input ends, or the user quits.

    Raises:
        CommandError: There is no such session.
        StorageError: The database can't be used.
    """
    async with opened(settings, paths) as engine:
        session = None if options.session == "new" else await find(engine.library, options.session)
        if options.model:
            await engine.models.choose(options.model)
        lines = Lines()
        try:
            return await Chat(engine, lines, session).run()
        finally:
            lines.close()


class Lines:
    """The lines of standard input, as they come, without holding anything up.

    A line that came before a question was asked is no answer to it, so `fresh` passes over those.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._coming: asyncio.Queue[str | None] = asyncio.Queue()
        self._wanted: asyncio.Future[str | None] | None = None
        self._rest = b""
        self.interactive = sys.stdin is not None and sys.stdin.isatty()
        self._watched = False
        if sys.stdin is None:
            self._coming.put_nowait(None)
            return
        self._file = sys.stdin.fileno()
        try:
            self._loop.add_reader(self._file, self._read)
            self._watched = True
        except PermissionError:  # A file can't be waited for, nor need it be.
            while self._read():
                pass

    async def next(self) -> str | None:
        """The next line; None at the end."""
        line = await self._coming.get()
        if line is None:
            self._coming.put_nowait(None)
        return line

    async def fresh(self) -> str | None:
        """The next line that a person writes from now on; of a script the next."""
        if not self.interactive:
            return await self.next()
        self._wanted = self._loop.create_future()
        try:
            return await self._wanted
        finally:
            self._wanted = None

    def close(self) -> None:
        """Read no more."""
        if self._watched:
            self._loop.remove_reader(self._file)
            self._watched = False

    def _read(self) -> bool:
        """Take what is there. False at the end."""
        read = os.read(self._file, CHUNK)
        *lines, self._rest = (self._rest + read).split(b"\n")
        if not read and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            self._take(line.decode("utf-8", "replace").removesuffix("\r"))
        if not read:
            self.close()
            self._take(None)
        return bool(read)

    def _take(self, line: str | None) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(line)
            if line is not None:
                return
        self._coming.put_nowait(line)


class Chat(ChatChanges):
    """A conversation in lines. Its methods `do_…` are the commands that work here."""

    def __init__(self, engine: Engine, lines: Lines, session: Session | None) -> None:
        super().__init__(engine, session.id if session else None)
        self._lines = lines
        self._over = False
        self._interrupted_at = float("-inf")
        self._code: int = Exit.DONE
        self._stopping: asyncio.Task[Message] | None = None
        self._waiting: asyncio.Task[str | None] | None = None

    async def run(self) -> int:
        """Talk. Returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            tell("Scrubjay. /help lists the commands; ctrl-d or /quit ends.")
            if self._session_id is not None:
                await self._greet(self._session_id)
            while not self._over:
                text = await self._prompt()
                if text is None:
                    break
                if text.strip():
                    await self._take(text)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        return self._code

    async def _greet(self, session_id: str) -> None:
        """What was said last."""
        session = await self._engine.library.session(session_id)
        tell(f"{session.title or 'Untitled'}, {session.message_count} messages.")
        start = max(0, session.message_count - 2)
        for message in await self._engine.library.page(session_id, start, session.message_count):
            speaker = "You" if message.role is Role.USER else message.model or "Assistant"
            tell(f"{speaker}: {message.content.strip()}")
        if calls := pending_calls(session):
            await self._settle(calls)

    async def _prompt(self) -> str | None:
        """What is said next; a line that ends in a backslash goes on with the next one."""
        whole = ""
        while True:
            if self._lines.interactive:
                ask("> " if not whole else ". ")
            self._waiting = asyncio.ensure_future(self._lines.next())
            try:
                line = await self._waiting
            except asyncio.CancelledError:
                if not self._over:
                    raise
                return None
            finally:
                self._waiting = None
            if line is None:
                return whole or None
            self._interrupted_at = float("-inf")
            if not line.endswith("\\"):
                return whole + line
            whole += line[:-1] + "\n"

    async def _take(self, text: str) -> None:
        slash = read_slash(text)
        try:
            if (wanted := wanted_prompt(self._engine.servers, text)) is not None:
                await self._send_prompt(wanted)
            elif slash is None:
                whole = await self._engine.attach(text, Path.cwd())
                await self._begin()
                await self._answer(self._engine.send(self._session_id, whole))
            else:
                await self._do(slash)
        except (StorageError, CommandError) as error:
            complain(error.message, error.next_step)
        except ModelError as error:
            complain(error.failure.message, error.failure.next_step)
        except AttachmentError as error:
            complain(str(error), "Nothing was asked.")

    async def _send_prompt(self, wanted: Wanted) -> None:
        """Show a server's prompt, and send it if the user wants that: it is not their text."""
        try:
            text = await prompt_text(wanted)
        except ServerError as error:
            complain(f"The server {wanted.server.name} {error}.", "Nothing was asked.")
            return
        tell(text)
        ask("Send it? y or n: ")
        if (await self._lines.fresh() or "").strip().lower() in ("y", "yes"):
            await self._answer(self._engine.send(self._session_id, text))
        else:
            tell("Nothing was asked.")

    async def _do(self, slash: Slash) -> None:
        if slash.command is None:
            complain(f"There is no command {slash.word}.", "/help lists those that there are.")
            return
        do = self._doer(slash.command.action)
        if do is None:
            complain(f"{slash.word} works on the screen only.", "Run `scrubjay` for that.")
        else:
            await do(slash.argument)

    def _doer(self, action: str) -> Callable[[str], Awaitable[None]] | None:
        return getattr(self, f"do_{action}", None)

    def _interrupt(self) -> None:
        """Stop the answer; quit when it is asked for twice."""
        now = asyncio.get_running_loop().time()
        twice = now - self._interrupted_at < AGAIN_SECONDS
        self._interrupted_at = now
        turn = self._engine.turn(self._session_id) if self._session_id else None
        if turn is not None:
            self._stopping = asyncio.create_task(turn.stop())
        if twice:
            self._over, self._code = True, 128 + signal.SIGINT
            if self._waiting is not None:
                self._waiting.cancel()
        elif turn is None:
            tell("\nCtrl-c again quits.")

    # Answers

    async def _fresh(self) -> str | None:
        return await self._lines.fresh()

    async def _answer(self, asking: Awaitable[Turn]) -> None:
        """Ask, put the answer out, and see to what waits for consent."""

        async def begin() -> Turn:
            turn = await asking
            self._session_id = turn.session_id
            return turn

        turn = await answer(self._engine, begin(), streaming=True, plain=True)
        self._tell_end(turn)
        if turn.pending:
            await self._settle(turn.pending)

    def _tell_end(self, turn: Turn) -> None:
        message = turn.answer
        if message.finish is Finish.STOPPED:
            tell("Stopped.")
        elif message.failure is not None:
            complain(message.failure.message, message.failure.next_step)

    async def _settle(self, calls: tuple[ToolCall, ...]) -> None:
        """Ask about each call; without an answer it goes on waiting."""
        decisions: dict[str, Decision] = {}
        for call in calls:
            arguments = msgspec.json.encode(call.arguments).decode()
            origin = self._engine.tools.origin(call)
            where = f" of the server {origin}" if origin else ""
            tell(f"The model wants to use {call.name}{where} with {arguments}")
            scope = self._engine.tools.scope(call)
            ask(f"Allow it? y, n, or always (every {scope} in this conversation): ")
            said = await self._fresh()
            if said is None:
                return
            word, _, reason = said.strip().partition(" ")
            match word.lower():
                case "y" | "yes":
                    decisions[call.id] = Decision(approve=True)
                case "a" | "always":
                    decisions[call.id] = Decision(approve=True, always=True)
                case _:
                    decisions[call.id] = Decision(approve=False, reason=reason)
                    tell("Denied.")
        confirming = self._session_id and await self._engine.confirm(self._session_id, decisions)
        if confirming:
            await self._answer(_ready(confirming))

    # Commands

    async def do_new(self, _argument: str) -> None:
        """Begin an empty conversation."""
        self._session_id = None
        tell("A new conversation.")

    async def do_choose_model(self, ref: str) -> None:
        """Choose who answers, or list who can."""
        models = self._engine.models
        if ref:
            info = await models.choose(ref)
            tell(f"{info.ref} answers from now on.")
            return
        current = models.current or await models.find().result()
        for info in await models.listing():
            say(f"{info.ref}{'  (answers now)' if info.ref == current.ref else ''}")

    async def do_servers(self, _argument: str) -> None:
        """Tell of the servers of tools, and of what they offer."""
        await self._engine.servers.settled()
        for server in self._engine.servers:
            describe(server)

    async def do_retry(self, _argument: str) -> None:
        """Answer again."""
        await self._retry(None)

    async def do_retry_with(self, ref: str) -> None:
        """Answer again with another model, once."""
        if not ref:
            raise CommandError("The model is missing.", "/model lists those that there are.")
        await self._retry(ref)

    async def _retry(self, model: str | None) -> None:
        turn = await self._engine.retry(self._known(), model=model)
        if turn is None:
            raise CommandError("There is nothing to answer again yet.")
        await self._answer(_ready(turn))

    async def do_edit_last(self, text: str) -> None:
        """Ask the last question in other words, those behind the command."""
        if not text:
            raise CommandError("The other words are missing.", MISSING)
        session_id = self._known()
        question = await self._last(lambda message: message.role is Role.USER)
        whole = await self._engine.attach(text, Path.cwd())
        turn = question and await self._engine.edit(session_id, question.id, whole)
        if not turn:
            raise CommandError("There is no question to edit yet.")
        await self._answer(_ready(turn))

    async def do_go_on(self, _argument: str) -> None:
        """Let the last answer go on where it was stopped."""
        turn = await self._engine.go_on(self._known())
        if turn is None:
            raise CommandError("There is no stopped answer to continue.")
        await self._answer(_ready(turn))

    async def do_allow(self, _argument: str) -> None:
        """Decide on the calls that wait for consent."""
        calls = pending_calls(await self._engine.library.session(self._known()))
        if not calls:
            raise CommandError("No call waits for your consent.")
        await self._settle(calls)

    async def do_research(self, question: str) -> None:
        """Look a question up."""
        if not question:
            raise CommandError("The question is missing.", MISSING)
        await self._begin()
        await self._answer(self._engine.research(self._session_id, question))

    async def do_find(self, words: str) -> None:
        """List the lines of the conversation that hold the words."""
        wanted, found = words.casefold(), 0
        start = 0
        session_id = self._known()
        while page := await self._engine.library.page(session_id, start, start + PAGE):
            start += len(page)
            for message in page:
                for line in message.content.splitlines():
                    if wanted in line.casefold():
                        found += 1
                        say(f"{message.position + 1}: {line.strip()}")
        tell(f"{found} lines.")

    async def do_export(self, argument: str) -> None:
        """Write the conversation to a file."""
        session = await self._engine.library.session(self._known())
        exporter, file = export.wanted(argument, session, await self._engine.exporters())
        await save(exporter.pieces(self._engine.library, session), file, replace=False)
        tell(f"Wrote {file}.")

    async def do_import_file(self, name: str) -> None:
        """Take in conversations from a file."""
        if not name:
            raise CommandError("The file is missing.", MISSING)
        file = _file(name)
        try:
            report = await imports.take_in(self._engine.library, file)
        except imports.UnreadableError as error:
            raise CommandError(error.message, error.next_step) from error
        except OSError as error:
            problem = f"{file} can't be read: {error.strerror or error}."
            raise CommandError(problem, READABLE) from error
        tell(f"{report.problem} {report.summary}".lstrip())

    async def do_help(self, _argument: str) -> None:
        """List what can be said."""
        for command in COMMANDS:
            if command.slash and self._doer(command.action):
                say(f"{f'{command.slash} {command.takes}'.rstrip()}: {command.title}")
        say("@FILE puts a file into a question: text, or an image where the model can see.")
        say("A line that ends in a backslash goes on with the next. Ctrl-c stops an answer.")

    async def do_quit(self, _argument: str) -> None:
        """End."""
        self._over = True


async def _ready(turn: Turn) -> Turn:
    return turn


def _file(name: str) -> Path:
    return Path(name).expanduser()
