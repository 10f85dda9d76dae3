"""What a second model host brings: several chats at once, background work, and a host that dies.

`python -m tests.benchmarks.hosts --json` asks two real Ollama servers on this machine, each with
one thread, through the router: first one of them, then both. Times are seconds, medians of runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from engine.config import OllamaSettings
from engine.events import Events
from engine.llm.base import ChatMessage, ChatRequest, ModelError, Options
from engine.llm.hosts import ollama_hosts
from engine.llm.router import Router
from engine.pool import Pool
from storage.records import Role
from tests.ollama_server import CHAT_MODEL, OllamaServer

if TYPE_CHECKING:
    from collections.abc import Sequence

CHATS = 4
TOKENS = 24
LONG = 400
"""Tokens of an answer that is not waited for."""


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    servers = OllamaServer(), OllamaServer()
    try:
        for server in servers:
            server.start()
        figures = asyncio.run(measure(servers, options.runs))
    finally:
        for server in servers:
            server.stop()
    print(json.dumps(figures, indent=2 if options.json else None))


async def measure(servers: Sequence[OllamaServer], runs: int) -> dict[str, Any]:
    """All figures."""
    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "chats_at_once": CHATS,
        "tokens_each": TOKENS,
    }
    one, both = servers[:1], servers
    for _ in range(runs):  # in turns, so that other load on the machine meets both
        for name, used in (("one_host", one), ("two_hosts", both)):
            for figure, value in (await chats(used) | await beside_background(used)).items():
                figures.setdefault(name, {}).setdefault(figure, []).append(value)
    for name in ("one_host", "two_hosts"):
        for figure, values in figures[name].items():
            figures[name][figure] = round(statistics.median(values), 2)
    for figure in figures["one_host"]:
        before, after = figures["one_host"][figure], figures["two_hosts"][figure]
        figures.setdefault("one_to_two", {})[figure] = round(before / after, 2)
    figures["killed_before_the_first_word"] = {
        "one_host": await killed(one, after_first_word=False),
        "two_hosts": await killed(both, after_first_word=False),
    }
    figures["killed_after_it"] = {
        "one_host": await killed(one, after_first_word=True),
        "two_hosts": await killed(both, after_first_word=True),
    }
    return figures


async def chats(servers: Sequence[OllamaServer]) -> dict[str, float]:
    """Several chats that begin at once."""
    router = await routed(servers)
    began = time.perf_counter()
    firsts = await asyncio.gather(*(answered(router, number) for number in range(CHATS)))
    seconds = time.perf_counter() - began
    await router.close()
    return {"until_all_are_answered": seconds, "until_the_last_first_word": max(firsts)}


async def beside_background(servers: Sequence[OllamaServer]) -> dict[str, float]:
    """A chat while an answer is written that nobody waits for."""
    router = await routed(servers)
    await answered(router, 0, tokens=1)  # so it is known which host people talk with
    background = router.chat(request(1, LONG, background=True))
    await anext(background)
    began = time.perf_counter()
    await answered(router, 2)
    seconds = time.perf_counter() - began
    await background.aclose()
    await router.close()
    return {"a_chat_beside_background_work": seconds}


async def killed(servers: Sequence[OllamaServer], *, after_first_word: bool) -> dict[str, Any]:
    """A chat whose server is killed, and a retry where it failed."""
    router = await routed(servers)
    words: list[float] = []

    async def ask() -> None:
        async with aclosing(router.chat(request(3, TOKENS))) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    words.append(time.perf_counter())  # noqa: PERF401 - looked at meanwhile

    asking = asyncio.create_task(ask())
    while not (words if after_first_word else router.hosts[0].chats):
        await asyncio.sleep(0.01)
    gone, kept = time.perf_counter(), len(words)
    await asyncio.to_thread(servers[0].kill)
    figures: dict[str, Any] = {"words_before": kept}
    try:
        await asking
    except ModelError as error:
        figures["failed"] = error.kind
        words.clear()
        try:
            await ask()
        except ModelError as second:
            figures["retry"] = second.kind
        else:
            figures["retry"] = "answered"
    if len(words) > (0 if "failed" in figures else kept):
        figures["next_word_after"] = round(words[0 if "failed" in figures else kept] - gone, 2)
    figures["words_in_the_end"] = len(words)
    await router.close()
    await asyncio.to_thread(servers[0].start)
    return figures


async def routed(servers: Sequence[OllamaServer]) -> Router:
    """A router over servers that have the model loaded."""
    first, *others = (server.host for server in servers)
    hosts = ollama_hosts(OllamaSettings(host=first, hosts=tuple(others)))
    for host in hosts:
        async for _ in host.backend.chat(request(0, 1)):
            pass
        await host.look()
    events = Events()
    return Router(hosts, Pool(events), events)


async def answered(router: Router, number: int, tokens: int = TOKENS) -> float:
    """Ask, read the answer to its end, and return the seconds until its first word."""
    began = time.perf_counter()
    first = None
    async with aclosing(router.chat(request(number, tokens))) as chunks:
        async for chunk in chunks:
            if first is None and chunk.text:
                first = time.perf_counter() - began
    return first or 0.0


def request(number: int, tokens: int, *, background: bool = False) -> ChatRequest:
    """A question; no two numbers begin alike, so that no prompt is read already."""
    return ChatRequest(
        model=CHAT_MODEL,
        messages=(ChatMessage(role=Role.USER, content=f"{number} jays: tell me a long story."),),
        options=Options(temperature=0.0, max_tokens=tokens, context_length=512),
        background=background,
    )


if __name__ == "__main__":
    main()
