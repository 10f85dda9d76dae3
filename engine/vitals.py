"""How much memory the program takes, itself and its child processes."""

from __future__ import annotations

import asyncio

import msgspec


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory, in bytes."""

    own_bytes: int
    children_bytes: int
    """Of the embedded model's process, mostly."""


async def measure() -> Vitals:
    """Ask the system, in a thread: on some systems that takes milliseconds."""
    return await asyncio.to_thread(_measure)


def _measure() -> Vitals:
    import psutil

    own = psutil.Process()
    children = 0
    for child in own.children(recursive=True):
        try:
            children += child.memory_info().rss
        except psutil.NoSuchProcess:  # ended while we counted
            continue
    return Vitals(own_bytes=own.memory_info().rss, children_bytes=children)
