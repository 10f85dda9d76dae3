"""Servers at an address that answer as none should: stand-ins, for the real ones do not."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from engine.config import McpServer
from engine.mcp.offers import LONGEST_MESSAGE
from engine.mcp.servers import ServerState
from tests.engine.mcp.support import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on this machine; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer(self)

        do_GET = do_DELETE = do_POST  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_headers_are_not_carried_to_where_a_redirect_points(tmp_path: Path) -> None:
    sent: list[str | None] = []
    strayed: list[str | None] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        strayed.append(request.headers.get("authorization"))
        request.send_error(404)

    with answering(elsewhere) as other:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            sent.append(request.headers.get("authorization"))
            request.send_response(307)
            request.send_header("location", other)
            request.send_header("content-length", "0")
            request.end_headers()

        with answering(redirect) as url:
            server = McpServer(url=url, headers={"Authorization": "Bearer secret"})
            async with connected(tmp_path, far=server) as engine:
                [failed] = engine.servers
                assert failed.state is ServerState.FAILED
                assert "edirect" in failed.trouble
    assert sent[0] == "Bearer secret"
    assert strayed == []


async def test_an_answer_that_does_not_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    written = [0]

    def flood(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.end_headers()
        try:
            while written[0] < 20 * LONGEST_MESSAGE:
                written[0] += request.wfile.write(b" " * 65_536)
        except OSError:
            return

    with answering(flood) as url:
        async with connected(tmp_path, far=McpServer(url=url)) as engine:
            [failed] = engine.servers
            assert failed.state is ServerState.FAILED
    # The system's buffers hold some more.
    assert written[0] < 10 * LONGEST_MESSAGE


async def test_a_refusal_is_told_as_one(tmp_path: Path) -> None:
    with answering(lambda request: request.send_error(401)) as url:
        async with connected(tmp_path, far=McpServer(url=url)) as engine:
            [failed] = engine.servers
            assert failed.trouble == "refuses access (HTTP 401)"
