"""A proxy that the user named: what goes through it, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import ResearchSettings, SettingsError, load_settings
from engine.research.errors import FetchError
from engine.research.guard import is_local
from tests.engine.research.server import Server, serving
from tests.engine.research.support import QUICK, fetching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.research.server import Reply, Request


async def pages(request: Request, reply: Reply) -> None:
    if request.path == "/inside":
        await reply.redirect("http://localhost/secret")
    else:
        await reply.whole('"a page"')


def through(proxy: Server) -> ResearchSettings:
    return msgspec.structs.replace(QUICK, proxy=proxy.url)


async def test_pages_of_the_internet_come_through_the_proxy(tmp_path: Path) -> None:
    async with serving(pages) as proxy, fetching(tmp_path, through(proxy)) as fetcher:
        for named in (True, False):
            page = await fetcher.get("http://pages.example/jays", named=named)
            assert page.json() == "a page"
        assert [request.headers["host"] for request in proxy.requests] == ["pages.example"] * 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "http://localhost/x", "http://[::1]/x", "http://p.example/inside"]
)
async def test_a_proxy_is_not_asked_for_what_is_on_this_machine(tmp_path: Path, url: str) -> None:
    async with serving(pages) as proxy, fetching(tmp_path, through(proxy)) as fetcher:
        with pytest.raises(FetchError, match="is not on the internet") as caught:
            await fetcher.get(url)
        assert caught.value.kind == "private address"
        assert {request.headers["host"] for request in proxy.requests} <= {"p.example"}


async def test_what_the_user_names_on_this_machine_is_asked_directly(tmp_path: Path) -> None:
    async with (
        serving(pages) as proxy,
        serving(pages) as local,
        fetching(tmp_path, through(proxy)) as fetcher,
    ):
        assert (await fetcher.get(f"{local.url}/x", named=True)).json() == "a page"
        assert not proxy.requests


async def test_a_proxy_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    async with serving(pages) as proxy:
        pass
    async with fetching(tmp_path, through(proxy)) as fetcher:
        with pytest.raises(FetchError, match=r"pages\.example or at the proxy"):
            await fetcher.get("http://pages.example/jays")


async def test_a_proxy_that_lets_nothing_through_is_told_of(tmp_path: Path) -> None:
    async def refuse(request: Request, reply: Reply) -> None:
        await reply.whole("", status=403)

    async with serving(refuse) as proxy, fetching(tmp_path, through(proxy)) as fetcher:
        with pytest.raises(FetchError, match="is not let through by the proxy"):
            await fetcher.get("https://pages.example/jays")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "::1", "fe80::1", "169.254.169.254", "LOCALHOST.", "a.localhost",
        "printer.local", "metadata.google.internal", "2130706433", "0x7f.1", "127.1", "0177.0.0.1",
    ],
)  # fmt: skip
def test_a_host_of_this_machine_is_known_by_how_it_is_written(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["93.184.216.34", "2606:4700::1111", "example.org", "a1.example"])
def test_a_host_of_the_internet_is_none_of_this_machine(host: str) -> None:
    assert not is_local(host)


def test_a_proxy_of_another_kind_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[research]\nproxy = "socks5://127.0.0.1:1080"\n')
    with pytest.raises(SettingsError, match="begins with neither http nor https"):
        load_settings(file, {})
