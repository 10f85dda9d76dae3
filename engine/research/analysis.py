"""The analysis of articles in a process of its own, which may crash, hang or babble unpunished."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.research import analysis_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.articles import Draft

SCRIPT = Path(analysis_script.__file__)
DEADLINE = 5.0
"""Seconds, after which the script's whole process group is killed."""

MOST_OUTPUT = 256_000
"""Bytes; a report has some 5,000."""

LEAST_CHARACTERS = 40
"""Of each article's text that are always told."""


class OfSource(msgspec.Struct, frozen=True, kw_only=True):
    """What came from one source."""

    source: str
    count: int
    mean: float | None
    """Relevance."""


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best articles."""

    title: str
    url: str | None
    source: str
    relevance: float | None


class Keyword(msgspec.Struct, frozen=True, kw_only=True):
    """A word, or a run of words, and how often it stands there."""

    term: str
    count: int


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A year or a month, and how many articles were published in it."""

    period: str
    count: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `analysis_script.py` found, or why it found nothing."""

    count: int = 0
    mean: float | None = None
    """Of the relevance, as is the deviation."""

    deviation: float | None = None
    sources: tuple[OfSource, ...] = ()
    top: tuple[Top, ...] = ()
    histogram: tuple[int, ...] = ()
    """Articles by tenths of relevance."""

    keywords: tuple[Keyword, ...] = ()
    timeline: tuple[Period, ...] = ()
    words: int = 0
    reading_minutes: float = 0.0
    failure: str = ""
    """A sentence, when there is no report."""


async def analyse(
    articles: Sequence[Draft], *, script: Path = SCRIPT, seconds: float = DEADLINE
) -> Report:
    """Let the script report on articles. Whatever goes wrong in it becomes the report's `failure`.

    Args:
        articles: What to report on.
        script: Reads a JSON array on its standard input and writes one JSON object.
        seconds: How long it may take.
    """
    try:
        async with asyncio.timeout(seconds):
            output = await _run(script, _told(articles))
    except TimeoutError:
        return Report(failure=f"The analysis was ended: it took longer than {seconds:g} s.")
    except OSError as error:
        return Report(failure=f"The analysis could not start: {error.strerror}.")
    except _Failed as failed:
        return Report(failure=str(failed))
    try:
        return msgspec.json.decode(output, type=Report)
    except (msgspec.DecodeError, RecursionError):
        return Report(failure="The analysis answered something that is no report.")


class _Failed(Exception):  # noqa: N818
    pass


async def _run(script: Path, told: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    feeding: asyncio.Task[None] | None = None
    try:
        _limit(process.pid)
        feeding = asyncio.create_task(_feed(process.stdin, told))
        output = bytearray()
        while chunk := await process.stdout.read(65_536):
            output += chunk
            if len(output) > MOST_OUTPUT:
                raise _Failed(f"The analysis was ended: it wrote more than {MOST_OUTPUT:,} bytes.")
        await feeding
        status = await process.wait()
    finally:
        if feeding is not None:
            feeding.cancel()
        _kill(process.pid)
        await process.wait()
    if status < 0:
        raise _Failed(f"The analysis crashed: {signal.Signals(-status).name}.")
    if status:
        raise _Failed(f"The analysis failed, with the exit status {status}.")
    return bytes(output)


async def _feed(stdin: asyncio.StreamWriter, told: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read
        stdin.write(told)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


def _limit(pid: int) -> None:
    """Bound what the process may use, from outside where the system can."""
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(ProcessLookupError, PermissionError):  # it may be over already
            for limit, value in (
                (resource.RLIMIT_CPU, analysis_script.CPU_SECONDS),
                (resource.RLIMIT_AS, analysis_script.MEMORY_BYTES),
                (resource.RLIMIT_FSIZE, 0),
                (resource.RLIMIT_CORE, 0),
            ):
                resource.prlimit(pid, limit, (value, value))


def _kill(pid: int) -> None:
    """End the process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    # Python does not start on Windows without this one.
    return {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if sys.platform == "win32" else {}


def _told(articles: Sequence[Draft]) -> bytes:
    """The articles as the script reads them, with as much of the texts as it looks at."""
    share = max(LEAST_CHARACTERS, analysis_script.KEYWORD_CHARACTERS // max(1, len(articles)))
    return msgspec.json.encode(
        [
            {
                "title": article.title,
                "url": article.url,
                "source": article.source,
                "text": article.text[:share],
                "words": article.text.count(" ") + bool(article.text),  # quick, and near enough
                "relevance": article.relevance,
                "published": article.published_at,
            }
            for article in articles
        ]
    )
