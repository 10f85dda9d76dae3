"""Servers that misbehave: each costs bounded time and memory, and has its reason told."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from email.utils import formatdate
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from engine.research.errors import FetchError
from engine.research.fetching import _trust, decoded
from engine.research.sources.xml import feed_entries
from tests.engine.research.server import serving
from tests.engine.research.support import QUICK, fetching

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from engine.config import ResearchSettings
    from tests.engine.research.server import Handler, Reply, Request


async def failure(folder: Path, handler: Handler, settings: ResearchSettings = QUICK) -> FetchError:
    """How fetching fails, after which the server's connection is closed."""
    async with serving(handler) as server, fetching(folder, settings) as fetcher:
        with pytest.raises(FetchError) as caught:
            await fetcher.get(f"{server.url}/page", named=True)
    return caught.value


async def test_a_server_that_refuses(tmp_path: Path) -> None:
    async with serving(hang) as server:
        nobody = server.url
    async with fetching(tmp_path) as fetcher:
        with pytest.raises(FetchError, match=r"can't be reached at 127\.0\.0\.1") as caught:
            await fetcher.get(nobody, named=True)
    assert caught.value.kind == "refused"


async def hang(request: Request, reply: Reply) -> None:
    await asyncio.Event().wait()


async def test_a_server_that_hangs_before_its_headers(tmp_path: Path) -> None:
    error = await failure(tmp_path, hang)
    assert (error.kind, str(error)) == ("timeout", "was silent for 1 s")


async def test_a_server_that_drips(tmp_path: Path) -> None:
    async def drip(request: Request, reply: Reply) -> None:
        await reply.head(Content_Type="text/html", Content_Length=1000)
        while True:
            await reply.raw(b"x")
            await asyncio.sleep(0.2)

    error = await failure(tmp_path, drip)
    assert (error.kind, str(error)) == ("timeout", "was not done within 2 s")


async def test_a_server_that_is_broken_for_a_moment(tmp_path: Path) -> None:
    async def once(request: Request, reply: Reply) -> None:
        if len(server.requests) == 1:
            await reply.whole("", status=500)
        else:
            await reply.whole('"fine"')

    async with serving(once) as server, fetching(tmp_path) as fetcher:
        assert (await fetcher.get(server.url, named=True)).json() == "fine"
        assert len(server.requests) == 2


async def test_a_server_that_stays_broken(tmp_path: Path) -> None:
    async def broken(request: Request, reply: Reply) -> None:
        await reply.whole("", status=503)

    error = await failure(tmp_path, broken)
    assert (error.kind, str(error)) == ("busy", "answered 503 2 times")


@pytest.mark.parametrize("header", ["1", "date"])
async def test_a_server_that_asks_to_wait(tmp_path: Path, header: str) -> None:
    async def busy(request: Request, reply: Reply) -> None:
        if len(server.requests) == 1:
            after = header if header == "1" else formatdate(time.time() + 2, usegmt=True)
            await reply.whole("", status=429, Retry_After=after)
        else:
            await reply.whole('"fine"')

    async with serving(busy) as server, fetching(tmp_path) as fetcher:
        assert (await fetcher.get(server.url, named=True)).json() == "fine"
        first, second = server.requests
        assert second.at - first.at >= 0.9


async def test_a_server_that_asks_to_wait_too_long(tmp_path: Path) -> None:
    async def busy(request: Request, reply: Reply) -> None:
        await reply.whole("", status=429, Retry_After="120")

    error = await failure(tmp_path, busy)
    assert (error.kind, str(error)) == ("busy", "answered 429 and asks to wait 120 s")


async def test_a_body_without_end(tmp_path: Path) -> None:
    async def endless(request: Request, reply: Reply) -> None:
        await reply.head(Content_Type="text/html")
        while True:
            sent.append(65_536)
            await reply.raw(b"x" * 65_536)

    sent: list[int] = []
    error = await failure(tmp_path, endless)
    assert (error.kind, str(error)) == ("too large", "sent more than 1 MB")
    assert sum(sent) < 20_000_000  # what sockets hold on the way


async def test_a_body_of_100_megabytes(tmp_path: Path) -> None:
    async def large(request: Request, reply: Reply) -> None:
        await reply.head(Content_Type="text/html", Content_Length=100_000_000)
        while True:
            sent.append(65_536)
            await reply.raw(b"x" * 65_536)

    sent: list[int] = []
    error = await failure(tmp_path, large)
    assert (error.kind, str(error)) == ("too large", "sent more than 1 MB")
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize("packed", [1, 2])
async def test_a_gzip_bomb(tmp_path: Path, packed: int) -> None:
    bomb = b"\0" * 200_000_000
    for _ in range(packed):
        bomb = gzip.compress(bomb, 9)

    async def explode(request: Request, reply: Reply) -> None:
        encoding = ", ".join(["gzip"] * packed)
        await reply.whole(bomb, kind="text/html", Content_Encoding=encoding)

    tracemalloc.start()
    try:
        error = await failure(tmp_path, explode)
        assert error.kind == ("too large" if packed == 1 else "unreadable")
        _, most = tracemalloc.get_traced_memory()
        assert most < 20_000_000  # and not what a piece of it unpacks to
    finally:
        tracemalloc.stop()


async def test_a_body_whose_packing_is_broken(tmp_path: Path) -> None:
    async def broken(request: Request, reply: Reply) -> None:
        await reply.whole(gzip.compress(b"text")[:9] + b"junk", Content_Encoding="gzip")

    error = await failure(tmp_path, broken)
    assert (error.kind, str(error)) == ("unreadable", "is packed, and the packing is broken")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Größe".encode(), "text/html; charset=klingon"),
        ("Größe".encode("latin-1"), "text/html; charset=utf-8"),
        ("Größe".encode(), "text/html; charset=ascii"),
        (b"\xff\xfe" + "Größe".encode("utf-16-le"), "text/html; charset=utf-8"),
        ("Größe".encode(), "text/html"),
        (b'<meta charset="iso-8859-1">' + "Größe".encode("latin-1"), "text/html"),
    ],
)
def test_a_body_with_the_wrong_charset_is_read_all_the_same(body: bytes, kind: str) -> None:
    assert decoded(body, kind).endswith("Größe")


@pytest.mark.parametrize("body", [b"{", b"<html>", b"\xff\xfe\x00", b"[" * 100_000])
async def test_broken_json(tmp_path: Path, body: bytes) -> None:
    async def broken(request: Request, reply: Reply) -> None:
        await reply.whole(body)

    async with serving(broken) as server, fetching(tmp_path) as fetcher:
        page = await fetcher.get(server.url, named=True)
        with pytest.raises(FetchError, match="JSON that can't be read"):
            page.json()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<feed><entry>", "can't be read"),
        (b"", "can't be read"),
        (b"<html/>", "is no feed"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><feed>&b;</feed>',
            "declares entities",
        ),
        (
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><feed>&a;</feed>',
            "declares entities",
        ),
    ],
)
def test_broken_xml(body: bytes, reason: str) -> None:
    with pytest.raises(FetchError, match=reason):
        feed_entries(body)


async def test_redirects_without_end(tmp_path: Path) -> None:
    async def around(request: Request, reply: Reply) -> None:
        await reply.redirect("/again")

    error = await failure(tmp_path, around)
    assert (error.kind, str(error)) == ("redirects", "redirected more than 5 times")


async def test_what_is_not_there(tmp_path: Path) -> None:
    async def missing(request: Request, reply: Reply) -> None:
        await reply.whole("", status=404)

    error = await failure(tmp_path, missing)
    assert error.kind == "status"
    assert "404" in str(error)


async def test_what_is_no_http(tmp_path: Path) -> None:
    async def banner(request: Request, reply: Reply) -> None:
        await reply.raw(b"220 smtp.example ESMTP\r\n")

    assert (await failure(tmp_path, banner)).kind == "unreadable"


async def test_a_source_asks_so_many_things_at_once_and_no_more(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def wait(request: Request, reply: Reply) -> None:
        await release.wait()
        await reply.whole('"fine"')

    settings = msgspec.structs.replace(QUICK, connections=3)
    async with serving(wait) as server, fetching(tmp_path, settings) as fetcher:
        asking = [
            asyncio.ensure_future(fetcher.get(f"{server.url}/{n}", named=True)) for n in range(8)
        ]
        async with asyncio.timeout(5):
            while len(server.requests) < 3:
                await asyncio.sleep(0.01)
        assert server.open == 3
        release.set()
        await asyncio.gather(*asking)
        assert len(server.requests) == 8


async def test_a_cached_page_is_not_asked_for_until_it_is_old(tmp_path: Path) -> None:
    async def page(request: Request, reply: Reply) -> None:
        if request.headers.get("if-none-match") == '"v1"':
            await reply.head(304, ETag='"v1"')
        else:
            await reply.whole('"first"', ETag='"v1"')

    async with serving(page) as server:
        for _ in range(2):
            async with fetching(tmp_path) as fetcher:
                assert (await fetcher.get(server.url, named=True)).json() == "first"
        assert len(server.requests) == 1

        old = msgspec.structs.replace(QUICK, cache_minutes=0)
        async with fetching(tmp_path, old) as fetcher:
            assert (await fetcher.get(server.url, named=True)).json() == "first"
        assert len(server.requests) == 2
        assert server.requests[1].headers["if-none-match"] == '"v1"'


async def test_a_page_that_must_not_be_stored_is_not(tmp_path: Path) -> None:
    async def page(request: Request, reply: Reply) -> None:
        await reply.whole('"secret"', Cache_Control="no-store")

    async with serving(page) as server, fetching(tmp_path) as fetcher:
        await fetcher.get(server.url, named=True)
        await fetcher.get(server.url, named=True)
        assert len(server.requests) == 2


async def test_a_cancelled_request_closes_its_connection(tmp_path: Path) -> None:
    async with serving(hang) as server, fetching(tmp_path) as fetcher:
        asking = asyncio.ensure_future(fetcher.get(server.url, named=True))
        async with asyncio.timeout(5):
            while not server.requests:
                await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(2):
            while server.open:
                await asyncio.sleep(0.01)


async def test_whom_to_trust_is_read_once_however_often_research_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[None] = []
    real = httpx.create_ssl_context

    def counted() -> ssl.SSLContext:
        read.append(None)
        return real()

    _trust.cache_clear()
    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    for _ in range(3):
        async with fetching(tmp_path):
            pass
    assert len(read) == 1
