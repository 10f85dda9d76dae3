"""What the errors of an OpenAI-compatible server mean, in words for the person at the screen."""

from __future__ import annotations

import re

from engine.llm.base import UNREADABLE_IMAGE, ModelError
from engine.llm.openai_wire import ServerError

OUT_OF_MEMORY = re.compile(
    r"out of memory|more system memory|(?:unable|failed) to allocate|cudaMalloc", re.IGNORECASE
)
"""How servers of models say so, llama.cpp's among them."""

_IMAGE = re.compile(r"\bimage", re.IGNORECASE)

_LONGEST = 300


def failure(where: str, status: int, error: ServerError | str) -> ModelError:
    """The `ModelError` for an HTTP status and the error in its body.

    Args:
        where: The server, as a sentence's subject.
        status: The HTTP status.
        error: What the server said.
    """
    if isinstance(error, str):
        error = ServerError(message=error)
    said = (error.message or "no reason given").strip()[:_LONGEST].rstrip(".")
    overflow = error.type == "exceed_context_size_error" or error.code == "context_length_exceeded"
    if overflow and error.n_prompt_tokens and error.n_ctx:
        return ModelError(
            "context_overflow",
            f"The prompt has {error.n_prompt_tokens} tokens and the model's window holds "
            f"{error.n_ctx}.",
            "Shorten the question, start a new session, or give the model a longer window.",
        )
    if overflow or "maximum context length" in said:
        return ModelError(
            "context_overflow",
            f"The prompt is longer than the model's window: {said}.",
            "Shorten the question, start a new session, or give the model a longer window.",
        )
    if status in (400, 415, 422, 500) and tells_of_image(said):
        return unreadable_image(f"{where} answered {status}: {said}.")
    if OUT_OF_MEMORY.search(said):
        kind, step = "out_of_memory", "Choose a smaller model, or close other programs."
    elif status in (401, 403):
        kind, step = (
            "unauthorized",
            "Set the key in the environment variable that `api_key_env` names, or in the keyring.",
        )
    elif status == 404:
        kind, step = "model_missing", "Check the model's name, and that `base_url` ends in /v1."
    elif status == 429:
        kind, step = "rate_limited", "Wait a little, then try again."
    elif status == 501:
        kind, step = "unsupported", "Choose another model or server for this."
    elif 300 <= status < 400:
        kind, step = "moved", "Set `base_url` to the server's present address."
    elif status == 503:
        kind, step = "busy", "The model may still be loading: try again in a moment."
    elif status >= 500:
        kind, step = "server_error", "Try again; if it fails again, read the server's log."
    else:
        kind, step = "refused", "Check the model's options in the settings."
    return ModelError(kind, f"{where} answered {status}: {said}.", step)


def tells_of_image(said: str) -> bool:
    """Whether an error is about an image; servers have no number for that."""
    return _IMAGE.search(said) is not None


def unreadable_image(said: str) -> ModelError:
    """A server can't read an image: it is broken, or of a kind that this server does not know."""
    return ModelError(
        UNREADABLE_IMAGE,
        f"The model's server can't read the image. {said}",
        "Save it as PNG or JPEG and edit the question, or choose another model.",
    )


def failure_in_stream(where: str, error: ServerError | str) -> ModelError:
    """The `ModelError` for an error that came after the answer had begun."""
    # llama.cpp gives the HTTP status that it would have sent; others a word, or nothing.
    code = None if isinstance(error, str) else error.code
    return failure(where, code if isinstance(code, int) else 500, error)
