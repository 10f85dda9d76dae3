"""`scrubjay ask`: one question, and its answer as it comes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.attachments import AttachmentError
from engine.events import AnswerDelta, AnswerEnded, Event, ModelChanged, Notice
from engine.research.outcome import STATE, outcome_of
from storage.records import Finish, Usage
from tui.command_line.console import CommandError, Exit, Progress, complain, say_json, tell, write
from tui.command_line.running import opened
from tui.command_line.sessions import find

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable

    from engine.config import Paths, Settings
    from engine.engine import Engine
    from engine.turn import Turn
    from storage.records import Message


async def ask(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Answer the question of the command line.

    Raises:
        CommandError: There is nothing to ask, a file that it names can't be attached, or there is
            no such session.
        StorageError: The question could not be kept.
        BrokenPipeError: The reader of the answer went away; what had come of it is kept.
    """
    words, piped = _question(options.question)
    async with opened(settings, paths) as engine:
        try:
            question = _joined(await engine.attach(words, Path.cwd()), piped)
        except AttachmentError as error:
            raise CommandError(str(error), "Nothing was asked.") from None
        session_id = await _session_for(engine, options.session, options.model)
        turn = await answer(engine, engine.send(session_id, question), streaming=not options.json)
    if options.json:
        say_json(_report(turn.answer))
    return _ended(turn)


async def research(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Look up the question of the command line, and answer it with citations.

    Raises: as `ask`.
    """
    question = _joined(*_question(options.question))
    async with opened(settings, paths) as engine:
        session_id = await _session_for(engine, options.session, options.model)
        turn = await answer(
            engine, engine.research(session_id, question), streaming=not options.json
        )
        session = await engine.library.session(turn.session_id)
        found = await engine.library.articles(turn.session_id)
        cited = await engine.library.citations(turn.answer.id)
    outcome = outcome_of(session.state.get(STATE))
    for source in outcome.sources if outcome else ():
        if source.reason:
            tell(f"{source.name}: {source.reason}")
    if options.json:
        numbers = {article.id: number for number, article in cited.items()}
        say_json(
            {
                **_report(turn.answer),
                "topics": outcome and outcome.topics,
                "sources": outcome.sources if outcome else (),
                "articles": [
                    {**msgspec.structs.asdict(article), "number": numbers.get(article.id)}
                    for article in found
                ],
                "report": outcome and outcome.report,
                "unknown_citations": outcome.unknown_citations if outcome else (),
            }
        )
    return _ended(turn)


def _ended(turn: Turn) -> int:
    """The exit code for how a turn ended; what is wrong is told."""
    if turn.pending:
        wanted = ", ".join(call.name for call in turn.pending)
        complain(
            f"The model wants to use {wanted}, which needs your consent.",
            "Open the conversation in `scrubjay`, see the exact call, and decide.",
        )
        return Exit.FAILED
    if turn.answer.finish is Finish.COMPLETE:
        return Exit.DONE
    if (failure := turn.answer.failure) is not None:
        complain(failure.message, failure.next_step)
    return Exit.FAILED


def _question(words: list[str]) -> tuple[str, str]:
    """The words of the command line, and what is piped in."""
    question, piped = " ".join(words), ""
    if sys.stdin is not None and not sys.stdin.isatty():  # None: it was closed before the start
        piped = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    if not (question.strip() or piped.strip()):
        raise CommandError(
            "There is nothing to ask.",
            'Write the question behind the command, as in `scrubjay ask "What is a scrub jay?"`.',
            code=Exit.USAGE,
        )
    return question, piped


def _joined(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


async def _session_for(engine: Engine, name: str, model: str | None) -> str | None:
    if name == "new":
        return (await engine.library.create(model=model)).id if model else None
    session = await find(engine.library, name)
    if model and session.model != model:
        await engine.library.use_model(session.id, model)
    return session.id


async def answer(
    engine: Engine, asking: Awaitable[Turn], *, streaming: bool, plain: bool = False
) -> Turn:
    """Ask, and put the answer out as it comes. Returns the turn when it is over.

    Args:
        engine: Whose events tell what comes.
        asking: What begins the turn.
        streaming: Whether the answer is put out at all.
        plain: Whether nothing is drawn on the terminal meanwhile.
    """
    coming: asyncio.Queue[str | None] = asyncio.Queue()
    last = "\n"

    def listen(event: Event) -> None:
        nonlocal last
        match event:
            case AnswerDelta(text=text) if text:
                progress.end()
                coming.put_nowait(text)
                last = text
            case AnswerEnded() if not last.endswith("\n"):
                coming.put_nowait("\n")
                last = "\n"
            case ModelChanged(state="fetching", detail=detail, share=share):
                progress.show(detail, share)
            case Notice(text=text, severity="warning" | "error"):
                progress.end()
                tell(text)
            case _:
                pass

    with Progress(plain=plain) as progress:
        unsubscribe = engine.events.subscribe(listen)
        turn = await asking
        over = asyncio.create_task(turn.wait())
        over.add_done_callback(lambda _: coming.put_nowait(None))
        try:
            while (text := await coming.get()) is not None:
                if streaming:
                    # In a thread: a reader that is slow to take the text must not hold up the turn.
                    await asyncio.to_thread(write, text)
        except asyncio.CancelledError:
            if streaming and sys.stdout.isatty():
                write("\n")
            complain(f"Stopped. What had come is kept in the session {turn.session_id}.")
            raise
        finally:
            await turn.stop()
            await over
            unsubscribe()
        return turn


def _report(answer: Message) -> dict[str, Any]:
    """What `--json` prints. Counts are tokens, times are seconds; null where it is not known."""
    usage = answer.usage or Usage()
    return {
        "answer": answer.content,
        "thinking": answer.thinking,
        "model": answer.model,
        "finish": answer.finish,
        "failure": answer.failure,
        "session_id": answer.session_id,
        "message_id": answer.id,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "eval_tokens": usage.eval_tokens,
            "tokens_per_second": usage.tokens_per_second,
        },
        "timings": {
            "load_seconds": usage.load_seconds,
            "prompt_seconds": usage.prompt_seconds,
            "first_token_seconds": usage.first_token_seconds,
            "eval_seconds": usage.eval_seconds,
            "total_seconds": usage.total_seconds,
        },
    }
