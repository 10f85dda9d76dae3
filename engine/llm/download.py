"""A large file from a web address: resumed where it stopped, checked, and put into place whole."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Self

import httpx
import msgspec

from engine.llm.base import ModelError
from engine.llm.gguf import MAGIC
from engine.llm.large_files import need_room, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = 2**20
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')


async def download(
    url: str,
    file: Path,
    *,
    sha256: str | None,
    progress: Callable[[int, int | None], None],
) -> str:
    """Fetch a GGUF file and return its SHA-256.

    What has come is kept in `FILE.part`, and a later call asks for the rest alone if the server
    still has the same content. The hash is checked against `sha256`, else against the one that
    Hugging Face states (`X-Linked-ETag`).

    Args:
        url: The address, with TLS unless it is on this machine or `sha256` is given; redirects
            are followed.
        file: Its place; the folder must exist and the caller must hold its lock.
        sha256: The hash that it must have, in hexadecimal digits.
        progress: Told the bytes that have come, and their number when known.

    Raises:
        ModelError: `offline`, `fetch_failed`, `not_gguf`, `corrupt` or `disk_full`.
        OSError: The disk fails.
    """
    part = _Part.of(file, url)
    try:
        async with httpx.AsyncClient(follow_redirects=True, timeout=_TIMEOUT) as client:
            request = client.build_request("GET", url, headers=part.request_headers())
            _need_trust(request.url, sha256)
            response = await client.send(request, stream=True)
            try:
                for hop in (*response.history, response):
                    _need_trust(hop.url, sha256)
                if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    part.discard()
                    raise _broken(url, part)
                if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
                    raise _refused(url, response.status_code)
                await _receive(response, part, progress)
            finally:
                await response.aclose()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ModelError(
            "fetch_failed", f"{url} is not an address: {error}.", "Correct it."
        ) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ModelError(
            "offline",
            f"{httpx.URL(url).host} can't be reached.",
            "Connect to the network and try again: the fetch goes on where it stopped.",
        ) from error
    except httpx.HTTPError as error:
        raise _broken(url, part) from error
    wanted = sha256.lower() if sha256 is not None else _stated_hash(response)
    found = await sha256_of(part.file)
    if wanted is not None and found != wanted:
        part.discard()
        raise ModelError(
            "corrupt",
            f"What came from {url} has the SHA-256 {found[:12]}…, not {wanted[:12]}…. "
            "It was deleted.",
            "Try again; if it stays so, the file at that address has changed.",
        )
    part.finish(file)
    return found


class _Begun(msgspec.Struct):
    """What a download that may have to be resumed needs to know; kept beside it."""

    url: str
    etag: str = ""
    """The server's name for the exact content, without which nothing can be resumed."""


class _Part:
    """The file that a download grows in."""

    def __init__(self, file: Path, begun: _Begun) -> None:
        self.file = file
        self._begun = begun
        self._record = file.with_name(f"{file.name}.json")

    @classmethod
    def of(cls, file: Path, url: str) -> Self:
        """The part of an earlier download of the same address, or an empty one."""
        part = cls(file.with_name(f"{file.name}.part"), _Begun(url))
        try:
            begun = msgspec.json.decode(part._record.read_bytes(), type=_Begun)
        except (FileNotFoundError, msgspec.DecodeError):
            begun = _Begun("")
        if begun.url == url and begun.etag:
            part._begun = begun
        else:
            part.discard()
        return part

    @property
    def size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def request_headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if self.size:
            # RFC 9110, 13.1.5: the whole file comes instead when it is not the same any more.
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self._begun.etag}
        return headers

    def restart(self, etag: str) -> None:
        """Begin again, with content that the server calls `etag`."""
        self.discard()
        self._begun.etag = "" if etag.startswith("W/") else etag
        self._record.write_bytes(msgspec.json.encode(self._begun))

    def append(self, block: bytes) -> None:
        with self.file.open("ab") as stream:
            stream.write(block)

    def finish(self, file: Path) -> None:
        """Put the whole file into its place, safe against a power cut."""
        with self.file.open("rb") as stream:
            os.fsync(stream.fileno())
        self.file.replace(file)
        self._record.unlink()

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


async def _receive(
    response: httpx.Response, part: _Part, progress: Callable[[int, int | None], None]
) -> None:
    if response.status_code == httpx.codes.OK:
        part.restart(response.headers.get("etag", ""))
    done = part.size
    length = response.headers.get("content-length", "")
    total = done + int(length) if length.isdigit() else None
    need_room(part.file.parent, (total or done) - done)
    progress(done, total)
    async for block in response.aiter_bytes(_BLOCK):
        if not done and not block.startswith(MAGIC):
            part.discard()
            raise ModelError(
                "not_gguf",
                f"What {response.url} sends is not a GGUF file.",
                "Give the address of the file itself; on Hugging Face it contains `/resolve/`.",
            )
        await asyncio.to_thread(part.append, block)
        done += len(block)
        progress(done, total)
    if total is not None and done != total:
        raise _broken(str(response.url), part)


def _need_trust(url: httpx.URL, sha256: str | None) -> None:
    local = url.host in ("localhost", "::1") or url.host.startswith("127.")
    if url.scheme == "https" or sha256 is not None or (url.scheme == "http" and local):
        return
    raise ModelError(
        "fetch_failed",
        f"Anybody on the way could change what comes from {url}.",
        "Give an https address, or the SHA-256 that the file must have.",
    )


def _stated_hash(response: httpx.Response) -> str | None:
    """The SHA-256 in the header that Hugging Face puts on the redirect to the file."""
    for hop in (*response.history, response):
        if stated := _SHA256.fullmatch(hop.headers.get("x-linked-etag", "")):
            return stated[1]
    return None


def _broken(url: str, part: _Part) -> ModelError:
    return ModelError(
        "offline",
        f"The connection to {httpx.URL(url).host} broke after {part.size / 1e6:,.0f} MB.",
        "Try again: the fetch goes on where it stopped.",
    )


def _refused(url: str, status: int) -> ModelError:
    if status in (401, 403):
        step = "It asks for a login: fetch it in a browser, then `scrubjay models add FILE`."
    elif status == 404:
        step = "Check the address."
    else:
        step = "Try again later."
    return ModelError("fetch_failed", f"{url} answered {status}.", step)
