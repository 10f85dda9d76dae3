"""A callback that shortens a request before each call of a model, once it is long enough."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from engine.context.tokens import estimate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.llm.base import ChatRequest, TokenCount

Strategy: TypeAlias = "Callable[[ChatRequest], ChatRequest | Awaitable[ChatRequest]]"
Optimizer: TypeAlias = "Callable[[ChatRequest], Awaitable[ChatRequest]]"
Counter: TypeAlias = "Callable[[ChatRequest], Awaitable[TokenCount]]"


def create_optimizer_callback(
    apply: Strategy, threshold: int, model_id: str, count: Counter | None = None
) -> Optimizer:
    """Make a callback that runs `apply` on requests of more than `threshold` tokens.

    Args:
        apply: What shortens a request; a plain or an asynchronous function.
        threshold: In tokens. A request that has no more is passed on as it is.
        model_id: The model as `provider:name`, by whose measure tokens are counted.
        count: Counts a request's tokens, if something knows better than `count_tokens`.
    """
    count = count or partial(estimate, model_id=model_id)

    async def optimize(request: ChatRequest) -> ChatRequest:
        if (await count(request)).tokens <= threshold:
            return request
        shortened = apply(request)
        return await shortened if inspect.isawaitable(shortened) else shortened

    return optimize
