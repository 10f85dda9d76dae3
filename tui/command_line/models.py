"""`scrubjay models`: who can answer, and how to get more of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.llm import catalog
from engine.models import DEFAULT_NAME
from tui.command_line.console import Exit, Progress, say, say_json
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from engine.config import Paths, Settings
    from engine.llm.base import ModelInfo
    from engine.llm.hosts import Host


async def models(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Do what `scrubjay models ACTION` asks for.

    Raises:
        ModelError: It could not be fetched or removed.
    """
    match options.action:
        case "list":
            await _list(settings, paths, as_objects=options.json)
        case "add":
            if options.model.startswith("ollama:"):
                await _pull(settings, paths, options.model)
            else:
                await _add(paths, options.model, options.name, options.sha256)
        case "remove":
            if options.model.startswith("ollama:"):
                await _remove_there(settings, paths, options.model)
            else:
                _remove(paths, options.model)
    return Exit.DONE


async def _list(settings: Settings, paths: Paths, *, as_objects: bool) -> None:
    async with opened(settings, paths) as engine:
        ready = await engine.models.listing()
        hosts = await engine.models.hosts()
    names = {info.name for info in ready if info.provider == "embedded"}
    to_be_had = [known for known in catalog.KNOWN.values() if known.name not in names]
    if as_objects:
        say_json(
            {
                "ready": [_object(info, _places(info, hosts)) for info in ready],
                "known": [
                    {
                        "name": known.name,
                        "parameters": known.parameters,
                        "size_bytes": known.size_bytes,
                        "context_length": known.context_length,
                        "licence": known.licence,
                        "note": known.note,
                    }
                    for known in to_be_had
                ],
            }
        )
        return
    say("Ready to answer:" if ready else "No model is ready to answer yet.")
    for info in ready:
        size = f"{info.size_bytes / 1e9:.1f} GB" if info.size_bytes else ""
        where = [
            f"on {host.name}{' (loaded)' if place.loaded else ''}"
            for host, place in _places(info, hosts)
        ]
        told = ", ".join([*where, *filter(None, [info.note])])
        say(f"  {info.ref:<36} {info.parameters or '':>6}  {size:>8}  {told}".rstrip())
    say("\nTo be had with `scrubjay models add NAME`:")
    for known in to_be_had:
        size = f"{known.size_bytes / 1e9:.1f} GB"
        say(f"  {known.name:<36} {known.parameters:>6}  {size:>8}  {known.licence}. {known.note}")


def _places(info: ModelInfo, hosts: Sequence[Host]) -> list[tuple[Host, ModelInfo]]:
    """The servers that have a model, and what they tell of it."""
    there = [host for host in hosts if host.kind == info.provider and host.reachable]
    return [(host, place) for host in there if (place := host.info(info.name))]


def _object(info: ModelInfo, places: Sequence[tuple[Host, ModelInfo]]) -> dict[str, Any]:
    return {
        "ref": info.ref,
        "provider": info.provider,
        "name": info.name,
        "parameters": info.parameters,
        "quantization": info.quantization,
        "size_bytes": info.size_bytes,
        "context_length": info.context_length,
        "window": info.window,
        "capabilities": sorted(info.capabilities),
        "loaded": info.loaded,
        "hosts": [{"name": host.name, "loaded": place.loaded} for host, place in places],
        "note": info.note,
    }


async def _add(paths: Paths, what: str, name: str | None, sha256: str | None) -> None:
    from engine.llm import weights

    what = what.removeprefix("embedded:")
    with Progress() as progress:

        def show(done: int, total: int | None) -> None:
            size = (
                f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"
            )
            progress.show(f"{size}  {what}", done / total if total else None)

        model = await weights.add(paths, what, name=name, sha256=sha256, progress=show)
    say(f"embedded:{model.name} is ready ({model.size_bytes / 1e6:,.0f} MB).")


async def _pull(settings: Settings, paths: Paths, ref: str) -> None:
    """Let the Ollama server fetch a model."""
    from engine.events import Event, JobChanged

    async with opened(settings, paths) as engine:
        with Progress() as progress:

            def hear(event: Event) -> None:
                if isinstance(event, JobChanged) and event.job.name.endswith(ref):
                    progress.show(f"{event.job.detail}  {ref}".strip(), event.job.progress)

            engine.events.subscribe(hear)
            info = await engine.models.fetch(ref).result()
    size = f" ({info.size_bytes / 1e6:,.0f} MB)" if info.size_bytes else ""
    say(f"{info.ref} is ready{size}.")


async def _remove_there(settings: Settings, paths: Paths, ref: str) -> None:
    """Let the Ollama server delete a model."""
    async with opened(settings, paths) as engine:
        await engine.models.remove(ref)
    say(f"Removed {ref} from the server. `scrubjay models add {ref}` brings it back.")


def _remove(paths: Paths, name: str) -> None:
    model = catalog.remove(paths, name.removeprefix("embedded:"))
    back = model.name if model.name in catalog.KNOWN else model.source
    hint = " It is fetched again when it is needed." if model.name == DEFAULT_NAME else ""
    say(f"Removed embedded:{model.name}.{hint or f' `scrubjay models add {back}` brings it back.'}")
