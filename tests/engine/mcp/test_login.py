"""Logging in to a real server, whose grants are made with the SDK's own server side."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from engine.config import McpServer
from engine.mcp.errors import ServerError
from engine.mcp.login import Login, is_safe, log_in
from engine.mcp.servers import ServerState
from tests.embedded_weights import paths_under
from tests.engine.mcp.support import call, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pydantic import AnyHttpUrl


class Granting(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Grants everybody everything, unless it is told to refuse."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.fresh: dict[str, RefreshToken] = {}
        self.lasts = 3600
        self.refuses = False
        self.renewed = 0

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        if self.refuses:
            raise AuthorizeError(error="access_denied")
        code = secrets.token_hex()
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client.client_id or "",
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._grant(client)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.fresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.renewed += 1
        del self.fresh[refresh_token.token]
        return self._grant(client)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        raise NotImplementedError

    def _grant(self, client: OAuthClientInformationFull) -> OAuthToken:
        one, other, who = secrets.token_hex(), secrets.token_hex(), client.client_id or ""
        until = int(time.time()) + self.lasts
        self.access[one] = AccessToken(token=one, client_id=who, scopes=[], expires_at=until)
        self.fresh[other] = RefreshToken(token=other, client_id=who, scopes=[])
        return OAuthToken(access_token=one, expires_in=self.lasts, refresh_token=other)


@asynccontextmanager
async def granting() -> AsyncIterator[tuple[str, Granting]]:
    """A server of tools that wants a log-in, and whoever grants it."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    base: Any = f"http://127.0.0.1:{taken.getsockname()[1]}"
    grants = Granting()
    server = MCPServer(
        "closed",
        auth_server_provider=grants,
        auth=_settings(base),
        log_level="CRITICAL",
    )

    @server.tool()
    def greet() -> str:
        """Greet."""
        return "Hello, friend."

    web = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="critical"))
    serving = asyncio.create_task(web.serve([taken]))
    while not web.started:
        await asyncio.sleep(0.01)
    try:
        yield f"{base}/mcp", grants
    finally:
        web.should_exit = web.force_exit = True
        await serving
        taken.close()


def _settings(base: AnyHttpUrl) -> AuthSettings:
    return AuthSettings(
        issuer_url=base,
        resource_server_url=f"{base}/mcp",  # type: ignore[arg-type]  # pydantic reads it
        client_registration_options=ClientRegistrationOptions(enabled=True),
        validate_token_resource=False,
    )


def browse(page: str) -> None:
    """As a browser does: go where the server sends one, which is back here."""
    httpx2.get(page, follow_redirects=True, trust_env=False)


async def test_a_person_logs_in_once_and_what_is_granted_is_used_and_renewed(
    tmp_path: Path,
) -> None:
    logins = paths_under(tmp_path).logins_dir
    async with granting() as (url, grants):
        closed = McpServer(url=url, login=True)
        async with connected(tmp_path, closed=closed) as engine:
            [server] = engine.servers
            assert server.trouble == "wants a log-in; `scrubjay mcp login closed` does that"
        assert grants.clients == {}, "nobody has asked for anything"

        grants.lasts = 5  # less than is spared, so it is renewed before it is used again
        shown: list[str] = []
        await log_in(url, {}, logins, shown.append, browse)
        assert shown[0].startswith(url.removesuffix("/mcp"))
        [kept] = logins.iterdir()
        assert kept.stat().st_mode & 0o777 == 0o600
        assert next(iter(grants.access)) in kept.read_text()

        grants.lasts = 3600
        async with connected(tmp_path, closed=closed) as engine:
            assert "Hello, friend." in (await call(engine, "closed__greet")).text
        assert grants.renewed == 1
        async with connected(tmp_path, closed=closed) as engine:
            assert "Hello, friend." in (await call(engine, "closed__greet")).text
        assert (grants.renewed, len(grants.clients)) == (1, 1)

        # What is taken back is asked for again, by the person and not by a browser that opens.
        grants.access.clear()
        grants.fresh.clear()
        async with connected(tmp_path, closed=closed) as engine:
            [server] = engine.servers
            assert server.state is ServerState.FAILED
            assert server.trouble == "wants a log-in; `scrubjay mcp login closed` does that"
        Login(url, logins).forget()
        assert list(logins.iterdir()) == []


@pytest.mark.parametrize(
    ("page", "safe"),
    [
        ("https://example.org/authorize?a=b", True),
        ("http://127.0.0.1:8000/authorize", True),
        ("http://example.org/authorize", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
    ],
)
def test_nothing_but_a_page_is_opened_and_not_in_the_clear(page: str, safe: bool) -> None:
    assert is_safe(page) is safe


async def test_a_refused_log_in_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    async with granting() as (url, grants):
        grants.refuses = True
        with pytest.raises(ServerError, match=r"refused the log-in \(access_denied\)"):
            await log_in(url, {}, tmp_path, lambda _: None, browse)
        assert not Login(url, tmp_path).is_there


async def test_where_there_is_a_keyring_it_keeps_what_is_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stand-in: a keyring is a service of a desktop, and its package an extra.
    ring: dict[tuple[str, str], str] = {}
    errors = SimpleNamespace(KeyringError=RuntimeError)
    keyring = SimpleNamespace(
        get_password=lambda service, user: ring.get((service, user)),
        set_password=lambda service, user, secret: ring.update({(service, user): secret}),
        delete_password=lambda service, user: ring.pop((service, user), None),
        errors=errors,
    )
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    async with granting() as (url, _):
        await log_in(url, {}, tmp_path, lambda _: None, browse)
        assert list(ring) == [("scrubjay", f"mcp {url}")]
        assert list(tmp_path.iterdir()) == []
        assert Login(url, tmp_path).is_there
        Login(url, tmp_path).forget()
        assert ring == {}
