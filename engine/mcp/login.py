"""Logging in to a server at an address: OAuth by the SDK, and where what it grants is kept.

A person logs in once, by `scrubjay mcp login`, in a browser; the code comes back to a port of this
machine (RFC 8252). From then on the tokens are used and renewed, and nobody's browser is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
import webbrowser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.client import Client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
)

from engine.llm.ollama_host import is_loopback
from engine.mcp.errors import ServerError, reason
from engine.mcp.transport import address, filled
from engine.secrets import forget_in_keyring, from_keyring, keep_in_keyring

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

# It would quote what is granted.
logging.getLogger("mcp").setLevel(logging.CRITICAL)

LOGIN_SECONDS = 300.0
"""So long a person has to log in."""

SPARE_SECONDS = 10.0
"""A token is renewed so long before it ends."""

PAGE = """\
HTTP/1.1 200 OK\r
Content-Type: text/plain; charset=utf-8\r
Connection: close\r
\r
Scrubjay has heard of it. You can close this page."""

NOT_HERE = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Record(msgspec.Struct, kw_only=True):
    """What is kept of one server."""

    tokens: dict[str, Any] | None = None
    until: float | None = None
    """When the first of them ends."""

    client: dict[str, Any] | None = None
    """How this program is known there."""

    metadata: dict[str, Any] | None = None
    """Where tokens are renewed."""


class Login(TokenStorage):
    """What a server has granted: in the system's keyring, else in a file for its owner alone."""

    def __init__(self, url: str, folder: Path) -> None:
        """Args:
        url: The server's. What is kept is sent to nobody else but whom it names for that.
        folder: Where files are kept.
        """
        self.url = url
        self._user = f"mcp {url}"
        self._file = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"
        self._record = self._read()
        self.provider: OAuthClientProvider | None = None

    @property
    def is_there(self) -> bool:
        """Whether a person has logged in."""
        return self._record.tokens is not None

    def forget(self) -> None:
        """Keep nothing more."""
        self._record = _Record()
        forget_in_keyring(self._user)
        self._file.unlink(missing_ok=True)

    def auth(
        self,
        redirect_uri: str,
        redirect: Callable[[str], Awaitable[None]],
        callback: Callable[[], Awaitable[AuthorizationCodeResult]],
    ) -> OAuthClientProvider:
        """What makes requests bear the token, and renews it.

        Args:
            redirect_uri: Where the browser is sent with the code.
            redirect: Called with the address at which a person logs in.
            callback: Waits for the code.
        """
        metadata = OAuthClientMetadata.model_validate(
            {
                "client_name": "Scrubjay",
                "redirect_uris": [redirect_uri],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            }
        )
        provider = OAuthClientProvider(self.url, metadata, self, redirect, callback)
        # The SDK keeps neither, and could renew nothing after a restart.
        provider.context.token_expiry_time = self._record.until
        if self._record.metadata is not None:
            provider.context.oauth_metadata = OAuthMetadata.model_validate(self._record.metadata)
        self.provider = provider
        return provider

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens; None if nobody has logged in."""
        kept = self._record.tokens
        return None if kept is None else OAuthToken.model_validate(kept)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep new ones, and where they are renewed."""
        self._record.tokens = tokens.model_dump(mode="json", exclude_none=True)
        lasts = tokens.expires_in
        self._record.until = None if lasts is None else time.time() + lasts - SPARE_SECONDS
        found = self.provider.context.oauth_metadata if self.provider is not None else None
        if found is not None:
            self._record.metadata = found.model_dump(mode="json", exclude_none=True)
        await asyncio.to_thread(self._write)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """How this program is known there."""
        kept = self._record.client
        return None if kept is None else OAuthClientInformationFull.model_validate(kept)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep how this program is known there."""
        self._record.client = client_info.model_dump(mode="json", exclude_none=True)
        await asyncio.to_thread(self._write)

    def _read(self) -> _Record:
        kept: bytes | str | None = from_keyring(self._user)
        if kept is None:
            with contextlib.suppress(OSError):
                kept = self._file.read_bytes()
        try:
            return msgspec.json.decode(kept or b"{}", type=_Record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _Record()

    def _write(self) -> None:
        text = msgspec.json.encode(self._record)
        if keep_in_keyring(self._user, text.decode()):
            self._file.unlink(missing_ok=True)
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text)
        fresh.replace(self._file)


def granted(name: str, url: str, folder: Path) -> OAuthClientProvider:
    """What makes the requests of a connection bear what was granted.

    Raises:
        ServerError: Nobody has logged in, or what was granted is over and can't be renewed.
    """
    login = Login(url, folder)
    wanted = ServerError(f"wants a log-in; `scrubjay mcp login {name}` does that", lost=True)
    if not login.is_there:
        raise wanted

    async def redirect(_url: str) -> None:
        raise wanted

    async def callback() -> AuthorizationCodeResult:
        raise wanted

    return login.auth("http://127.0.0.1/callback", redirect, callback)


def is_safe(page: str) -> bool:
    """Whether a page that a server names may be opened: a browser opens more than pages."""
    return page.startswith("https://") or (page.startswith("http://") and is_loopback(page))


async def log_in(
    url: str,
    headers: Mapping[str, str],
    folder: Path,
    show: Callable[[str], None],
    browse: Callable[[str], object] = webbrowser.open,
) -> None:
    """Let a person log in to a server in a browser.

    Args:
        url: The server's.
        headers: Sent to it, too.
        folder: Where files are kept.
        show: Told the address at which they log in, for browsers elsewhere.
        browse: Opens it.

    Raises:
        ServerError: It did not come to that; what was granted before is forgotten.
    """
    # How this program was known belongs to a port that may be somebody else's by now.
    login = Login(url, folder)
    login.forget()
    answered: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError, IndexError):
            async with asyncio.timeout(10):
                target = urlsplit((await reader.readline()).decode("ascii", "replace").split()[1])
                here = target.path == "/callback"
                writer.write((PAGE if here else NOT_HERE).encode())
                await writer.drain()
            if here and not answered.done():
                answered.set_result({key: said[0] for key, said in parse_qs(target.query).items()})
        writer.close()

    async def redirect(page: str) -> None:
        if not is_safe(page):
            raise ServerError("names a page for its log-in that is not safe to open")
        show(page)
        await asyncio.to_thread(browse, page)

    async def callback() -> AuthorizationCodeResult:
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                said = await answered
        except TimeoutError:
            raise ServerError(f"saw no log-in within {LOGIN_SECONDS:.0f} seconds") from None
        if "code" not in said:
            raise ServerError(f"refused the log-in ({said.get('error', 'it gave no code')[:100]})")
        return AuthorizationCodeResult(
            code=said["code"], state=said.get("state"), iss=said.get("iss")
        )

    listening = await asyncio.start_server(hear, "127.0.0.1", 0)
    try:
        port = listening.sockets[0].getsockname()[1]
        auth = login.auth(f"http://127.0.0.1:{port}/callback", redirect, callback)
        async with Client(address(url, filled(headers), auth), cache=None):
            pass
    except (Exception, ExceptionGroup) as error:
        raise ServerError(reason(error)) from None
    finally:
        listening.close()
    if not login.is_there:
        raise ServerError("wants no log-in; `login = true` is not needed")
