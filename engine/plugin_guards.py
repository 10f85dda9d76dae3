"""Around what plugins bring: whatever goes wrong in there becomes an error expected here."""

from __future__ import annotations

import errno
import logging
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.embedder import Embedder
from engine.llm.base import Backend, ModelError
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.export import Exporter
    from engine.library import Library
    from engine.llm.base import ChatRequest, Chunk, ModelInfo, Progress, TokenCount
    from storage.records import Session

log = logging.getLogger(__name__)

T = TypeVar("T")


class GuardedBackend(Backend):
    """A plugin's backend, of which nothing but `ModelError` escapes."""

    def __init__(self, make: Callable[[], Backend], provider: str) -> None:
        """Make it.

        Raises:
            ModelError: It can't be made.
        """
        self.provider = provider
        try:
            self._inner = make()
        except Exception as error:
            raise _told(f"models of {provider}", error) from error

    async def answers(self, timeout: float) -> bool:
        """Whether the backend can be used now; one that breaks can't."""
        try:
            return await self._inner.answers(timeout)
        except Exception:
            log.exception("a plugin's backend %s failed", self.provider)
            return False

    async def models(self) -> list[ModelInfo]:
        """The models that can be used now."""
        return await self._awaited(self._inner.models())

    async def describe(self, model: str) -> ModelInfo:
        """What is known of one model."""
        return await self._awaited(self._inner.describe(model))

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream an answer."""
        async with self._guarded(), aclosing(self._inner.chat(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def count_tokens(self, request: ChatRequest) -> TokenCount:
        """How many tokens the request's prompt has."""
        return await self._awaited(self._inner.count_tokens(request))

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order."""
        return await self._awaited(self._inner.embed(model, texts))

    async def fetch(self, model: str, progress: Progress) -> None:
        """Get a model that is not there yet."""
        await self._awaited(self._inner.fetch(model, progress))

    async def remove(self, model: str) -> None:
        """Delete a model."""
        await self._awaited(self._inner.remove(model))

    async def warm(self, model: str) -> None:
        """Do what is slow before the first question comes."""
        await self._awaited(self._inner.warm(model))

    async def close(self) -> None:
        """Let go of everything; a failure is logged, for nobody can help it any more."""
        try:
            await self._inner.close()
        except Exception:
            log.exception("a plugin's backend %s was not closed", self.provider)

    async def _awaited(self, work: Awaitable[T]) -> T:
        async with self._guarded():
            return await work

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            yield
        except ModelError:
            raise
        except Exception as error:
            log.exception("a plugin's backend %s failed", self.provider)
            raise _told(f"models of {self.provider}", error) from error


class GuardedEmbedder(Embedder):
    """A plugin's embedder, of which nothing but `ModelError` and rows that fit escape."""

    def __init__(self, inner: Embedder) -> None:
        self.name = inner.name
        self.space = inner.space
        self._inner = inner

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, in order; shape (texts, dimensions)."""
        import numpy as np

        try:
            rows = np.asarray(await self._inner.embed(texts), dtype=np.float32)
            if rows.ndim != 2 or len(rows) != len(texts):
                raise ValueError(f"{len(texts)} texts have vectors of the shape {rows.shape}")
        except ModelError:
            raise
        except Exception as error:
            log.exception("a plugin's embedder %s failed", self.name)
            raise _told(f"the embedder {self.name}", error) from error
        return rows


def guarded_exporter(exporter: Exporter) -> Exporter:
    """A plugin's exporter, whose failure is one of writing the file."""

    async def pieces(library: Library, session: Session) -> AsyncGenerator[str]:
        try:
            async with aclosing(exporter.pieces(library, session)) as found:
                async for piece in found:
                    yield piece
        except (OSError, StorageError):
            raise
        except Exception as error:
            log.exception("a plugin's exporter %s failed", exporter.name)
            what = f"the plugin for {exporter.name} failed ({type(error).__name__})"
            raise OSError(errno.EIO, what) from error

    return msgspec.structs.replace(exporter, pieces=pieces)


def _told(what: str, error: Exception) -> ModelError:
    return ModelError(
        "plugin_failed",
        f"The plugin for {what} failed: {type(error).__name__}.",
        "`scrubjay doctor` says where the log is, which has more of it; or take the plugin out.",
    )
