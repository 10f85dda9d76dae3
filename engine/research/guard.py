"""The guard: connections go to addresses of the open internet only, checked once they are known.

A page that the user did not name may lead, by its address, a redirect or the name service, to
something that only this machine can reach. So the name is resolved here, every address is checked,
and the connection goes to a checked address and not to the name.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

import httpcore

from engine.research.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterable

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Gives the addresses of a host name, for a port."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses in disguise (RFC 6052)."""


class Guard(httpcore.AsyncNetworkBackend):
    """Opens connections to public addresses, and refuses others with a `FetchError`."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers; all of them have to be public."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from None
        except OSError as error:
            raise httpcore.ConnectError(f"{host} is not known: {error.strerror}") from error
        for address in addresses:
            if not is_public(address):
                raise FetchError("private address", f"{host} is not on the internet ({address})")
        refused: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no page is behind a socket of this machine."""
        raise FetchError("private address", "a socket of this machine is no page")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, not of this machine or its network."""
    ip = ip_address(address.partition("%")[0])
    return _carried(ip).is_global and ip.is_global and not ip.is_multicast


def is_local(host: str) -> bool:
    """Whether a host is of this machine or its network by the way it is written alone.

    It is what can be told where a proxy resolves names. What ends in a number is an address, in one
    of its older notations if not in the usual one.
    """
    host = host.rstrip(".").lower()
    try:
        return not is_public(host)
    except ValueError:
        number = re.search(r"(?:^|\.)(?:\d+|0x[0-9a-f]*)$", host)
        return number is not None or host.split(".")[-1] in ("localhost", "local", "internal")


def _carried(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(ip, IPv6Address):
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFF_FFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


async def system_resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver.

    Raises:
        OSError: The name is not known.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
