"""Fetching: one page, politely, within bounds of time and size, from where it may come.

`Network` is what all sources of a run share: two connection pools, one behind the guard or a proxy,
and the cache. `Fetcher` is what one source has: a bound on requests at a time, and a time to be
done by.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import zlib
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import msgspec

from engine.research.cache import Cache, Entry
from engine.research.errors import FetchError
from engine.research.guard import Guard, Resolve, is_local, system_resolve

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from engine.config import ResearchSettings

MOST_REDIRECTS = 5
BUSY = frozenset({429, 500, 502, 503, 504})
"""What a server may answer differently in a moment."""

FIRST_PAUSE = 0.5
"""Seconds before a request is repeated, doubled each time and spread by half."""

LONGEST_ADDRESS = 2_000

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What was fetched."""

    url: str
    """After redirects."""

    content_type: str
    """The header as it was sent."""

    body: bytes

    @property
    def text(self) -> str:
        """The body as text, by whichever of its labels tells the truth."""
        return decoded(self.body, self.content_type)

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            FetchError: It is none.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            raise FetchError("unreadable", "sent JSON that can't be read") from None


class Network:
    """Connections and cache of one run. Made by `open`, which closes every socket in the end."""

    def __init__(
        self,
        settings: ResearchSettings,
        cache: Cache,
        direct: httpx.AsyncClient,
        checked: httpx.AsyncClient,
    ) -> None:
        self.settings = settings
        self.cache = cache
        self._direct = direct
        self._checked = checked

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: ResearchSettings, folder: Path, *, resolve: Resolve = system_resolve
    ) -> AsyncIterator[Network]:
        """Make the connection pools.

        Args:
            settings: Times, sizes, and whether the guard stands.
            folder: Where pages are cached.
            resolve: Names to addresses, for what the guard checks.
        """
        trust = await asyncio.to_thread(_trust)
        if settings.proxy:
            checked = httpx.AsyncHTTPTransport(verify=trust, trust_env=False, proxy=settings.proxy)
        else:
            checked = _Transport(trust, None if settings.allow_private else Guard(resolve))
        async with (
            _client(settings, _Transport(trust, None)) as direct,
            _client(settings, checked) as guarded,
        ):
            yield cls(settings, Cache(folder), direct, guarded)

    def client(self, host: str, *, named: bool) -> httpx.AsyncClient:
        """What a page of a host is fetched with.

        Raises:
            FetchError: The user did not name it, and it is on this machine or its network.
        """
        if not self.settings.proxy:
            return self._direct if named else self._checked
        local = is_local(host)
        if local and not named and not self.settings.allow_private:
            raise FetchError("private address", f"{host} is not on the internet")
        return self._direct if local else self._checked

    def fetcher(self) -> Fetcher:
        """What one source fetches with, from now for at most its time."""
        return Fetcher(self)


class Fetcher:
    """Fetches pages for one source."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._settings = network.settings
        self._slots = asyncio.Semaphore(network.settings.connections)
        self._ends_at = asyncio.get_running_loop().time() + network.settings.source_seconds

    async def get(
        self,
        url: str,
        parameters: Mapping[str, str | int] | None = None,
        *,
        named: bool = False,
        stays: bool = False,
    ) -> Page:
        """Fetch a page, from the cache while it is fresh.

        Args:
            url: With the scheme `http` or `https`.
            parameters: The query, to be added.
            named: Whether the user named this page, or the server: it may then be on this
                machine. A redirect to another server ends that.
            stays: Whether a redirect to another site is refused.

        Raises:
            FetchError: It could not be had; the message says why.
        """
        address = _address(url, parameters)
        key = f"{'named' if named else 'found'}{' here' if stays else ''} {address}"
        kept = await self._network.cache.get(key)
        fresh = self._settings.cache_minutes * 60
        if kept is not None and kept.checked_at + fresh > time.time():
            return _page(kept)
        async with self._slots:
            entry, keep = await self._repeated(address, kept, named, stays)
        if keep:
            await self._network.cache.put(key, entry)
        return _page(entry)

    async def _repeated(
        self, address: httpx.URL, kept: Entry | None, named: bool, stays: bool
    ) -> tuple[Entry, bool]:
        """Ask until the server is neither busy nor broken, as often as the settings say."""
        pause = FIRST_PAUSE
        for attempt in range(1, self._settings.attempts + 1):
            try:
                async with asyncio.timeout(self._settings.request_seconds) as timeout:
                    return await self._redirected(address, kept, named, stays)
            except TimeoutError:
                if not timeout.expired():
                    raise
                limit = self._settings.request_seconds
                raise FetchError("timeout", f"was not done within {limit:g} s") from None
            except _Busy as busy:
                wait = busy.wait
                if wait is None:
                    wait = pause * random.uniform(0.5, 1.5)
                    pause *= 2
                if attempt == self._settings.attempts:
                    times = f" {attempt} times" if attempt > 1 else ""
                    raise FetchError("busy", f"answered {busy.status}{times}") from None
                if asyncio.get_running_loop().time() + wait > self._ends_at:
                    raise FetchError(
                        "busy", f"answered {busy.status} and asks to wait {wait:.0f} s"
                    ) from None
                await asyncio.sleep(wait)
        raise FetchError("busy", "was asked no times")

    async def _redirected(
        self, address: httpx.URL, kept: Entry | None, named: bool, stays: bool
    ) -> tuple[Entry, bool]:
        """Follow redirects, each of which has to pass the guard by itself."""
        asked, origin = address, _origin(address)
        for _ in range(MOST_REDIRECTS + 1):
            client = self._network.client(address.host, named=named)
            request = client.build_request("GET", address, headers=_conditions(kept))
            try:
                response = await client.send(request, stream=True)
                try:
                    if not response.has_redirect_location:
                        return await self._answered(response, kept)
                    address = _address(str(address.join(response.headers["location"])), None)
                finally:
                    await response.aclose()
            except httpx.InvalidURL:
                raise FetchError("redirects", "redirected to something that is no URL") from None
            except httpx.HTTPError as error:
                raise _explained(error, address, self._settings) from error
            named = named and _origin(address) == origin
            if stays and not _is_same_site(asked, address):
                # No more of the address than this: what it says is the site's, and unfenced.
                raise FetchError(
                    "redirects",
                    f"leads to another site, {address.scheme}://{address.host[:100]}, which has to "
                    "be asked for itself",
                )
        raise FetchError("redirects", f"redirected more than {MOST_REDIRECTS} times")

    async def _answered(self, response: httpx.Response, kept: Entry | None) -> tuple[Entry, bool]:
        status = response.status_code
        if status == 304 and kept is not None:
            return msgspec.structs.replace(kept, checked_at=time.time()), True
        if status in BUSY:
            raise _Busy(status, _retry_after(response.headers.get("retry-after", "")))
        if status != 200:
            raise FetchError("status", f"answered {status} {response.reason_phrase}".strip())
        entry = Entry(
            url=str(response.url),
            content_type=response.headers.get("content-type", ""),
            body=await self._body(response),
            etag=response.headers.get("etag", ""),
            modified=response.headers.get("last-modified", ""),
            checked_at=time.time(),
        )
        return entry, "no-store" not in response.headers.get("cache-control", "").lower()

    async def _body(self, response: httpx.Response) -> bytes:
        """The body, unpacked here, so that not one byte more than the bound is ever in memory."""
        largest = self._settings.largest_bytes
        too_large = FetchError("too large", f"sent more than {largest / 1e6:g} MB")
        encoding = response.headers.get("content-encoding", "identity").lower()
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length) > largest:
            raise too_large
        body = bytearray()
        if encoding == "identity":
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > largest:
                    raise too_large
            return bytes(body)
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise FetchError("unreadable", f"is packed as {encoding[:20]!r}, unasked")
        broken = FetchError("unreadable", "is packed, and the packing is broken")
        unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, by its header
        try:
            async for chunk in response.aiter_raw():
                body += unpack.decompress(chunk, largest + 1 - len(body))
                if len(body) > largest:
                    raise too_large
        except zlib.error:
            raise broken from None
        if not unpack.eof:
            raise broken
        return bytes(body)


class _Busy(Exception):  # noqa: N818 (it is the server's state)
    def __init__(self, status: int, wait: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.wait = wait


@cache
def _trust() -> ssl.SSLContext:
    """Whom to trust. Read once: it is a hundred thousand small pieces of memory each time."""
    return httpx.create_ssl_context()


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own, but connected through a given network, for which httpx has no option."""

    def __init__(self, trust: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None) -> None:
        super().__init__(verify=trust, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust, max_connections=100, keepalive_expiry=5.0, network_backend=network
        )


def decoded(body: bytes, content_type: str) -> str:
    """Text of bytes: the first label that fits wins, and nothing at all is refused.

    Labels are, in this order: the byte order mark, the header, the page's own, UTF-8. What fits
    none is taken as Windows-1252, as browsers do (https://encoding.spec.whatwg.org).
    """
    labels = [name for mark, name in _BYTE_ORDER_MARKS.items() if body.startswith(mark)]
    if header := re.search(r"charset=[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE):
        labels.append(header[1])
    if own := _META_CHARSET.search(body[:2048]):
        labels.append(own[1].decode("ascii"))
    for label in (*labels, "utf-8"):
        try:
            return body.decode(label)
        except (LookupError, ValueError):
            continue
    return body.decode("cp1252", errors="replace")


def _client(settings: ResearchSettings, transport: httpx.AsyncHTTPTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds),
        headers={"User-Agent": settings.user_agent, "Accept-Encoding": "gzip"},
        follow_redirects=False,
        trust_env=False,
    )


def _address(url: str, parameters: Mapping[str, str | int] | None) -> httpx.URL:
    try:
        address = httpx.URL(url)
        if parameters:
            address = address.copy_merge_params(parameters)
    except (httpx.InvalidURL, ValueError):
        raise FetchError("address", "has an address that is no URL") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise FetchError("address", f"has an address that is not fetched: {address.scheme!r}")
    if len(str(address)) > LONGEST_ADDRESS:
        raise FetchError("address", "has an address that is too long")
    return address.copy_with(fragment=None)


def _origin(address: httpx.URL) -> tuple[str, str, int | None]:
    return address.scheme, address.host, address.port


def _is_same_site(asked: httpx.URL, other: httpx.URL) -> bool:
    """Whether a host is the same, with `www.` or without, and the way there no less safe."""
    hosts = (url.host.removeprefix("www.") for url in (asked, other))
    as_safe = other.scheme == asked.scheme and other.port == asked.port
    safer = (asked.scheme, other.scheme) == ("http", "https") and other.port is None
    return len(set(hosts)) == 1 and (as_safe or safer)


def _conditions(kept: Entry | None) -> dict[str, str]:
    """Headers that let the server say that nothing has changed (RFC 9110, section 13)."""
    conditions = {}
    if kept is not None and kept.etag:
        conditions["If-None-Match"] = kept.etag
    if kept is not None and kept.modified:
        conditions["If-Modified-Since"] = kept.modified
    return conditions


def _retry_after(header: str) -> float | None:
    """Seconds to wait, from a number or a date (RFC 9110, section 10.2.3); None without either."""
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _explained(
    error: httpx.HTTPError, address: httpx.URL, settings: ResearchSettings
) -> FetchError:
    match error:
        case httpx.ConnectTimeout():
            limit = settings.connect_seconds
            return FetchError("timeout", f"gave no connection within {limit:g} s")
        case httpx.TimeoutException():
            return FetchError("timeout", f"was silent for {settings.read_seconds:g} s")
        case httpx.ProxyError():
            return FetchError("refused", f"is not let through by the proxy ({error})"[:120])
        case httpx.ConnectError() if settings.proxy:
            return FetchError("refused", f"can't be reached at {address.host} or at the proxy")
        case httpx.ConnectError():
            return FetchError("refused", f"can't be reached at {address.host}")
        case httpx.RemoteProtocolError():
            return FetchError("unreadable", "does not speak HTTP, or broke off")
    return FetchError("broken", f"broke off ({type(error).__name__})")


def _page(entry: Entry) -> Page:
    return Page(url=entry.url, content_type=entry.content_type, body=entry.body)
