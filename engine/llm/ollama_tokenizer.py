"""The tokenizer of a model on an Ollama server, asked for once and kept on the disk.

The official client has no word for it, and what the server sends can be ten megabytes of JSON. All
of this is done in a thread.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from typing import TYPE_CHECKING

import httpx
import msgspec

from engine.context.vocabulary import Vocabulary, encoding_of
from engine.llm.ollama_errors import explain
from engine.llm.ollama_host import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    import tiktoken

log = logging.getLogger(__name__)

SECONDS = 15.0
"""The longest silence of the server."""

MOST_KEPT = 8
"""Vocabularies on the disk; those that were kept first go first."""


class _Shown(msgspec.Struct):
    """What is read of `/api/show` with `verbose`."""

    model_info: Vocabulary


def tokenizer(
    url: str, api_key: str, model: str, digest: str, folder: Path | None
) -> tiktoken.Encoding | None:
    """A model's tokenizer; None when the server does not tell it, or tells of an unknown kind.

    Args:
        url: The server's.
        api_key: What it asks for, if anything.
        model: The model's name.
        digest: What the vocabulary is kept under: a model that was replaced has another.
        folder: Where it is kept. None keeps nothing.

    Raises:
        ModelError: The server could not be asked.
    """
    file = folder / hashlib.sha256(digest.encode()).hexdigest() if folder and digest else None
    if file is not None and (kept := _read(file)) is not None:
        return encoding_of(kept)
    try:
        answer = httpx.post(
            f"{url}/api/show",
            json={"model": model, "verbose": True},
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=SECONDS,
            trust_env=not is_loopback(url),
        )
        answer.raise_for_status()
        vocabulary = msgspec.json.decode(answer.content, type=_Shown).model_info
    except Exception as error:
        raise explain(error, url, model) from error
    encoding = encoding_of(vocabulary)
    if file is not None:
        # Of a kind that is not known, the kind is enough to know that again.
        kind = Vocabulary(model=vocabulary.model, pre=vocabulary.pre)
        _write(file, vocabulary if encoding is not None else kind)
    return encoding


def _read(file: Path) -> Vocabulary | None:
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=Vocabulary)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("a kept vocabulary can't be read: %s", type(error).__name__)
        return None


def _write(file: Path, vocabulary: Vocabulary) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}-{time.monotonic_ns()}.part")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(msgspec.msgpack.encode(vocabulary))
        part.replace(file)
        files = sorted(file.parent.iterdir(), key=lambda kept: -kept.stat().st_mtime_ns)
        for old in files[MOST_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("a vocabulary can't be kept: %s", error.strerror)
        part.unlink(missing_ok=True)
