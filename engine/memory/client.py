"""Memory for other programs: the chats of their model clients are recalled from, and recorded.

    with Memory.open(Path("memory.db")) as memory:
        client = memory.register(openai.OpenAI())
        with memory.attribution(entity_id="ana", process_id="shop"):
            client.chat.completions.create(model="…", messages=[…])

The calls stay what they are: their signatures, what they return, stream and raise. What fits the
question is put into the system's words before the request leaves; the user's last message and the
answer are recorded after it. A call goes on without either where memory fails.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, TypeVar

from engine.config import MemorySettings
from engine.memory.archive import NOBODY, Archive, Scope
from engine.memory.clients.registration import Registration

if TYPE_CHECKING:
    from contextvars import Token
    from pathlib import Path
    from types import TracebackType

    from storage.postgres.address import Address
    from storage.store import Store

Client = TypeVar("Client")


class Attribution:
    """Whose the calls are, from the moment this is made; leaving it as a context manager ends it.

    It holds for the task or thread that made it and for tasks begun there, as context variables do.
    """

    def __init__(self, variable: ContextVar[Scope], scope: Scope) -> None:
        self._variable = variable
        self._token: Token[Scope] = variable.set(scope)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._variable.reset(self._token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._variable.reset(self._token)


class Memory:
    """What clients are registered with. It may be used from any thread and any event loop.

    Only its construction wants the event loop in which the store was opened; `Memory.open` gives
    the store a loop of its own, in a thread, which suits programs with and without asyncio.
    Close it: what was not recorded yet is then, and its clients are as they were.

    Args:
        store: Where conversations are kept.
        settings: What to bring back and to learn, and how much of it; by default as in the app.

    Raises:
        RuntimeError: No event loop runs here, so the store's can't be told.
    """

    def __init__(self, store: Store, *, settings: MemorySettings | None = None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "Memory(store) belongs into the event loop of the store: elsewhere use"
                " Memory.open(path)."
            ) from None
        self._set_up(store, loop, settings)

    def _set_up(
        self, store: Store, loop: asyncio.AbstractEventLoop, settings: MemorySettings | None
    ) -> None:
        self._archive = Archive(store, loop, settings or MemorySettings())
        # One for each memory: there are few, and what one is told is no other's business.
        self._scope: ContextVar[Scope] = ContextVar("scope", default=NOBODY)
        self._clients: dict[int, tuple[object, Registration]] = {}
        self._opened = ExitStack()

    @classmethod
    def open(cls, place: Path | Address, *, settings: MemorySettings | None = None) -> Self:
        """A memory in a database, which is made or upgraded as needed.

        Args:
            place: The file, or the server's address. Several programs may have it open at once.
            settings: What to bring back and to learn, and how much of it; by default as in the app.

        Raises:
            StorageError: See `storage.store.Store.open`.
        """
        from anyio.from_thread import start_blocking_portal

        from storage.store import Store

        with ExitStack() as opened:
            portal = opened.enter_context(start_blocking_portal("asyncio"))
            store = portal.call(Store.open, place)
            opened.callback(portal.call, store.close)
            memory = cls.__new__(cls)
            memory._set_up(store, portal.call(_running_loop), settings)
            memory._opened = opened.pop_all()
        return memory

    def register(self, client: Client) -> Client:
        """Go along with the chats of a client from now on; the same object is returned.

        Known are `ollama.Client`, `openai.OpenAI` and `anthropic.Anthropic`, what derives from
        them, and their `Async` likes. Chats are `chat` of ollama's, `chat.completions.create`,
        `.parse` and `.stream` of openai's, `messages.create`, `.parse` and `.stream` of
        anthropic's. Calls for raw responses are left alone, and so is what `with_options` returns.
        A client that is registered here already stays so.

        Of a call, the user's last message is recorded, not the history before it, nor again when
        it is sent once more with the results of tools. A stream is recorded when it ends; when it
        is closed early or breaks, what came of it is, as stopped or failed. A call that failed
        before the first word is not recorded.

        Raises:
            TypeError: It is no such client.
            ValueError: It is registered with another memory.
        """
        if id(client) not in self._clients:
            registration = Registration(client, self._archive, self._scope)
            self._clients[id(client)] = (client, registration)
        return client

    def unregister(self, client: object) -> None:
        """Let a client be as it was. Streams that are being read are still recorded."""
        _, registration = self._clients.pop(id(client), (None, None))
        if registration is not None:
            registration.undo()

    def attribution(
        self,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        session_id: str | None = None,
    ) -> Attribution:
        """Say whose the calls are that follow in this task or thread; what is not named is None.

        It holds at once. As a context manager, with or without `async`, the one before holds
        again after the block. A new thread begins without one, `asyncio.to_thread` with its
        caller's.

        Args:
            entity_id: Who is being talked with: nobody else's words are recalled. None is the
                person whom the app itself talks with, if it has the same database.
            process_id: The program or persona that talks: only what it heard itself is recalled.
                None recalls from all of the entity's conversations.
            session_id: The conversation, as an id that is nowhere else in the database. None is
                one for each client, entity and process. One that is another's is not added to.
        """
        scope = Scope(entity_id=entity_id, process_id=process_id, session_id=session_id)
        return Attribution(self._scope, scope)

    async def wait(self) -> None:
        """Wait until what was said so far is recorded; a call that returned is recorded already.

        There is something to wait for after streams that were thrown away unread.
        """
        await self._archive.wait()

    def flush(self) -> None:
        """The same as `wait`, for code without asyncio.

        Raises:
            RuntimeError: The event loop of the store runs in this thread.
        """
        if self._archive.is_here:
            raise RuntimeError("This would block the event loop of the store: await wait().")
        self._archive.flush()

    def close(self) -> None:
        """Let all clients be as they were, record what is not yet, and close what `open` opened.

        Raises:
            RuntimeError: The event loop of the store runs in this thread; use `aclose`.
            StorageError: See `storage.store.Store.close`.
        """
        self._let_clients_go()
        self.flush()
        self._opened.close()

    async def aclose(self) -> None:
        """The same as `close`, for code with asyncio.

        Raises:
            StorageError: See `storage.store.Store.close`.
        """
        self._let_clients_go()
        await self.wait()
        await asyncio.to_thread(self._opened.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _let_clients_go(self) -> None:
        for client, _ in list(self._clients.values()):
            self.unregister(client)


async def _running_loop() -> Any:
    return asyncio.get_running_loop()
