"""Where an Ollama server is, and whether one answers; cheap, as the start of the program asks."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

DEFAULT_PORT = 11434


def server_url(host: str) -> str:
    """The URL that a host setting means, in every form that the official client takes.

    `OLLAMA_HOST` also tells the server what to listen on, so the addresses that stand for every
    interface are taken to mean this machine.

    Raises:
        ValueError: The host can't be read as one.
    """
    scheme, separator, rest = host.strip().partition("://")
    if not separator:
        scheme, rest = "http", scheme
    if scheme not in ("http", "https"):
        raise ValueError(f"{scheme!r} is neither http nor https")
    parts = urlsplit(f"{scheme}://{rest}")
    standard = {"http": 80, "https": 443}[scheme] if separator else DEFAULT_PORT
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)
    path = parts.path.strip("/")
    address = f"[{name}]" if ":" in name else name
    return f"{scheme}://{address}:{parts.port or standard}" + (f"/{path}" if path else "")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    name = urlsplit(url).hostname or ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


async def is_ollama(url: str, api_key: str) -> bool:
    """Whether an Ollama server answers at a URL, asked without any HTTP client.

    Raises:
        OSError: Nobody listens there, or breaks off.
        ValueError: What answers does not speak JSON.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port, ssl=parts.scheme == "https" or None
    )
    try:
        lines = [f"GET {parts.path}/api/version HTTP/1.0", f"Host: {parts.netloc}"]
        if api_key:
            lines.append(f"Authorization: Bearer {api_key}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        # HTTP/1.0: the answer is not chunked and ends with the connection.
        answer = b""
        while len(answer) < 65_536 and (part := await reader.read(65_536)):
            answer += part
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(None, 2)[1:2] != [b"200"]:
        return False
    version = msgspec.json.decode(body)
    return isinstance(version, dict) and isinstance(version.get("version"), str)
