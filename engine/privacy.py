"""What leaves this computer, where to and when, as the settings have it: the one list of it.

`docs/security.md` has the same for every setting; a new way out belongs into both.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from engine.llm.ollama_host import is_loopback, server_url
from storage.errors import StorageError
from storage.postgres.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.config import ResearchSettings, Settings

HERE = "this computer"


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may leave this computer."""

    what: str
    where: str
    """Whom it goes to; `HERE` where it stays after all."""

    when: str

    @property
    def stays(self) -> bool:
        """Whether it does not leave."""
        return self.where == HERE


def leaving(settings: Settings, model: str | None) -> list[Leaving]:
    """All that leaves, and all that stays though it is sent to another process.

    Args:
        settings: As they are now.
        model: The model that answers, as `provider:name`; None before it is found.
    """
    return [
        *_conversations(settings, model),
        *_storage(settings),
        *_research(settings.research),
        *_workers(settings),
        *_servers(settings),
        Leaving(
            what="The name of a model",
            where="your package index, huggingface.co, your Ollama server, or an address you give",
            when="when you fetch one; for the first, when there is none yet",
        ),
    ]


def _conversations(settings: Settings, model: str | None) -> Iterator[Leaving]:
    what = "What you write, with what is recalled and read for it (the Request tab shows it)"
    when = "when you ask; then for a title, a summary and memories"
    answering = (model or settings.model.default or "embedded:").partition(":")[0]
    places = {"embedded": [HERE], "ollama": _ollama(settings), "openai": _openai(settings)}
    for place in places.get(answering, [f"whomever the plugin {answering!r} asks"]):
        yield Leaving(what=what, where=place, when=when)
    for provider, others in places.items():
        for place in others:
            if provider != answering and place != HERE:
                yield Leaving(what="The same", where=place, when="when a model of it answers you")
    if settings.memory.embedder.startswith("ollama:"):
        for place in _ollama(settings):
            yield Leaving(
                what="What was said, to find it by its meaning",
                where=place,
                when="in the background, as `[memory] embedder` wants it",
            )


def _ollama(settings: Settings) -> list[str]:
    """Where the Ollama servers are, each of them once."""
    own = settings.ollama.host or os.environ.get("OLLAMA_HOST", "")
    hosts = [own, *(host.split()[0] for host in settings.ollama.hosts if host.split())]
    return list(dict.fromkeys(_place(_url(host)) for host in hosts))


def _openai(settings: Settings) -> list[str]:
    return [_place(settings.openai.base_url)] if settings.openai.base_url else []


def _place(url: str) -> str:
    return HERE if is_loopback(url) else f"the model server {_shown(url)}"


def _storage(settings: Settings) -> Iterator[Leaving]:
    try:
        hosts = Address.of(settings.storage.url).hosts if settings.storage.url else ()
    except StorageError:  # the next start tells of that
        return
    for host in hosts:
        name = f"[{host}]" if ":" in host else host
        here = not name or name.startswith("/") or is_loopback(f"//{name}")
        yield Leaving(
            what="Everything that is kept: conversations, images, articles, memories",
            where=HERE if here else f"the database server {host}",
            when="always, as `[storage] url` wants it",
        )


def _research(settings: ResearchSettings) -> Iterator[Leaving]:
    when = "with /research, or a call that you allow"
    if settings.offline:
        yield Leaving(what="What research asks for", where=HERE, when=f"{when}; it is offline")
        return
    services = {
        "wikipedia": settings.wikipedia_url,
        "hacker news": settings.hacker_news_url,
        "arxiv": settings.arxiv_url,
        "stack exchange": settings.stack_exchange_url,
    }
    asked = [_shown(url) for name, url in services.items() if name not in settings.off]
    if asked:
        yield Leaving(what="What research asks for", where=", ".join(asked), when=when)
    through = f"the proxy {_shown(settings.proxy)}" if settings.proxy else "their servers"
    yield Leaving(what="The addresses of pages and feeds", where=through, when=when)


def _workers(settings: Settings) -> Iterator[Leaving]:
    if settings.workers.executor == "dask":
        yield Leaving(
            what="Texts to embed, and pages to read",
            where=f"the cluster of {_shown(settings.workers.scheduler)}",
            when="with research and recall, instead of here",
        )


def _servers(settings: Settings) -> Iterator[Leaving]:
    for name, server in settings.mcp.servers.items():
        if server.enabled:
            where = _shown(server.url) if server.url else f"the program {server.command}"
            yield Leaving(
                what=f"What the tools of {name} are called with, and what you attach from it",
                where=where,
                when="a call that you allow; that program may send it on",
            )


def _url(host: str) -> str:
    try:
        return server_url(host)
    except ValueError:  # the doctor tells of that
        return host


def _shown(address: str) -> str:
    """The host of an address, without what may be secret in it."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.hostname or address}{port}"
