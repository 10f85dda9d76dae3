"""A client that memory goes along with: its methods that chat are replaced, on that object."""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import TYPE_CHECKING, Any, cast

from engine.memory.clients.base import is_raw
from engine.memory.clients.exchange import Call
from engine.memory.clients.streams import heard, heard_blocking, late, listen
from storage.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from engine.memory.archive import Archive, Scope
    from engine.memory.clients.base import Family

FAMILIES = ("anthropic", "ollama", "openai")

_MARK = "_scrubjay_memory"


class Registration:
    """One client, from its registration to the end of that.

    Args:
        client: The client.
        archive: Where its calls are recalled and recorded.
        scope: Whose a call is, at the time it is made.

    Raises:
        TypeError: Its family is not known.
        ValueError: It is registered already.
    """

    def __init__(self, client: Any, archive: Archive, scope: ContextVar[Scope]) -> None:
        self._archive = archive
        self._scope = scope
        self._family = _family_of(client)
        self._name = new_id()
        self._replaced: list[tuple[Any, str]] = []
        blocking = not any(base.__name__.startswith("Async") for base in type(client).__mro__)
        methods = [method for method in self._family.methods(client) if hasattr(*method)]
        if any(hasattr(getattr(*method), _MARK) for method in methods):
            raise ValueError("This client is registered with another memory.")
        for owner, name in methods:
            original = getattr(owner, name)
            if name == "stream":
                stand_in = self._late_stream(original, blocking=blocking)
            elif blocking:
                stand_in = self._chat_blocking(original)
            else:
                stand_in = self._chat(original)
            functools.update_wrapper(stand_in, original)
            setattr(stand_in, _MARK, True)
            setattr(owner, name, stand_in)
            self._replaced.append((owner, name))

    def undo(self) -> None:
        """Let the client be as it was."""
        for owner, name in self._replaced:
            delattr(owner, name)

    def _chat(self, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        async def chat(*args: Any, **keywords: Any) -> Any:
            call = self._begin(signature, args, keywords)
            if call is None:
                return await original(*args, **keywords)
            await call.recall()
            answer = await _with(original, call.arguments)
            if inspect.isasyncgen(answer):
                return heard(answer, call)
            if hasattr(answer, "__anext__"):
                return listen(answer, call)
            call.hear(answer)
            await call.end()
            return answer

        return chat

    def _chat_blocking(self, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        def chat(*args: Any, **keywords: Any) -> Any:
            call = self._begin(signature, args, keywords)
            if call is None:
                return original(*args, **keywords)
            call.recall_blocking()
            answer = _with(original, call.arguments)
            if inspect.isgenerator(answer):
                return heard_blocking(answer, call)
            if hasattr(answer, "__next__"):
                return listen(answer, call)
            call.hear(answer)
            call.end_blocking()
            return answer

        return chat

    def _late_stream(self, original: Callable[..., Any], *, blocking: bool) -> Any:
        signature = inspect.signature(original)

        def stream(*args: Any, **keywords: Any) -> Any:
            call = self._begin(signature, args, keywords)
            if call is None:
                return original(*args, **keywords)
            opening = functools.partial(_with, original, call.arguments)
            return late(opening, call, blocking=blocking)

        return stream

    def _begin(self, signature: inspect.Signature, args: Any, keywords: Any) -> Call | None:
        """A call that memory goes along with; None for one to leave alone."""
        try:
            bound = signature.bind(*args, **keywords)
            asked = None if is_raw(bound.arguments) else self._family.asked(bound.arguments)
        except Exception:  # What is wrong with the call, the client's own method says better.
            return None
        if asked is None:
            return None
        return Call(
            self._archive,
            self._family,
            scope=self._scope.get(),
            client=self._name,
            asked=asked,
            arguments=bound,
        )


def _with(method: Callable[..., Any], arguments: inspect.BoundArguments) -> Any:
    return method(*arguments.args, **arguments.kwargs)


def _family_of(client: Any) -> Family:
    """The module that knows a client, by the package that its class or a base of it is from.

    Raises:
        TypeError: None does.
    """
    packages = {base.__module__.partition(".")[0] for base in type(client).__mro__}
    for name in FAMILIES:
        if name in packages:
            return cast("Family", importlib.import_module(f"engine.memory.clients.{name}"))
    raise TypeError(
        f"{type(client).__name__} is no client that memory knows: an ollama.Client, openai.OpenAI,"
        " anthropic.Anthropic, or the Async one of these."
    )
