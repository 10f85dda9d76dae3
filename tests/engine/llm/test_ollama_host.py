"""Where the Ollama backend looks for its server, and how it finds out whether one is there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from ollama._client import _parse_host

from engine.config import OllamaSettings
from engine.llm.base import ModelError
from engine.llm.ollama import Ollama
from engine.llm.ollama_host import is_loopback, server_url
from tests.engine.llm.ollama_requests import answer, ask, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FORMS = [
    "",
    "localhost",
    "1.2.3.4",
    ":56789",
    "1.2.3.4:56789",
    "http://1.2.3.4",
    "https://1.2.3.4",
    "https://1.2.3.4:56789",
    "example.com",
    "example.com:56789",
    "http://example.com",
    "https://example.com",
    "https://example.com:443/",
    "example.com/",
    "example.com:56789/",
    "example.com/path",
    "example.com:56789/path/",
    "https://example.com:56789/path/",
    "[0001:002:003:0004::1]",
    "[0001:002:003:0004::1]:56789",
    "http://[0001:002:003:0004::1]",
    "https://[0001:002:003:0004::1]:56789/path/",
]

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("form", FORMS)
def test_a_host_means_what_it_means_to_the_official_client(form: str) -> None:
    assert server_url(form) == _parse_host(form)


@pytest.mark.parametrize(
    ("listening", "url"),
    [("0.0.0.0", "http://127.0.0.1:11434"), ("http://[::]:5000", "http://[::1]:5000")],
)
def test_an_address_to_listen_on_means_this_machine(listening: str, url: str) -> None:
    assert server_url(listening) == url


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("ollama.localhost", True),
        ("192.168.1.7", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_hosts_are_told_from_others(host: str, here: bool) -> None:
    assert is_loopback(server_url(host)) is here


@pytest.mark.parametrize(
    "host", ["ftp://example.com", "example.com:port", "http://[::1", "a:99999"]
)
async def test_a_host_that_is_none_is_said_to_be_wrong(host: str) -> None:
    ollama = Ollama(OllamaSettings(host=host))

    assert not await ollama.answers(1.0)
    with pytest.raises(ModelError) as raised:
        await ollama.models()
    assert raised.value.kind == "bad_setting"
    assert host in str(raised.value)
    assert "OLLAMA_HOST" in raised.value.failure.next_step


async def test_the_settings_win_over_the_environment(ollama_host: str) -> None:
    from_environment = Ollama(OllamaSettings(), {"OLLAMA_HOST": ollama_host})
    from_settings = Ollama(OllamaSettings(host=NOWHERE), {"OLLAMA_HOST": ollama_host})

    assert await from_environment.answers(5.0)
    assert not await from_settings.answers(5.0)


async def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(
    ollama_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_loopback(server_url(ollama_host)):
        pytest.skip("the server in OLLAMA_HOST is on another machine")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{NOWHERE}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    ollama = Ollama(OllamaSettings(host=ollama_host))

    assert await ollama.answers(5.0)
    assert text_of(await answer(ollama, ask("Say hello.", max_tokens=3)))
    await ollama.close()


async def test_looking_for_a_server_imports_no_client(ollama_host: str) -> None:
    probe = (
        "import asyncio, sys\n"
        "from engine.config import OllamaSettings\n"
        "from engine.llm.ollama import Ollama\n"
        f"print(asyncio.run(Ollama(OllamaSettings(host={ollama_host!r})).answers(5.0)))\n"
        "print(*{'ollama', 'httpx', 'pydantic', 'numpy', 'tiktoken'} & set(sys.modules))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )

    assert result.stdout.splitlines() == ["True", ""]


# Stand-ins from here on: a real Ollama can't be made to be something else, or to be silent.


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.0 200 OK\r\n\r\nwelcome",
        b'HTTP/1.0 200 OK\r\n\r\n["version"]',
        b'HTTP/1.0 200 OK\r\n\r\n{"version": 3}',
        b'HTTP/1.0 404 Not Found\r\n\r\n{"version": "0.9.3"}',
        b"220 mail.example.com ESMTP\r\n",
        b"",
    ],
)
async def test_another_program_on_the_port_is_not_taken_for_ollama(reply: bytes) -> None:
    async with _speaker(reply) as host:
        assert not await Ollama(OllamaSettings(host=host)).answers(5.0)


async def test_a_path_before_the_api_is_kept() -> None:
    reply = b'HTTP/1.0 200 OK\r\n\r\n{"version": "0.9.3"}'
    async with _speaker(reply, expect=b"GET /behind/a/path/api/version ") as host:
        assert await Ollama(OllamaSettings(host=f"{host}/behind/a/path/")).answers(5.0)


async def test_a_silent_server_is_given_up_in_time() -> None:
    async with _speaker(None) as host, asyncio.timeout(30):
        assert not await Ollama(OllamaSettings(host=host)).answers(0.1)


@asynccontextmanager
async def _speaker(reply: bytes | None, expect: bytes = b"") -> AsyncIterator[str]:
    """A server that sends one reply to anything that starts as expected; None: never a word."""
    done = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if reply is None:
            await done.wait()
        elif request.startswith(expect):
            writer.write(reply)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            done.set()
