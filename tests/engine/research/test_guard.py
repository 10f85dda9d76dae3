"""The guard: what the user did not name is fetched from the open internet only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.research.errors import FetchError
from engine.research.guard import is_public
from tests.engine.research.server import serving
from tests.engine.research.support import QUICK, fetching

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.research.server import Reply, Request


async def secret(request: Request, reply: Reply) -> None:
    await reply.whole('"a secret of this machine"')


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1",
        "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "2130706433"])
async def test_a_page_that_nobody_named_is_not_fetched_from_this_machine(
    tmp_path: Path, host: str
) -> None:
    async with serving(secret) as server, fetching(tmp_path) as fetcher:
        with pytest.raises(FetchError) as caught:
            await fetcher.get(f"http://{host}:{server.port}/")
        assert caught.value.kind == "private address"
        assert not server.requests


async def test_a_page_that_the_user_named_is(tmp_path: Path) -> None:
    async with serving(secret) as server, fetching(tmp_path) as fetcher:
        page = await fetcher.get(server.url, named=True)
        assert page.json() == "a secret of this machine"


async def test_the_settings_can_allow_it(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(QUICK, allow_private=True)
    async with serving(secret) as server, fetching(tmp_path, settings) as fetcher:
        assert (await fetcher.get(server.url)).json() == "a secret of this machine"


async def test_a_redirect_to_another_server_does_not_carry_the_users_word(tmp_path: Path) -> None:
    async def lead(request: Request, reply: Reply) -> None:
        await reply.redirect(f"{inside.url}/secret")

    async with (
        serving(secret) as inside,
        serving(lead) as outside,
        fetching(tmp_path) as fetcher,
    ):
        with pytest.raises(FetchError) as caught:
            await fetcher.get(outside.url, named=True)
        assert caught.value.kind == "private address"
        assert not inside.requests


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
async def test_a_redirect_out_of_the_web_is_not_followed(tmp_path: Path, target: str) -> None:
    async def lead(request: Request, reply: Reply) -> None:
        await reply.redirect(target)

    async with serving(lead) as server, fetching(tmp_path) as fetcher:
        with pytest.raises(FetchError) as caught:
            await fetcher.get(server.url, named=True)
        assert caught.value.kind == "address"


async def test_a_name_that_leads_to_this_machine_is_not_followed(tmp_path: Path) -> None:
    async def lie(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(secret) as server, fetching(tmp_path, resolve=lie) as fetcher:
        with pytest.raises(FetchError, match=r"innocent\.example") as caught:
            await fetcher.get(f"http://innocent.example:{server.port}/")
        assert caught.value.kind == "private address"
        assert not server.requests


async def test_one_private_address_among_public_ones_is_enough_to_refuse(tmp_path: Path) -> None:
    async def lie(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    async with fetching(tmp_path, resolve=lie) as fetcher:
        with pytest.raises(FetchError) as caught:
            await fetcher.get("http://innocent.example/")
        assert caught.value.kind == "private address"


async def test_a_name_is_asked_for_once_and_the_answer_is_what_is_connected_to(
    tmp_path: Path,
) -> None:
    """A name service that says something public first and this machine's address after that."""
    asked: list[str] = []

    async def change_mind(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    settings = msgspec.structs.replace(QUICK, connect_seconds=0.2)
    async with serving(secret) as server:
        async with fetching(tmp_path, settings, resolve=change_mind) as fetcher:
            with pytest.raises(FetchError):
                await fetcher.get(f"http://fickle.example:{server.port}/")
        assert asked == ["fickle.example"]
        assert not server.requests
