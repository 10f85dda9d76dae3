"""Where a PostgreSQL database is: a URL without the password, which has no place in a file."""

from __future__ import annotations

import hashlib
import os
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from storage.errors import ServerRefusedError

SCHEMES = ("postgresql://", "postgres://")


def is_address(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.startswith(SCHEMES)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A database on a server. As text it is what a person may read: without a password."""

    url: str
    """As libpq reads it (https://www.postgresql.org/docs/current/libpq-connect.html, 34.1.1.2)."""

    password: str | None = None
    """None: libpq looks into `PGPASSWORD` and the password file."""

    @classmethod
    def of(cls, url: str, password: str | None = None) -> Address:
        """The address that a URL names.

        Raises:
            ServerRefusedError: It is none.
        """
        try:
            whole = urlsplit(url)
            valid = is_address(url) and (whole.port is None or whole.port > 0)
        except ValueError:
            valid = False
        if not valid:
            raise ServerRefusedError(
                "The address of the database is no URL of PostgreSQL.",
                "It looks like postgresql://user@host:5432/database.",
            )
        if whole.password is not None:
            password = password or unquote(whole.password)
            user, _, place = whole.netloc.rpartition("@")
            netloc = f"{user.partition(':')[0]}@{place}"
            url = whole._replace(netloc=netloc).geturl()
        return cls(url=url, password=password)

    @property
    def user(self) -> str:
        """The user, as far as the URL names one."""
        return unquote(urlsplit(self.url).username or "") or "USER"

    @property
    def database(self) -> str:
        """The database, as far as the URL names one."""
        return unquote(urlsplit(self.url).path.lstrip("/")) or self.user

    @property
    def hosts(self) -> tuple[str, ...]:
        """The servers that may be connected to; of a socket on this machine, its folder or ""."""
        parts = urlsplit(self.url)
        asked = parse_qs(parts.query)
        environ = os.environ
        told = [
            *(asked.get("hostaddr", [])[-1:] or asked.get("host", [])[-1:]),
            unquote(parts.hostname or ""),
            *(environ.get("PGHOSTADDR", ""), environ.get("PGHOST", "")),
        ]
        return tuple(next(filter(None, told), "").split(","))

    @property
    def name(self) -> str:
        """A name for files that belong to this database."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return self.url.partition("?")[0]
