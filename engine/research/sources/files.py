"""Files and folders on this machine that the user lists: Markdown, plain text and PDF."""

from __future__ import annotations

import asyncio
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engine.research.errors import FetchError
from engine.research.fetching import decoded
from engine.research.sources.base import Query, Reach, Source, as_found
from engine.research.sources.pages import LONGEST_TEXT, read_pdf
from engine.research.words import clean, clean_title, content_words
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

TEXTS = frozenset({".md", ".markdown", ".txt", ".rst", ".text"})
MOST_FILES = 2_000
"""Files that are looked at, so that a folder such as the home does not take all day."""

LARGEST_TEXT = 1_000_000
LARGEST_PDF = 20_000_000


class Files(Source):
    """Looks through the listed files and folders."""

    name: ClassVar[str] = "files"
    local: ClassVar[bool] = True

    def __init__(self, folders: Sequence[str], *, limit: int) -> None:
        self._folders = [Path(folder).expanduser() for folder in folders]
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Rank all texts by the words that they share with the question; read PDFs in workers."""
        wanted = set(content_words(" ".join([query.question, *query.topics])))
        missing = await asyncio.to_thread(_missing, self._folders)
        if missing and len(missing) == len(self._folders):
            raise FetchError("missing", f"{missing[0]} is not there")
        reach.notes.extend(f"{folder} is not there" for folder in missing)
        texts, pdfs = await asyncio.to_thread(_look, self._folders, wanted, self._limit)
        for draft in texts:
            yield draft
        async for draft in as_found(
            (_pdf(file, reach) for file in pdfs[: self._limit]), reach.notes
        ):
            if wanted.intersection(content_words(f"{draft.title} {draft.text}")):
                yield draft


def _missing(folders: Sequence[Path]) -> list[Path]:
    return [folder for folder in folders if not os.path.exists(folder)]


def _look(folders: Sequence[Path], wanted: set[str], limit: int) -> tuple[list[Draft], list[Path]]:
    """The texts that share most words with what is wanted, and the PDFs, likely names first."""
    fitting: list[tuple[int, Draft]] = []
    pdfs: list[Path] = []
    for file in _files(folders):
        if file.suffix.lower() == ".pdf":
            pdfs.append(file)
            continue
        try:
            with file.open("rb") as opened:
                body = opened.read(LARGEST_TEXT)
                changed_at = os.fstat(opened.fileno()).st_mtime
        except OSError:  # gone, or not ours to read
            continue
        if b"\0" in body and not body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            continue
        text = clean(decoded(body, ""))
        if shared := len(wanted.intersection(content_words(f"{file.stem} {text}"))):
            draft = Draft(
                url=file.as_uri(),
                source=Files.name,
                title=clean_title(_heading(text) or file.name),
                text=text[:LONGEST_TEXT],
                published_at=changed_at,
            )
            fitting.append((shared, draft))
    fitting.sort(key=lambda pair: -pair[0])
    pdfs.sort(key=lambda file: -len(wanted.intersection(content_words(file.stem))))
    return [draft for _, draft in fitting[:limit]], pdfs


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    """Texts and PDFs below the folders, hidden ones left out, at most `MOST_FILES`."""
    left = MOST_FILES
    for folder in folders:
        root = Path(os.path.realpath(folder))
        found = [root] if root.is_file() else _below(root)
        for file in found:
            fits = file.suffix.lower() in TEXTS or file.suffix.lower() == ".pdf"
            if fits and os.path.isfile(file):  # a pipe would be waited for
                if not left:
                    return
                left -= 1
                yield file


def _below(folder: Path) -> Iterator[Path]:
    """The files, without hidden ones and links that lead elsewhere: they are not meant by it."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            real = Path(os.path.realpath(file))  # bears links that lead in a circle
            if not name.startswith(".") and (not file.is_symlink() or real.is_relative_to(folder)):
                yield file


async def _pdf(file: Path, reach: Reach) -> Draft:
    if (await asyncio.to_thread(file.stat)).st_size > LARGEST_PDF:
        raise FetchError("too large", f"{file.name} has more than {LARGEST_PDF / 1e6:g} MB")
    try:
        content = await asyncio.to_thread(file.read_bytes)
        found = await read_pdf(content, reach)
    except (FetchError, OSError) as error:
        raise FetchError("unreadable", f"{file.name} {error}") from None
    return Draft(
        url=file.as_uri(),
        source=Files.name,
        title=found.title or clean_title(file.name),
        text=found.text,
        author=found.author,
    )


def _heading(text: str) -> str:
    """The first heading of a Markdown text."""
    first = text.partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
