"""`scrubjay --serve`: the app in a browser, for whoever has the token and for nobody else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Scrubjay


@pytest.fixture
def address(scrubjay: Scrubjay) -> Iterator[str]:
    """Where a running server says that the app is."""
    server = scrubjay.start("--serve")
    assert server.stdout is not None
    assert server.stderr is not None
    try:
        yield server.stdout.readline().decode().strip()
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 143
        server.stdout.close()
        server.stderr.close()


def test_only_the_whole_address_opens_the_app(address: str) -> None:
    page = httpx.get(address)
    assert page.status_code == 200
    assert "textual.js" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert httpx.get(f"{address}static/js/textual.js").status_code == 200

    origin, _, token = address.rstrip("/").rpartition("/")
    assert origin.startswith("http://127.0.0.1:")
    assert len(token) >= 32
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/", "/ws", "/static/js/textual.js", f"/{token[:-1]}/", f"/{token}x/ws", "/é/"):
        assert httpx.get(origin + path, headers=upgrade).status_code == 403
    # A name of somebody else's that leads here, as DNS can be made to say.
    assert httpx.get(address, headers={"Host": "evil.example"}).status_code == 403


def test_a_browser_gets_the_app_over_its_websocket(address: str) -> None:
    code = (
        "import asyncio, sys, aiohttp\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        async with session.ws_connect(sys.argv[1] + 'ws?width=100&height=30') as ws:\n"
        "            seen = b''\n"
        "            while b'Ask anything' not in seen:\n"
        "                message = await asyncio.wait_for(ws.receive(), 60)\n"
        "                assert message.type.name in ('BINARY', 'TEXT')\n"
        "                seen += message.data if isinstance(message.data, bytes) else b''\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, address], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_told(scrubjay: Scrubjay, tmp_path: Path) -> None:
    without = tmp_path / "without"
    without.mkdir()
    (without / "textual_serve.py").write_text("raise ModuleNotFoundError('textual_serve')")
    refused = scrubjay.run("--serve", PYTHONPATH=str(without))
    assert refused.code == 1
    assert "pip install 'scrubjay[serve]'" in refused.err


def test_a_port_that_is_taken_is_told(scrubjay: Scrubjay, address: str) -> None:
    port = address.split(":")[2].partition("/")[0]
    refused = scrubjay.run("--serve", "--port", port)
    assert refused.code == 1
    assert "--port" in refused.err


def test_a_port_has_a_number(scrubjay: Scrubjay) -> None:
    for wrong in ("x", "-1", "65536"):
        assert scrubjay.run("--serve", "--port", wrong).code == 2
    for words in (["--port", "8000"], ["--serve", "stats"]):
        assert scrubjay.run(*words).code == 2
