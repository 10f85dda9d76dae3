"""`scrubjay --serve`: the same app in a browser, on this machine alone.

Textual-serve runs the app in a process for each tab. Whoever knows the address may talk to the
models and run tools, so it has a random token in it, and a request without that is refused. Other
pages in the same browser can't know it.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
import socket
import sys
from typing import TYPE_CHECKING, Any

from tui.command_line.console import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths, Settings

HOST = "127.0.0.1"
ENDING_SECONDS = 2.0
"""How long open tabs may take to end with the server."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self' ws://{host}; frame-ancestors 'none'"
)
"""The page is textual-serve's, which would fetch a font from elsewhere."""


async def serve(options: argparse.Namespace, _settings: Settings, _paths: Paths) -> int:
    """Serve the app until ctrl-c.

    Raises:
        CommandError: Textual-serve is missing, or the port is taken.
    """
    try:
        from aiohttp import web
        from textual_serve.server import Server
    except ModuleNotFoundError:
        raise CommandError(
            "Serving the app to a browser needs textual-serve, which is not installed.",
            "Install it with `pip install 'scrubjay[serve]'`.",
        ) from None

    class Quiet(Server):
        async def on_startup(self, app: web.Application) -> None:
            """Say nothing; textual-serve shows its name and an address without the token."""

    listening = _listen(options.port)
    token = secrets.token_urlsafe(24)
    host = f"{HOST}:{listening.getsockname()[1]}"
    server = Quiet(
        shlex.join([sys.executable, "-m", "tui.cli"]), title="Scrubjay", public_url=f"http://{host}"
    )
    runner = web.AppRunner(
        await _guarded(await server._make_app(), token, host), shutdown_timeout=ENDING_SECONDS
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        say(f"http://{host}/{token}/")
        sys.stdout.flush()
        tell("Open this address in a browser on this machine. Ctrl-c ends it.")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
    return Exit.DONE


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise CommandError(
            f"Port {port} can't be used: {error.strerror}.", "Name another with `--port`."
        ) from error
    return listening


async def _guarded(app: Any, token: str, host: str) -> Any:
    """The app below the token, and nothing beside it."""
    from aiohttp import web

    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        named = request.path.split("/", 2)[1]
        # By its name a page from elsewhere could reach this machine: DNS says what it likes.
        if request.host != host or not secrets.compare_digest(named.encode(), token.encode()):
            raise web.HTTPForbidden(text="The address is not complete: its token is missing.\n")
        response: web.StreamResponse = await handler(request)
        return response

    async def protect(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = POLICY.format(host=host)
        response.headers["Cache-Control"] = "no-store"

    whole = web.Application(middlewares=[web.middleware(guard)])
    whole.add_subapp(f"/{token}/", app)
    whole.on_response_prepare.append(protect)
    return whole
