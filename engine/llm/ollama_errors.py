"""What an Ollama server's errors mean, in words for the person at the screen."""

from __future__ import annotations

import re

from engine.llm.base import ModelError
from engine.llm.openai_errors import OUT_OF_MEMORY, tells_of_image, unreadable_image

_CHOOSE = "Choose another model"


def explain(error: Exception, url: str, model: str) -> ModelError:
    """The `ModelError` for an error that the official client raised.

    Args:
        error: What it raised: its own `ResponseError`, httpx's errors, built-in ones.
        url: The server's.
        model: The model in question; empty where there was none.
    """
    import httpx
    import ollama

    match error:
        case ModelError():
            return error
        case ollama.ResponseError():
            return _refused(error.error, error.status_code, url, model)
        case TimeoutError() | httpx.ConnectTimeout():
            return _unreachable(url, "does not answer")
        case ConnectionError() | httpx.ConnectError() | httpx.ProxyError():
            return _unreachable(url, "can't be reached")
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return broken_off(url)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return bad_host(url, error)
        case _:
            return _not_ollama(url, f"{type(error).__name__}: {error}")


def broken_off(url: str) -> ModelError:
    """The connection ended before the answer did."""
    return ModelError(
        "disconnected",
        f"The Ollama server at {url} broke off before the answer was complete.",
        "Retry once the server runs again; `ollama serve` starts it.",
    )


def silent(url: str, seconds: float) -> ModelError:
    """The connection is there, and nothing comes."""
    return ModelError(
        "silent",
        f"The Ollama server at {url} has sent nothing for {seconds:.0f} seconds.",
        "Retry; if it stays silent, start the server again with `ollama serve`.",
    )


def bad_host(host: str, error: Exception) -> ModelError:
    """The host in the settings, or in the environment, is none."""
    return ModelError(
        "bad_setting",
        f"{host!r} is no address of an Ollama server: {error}.",
        "Correct the host in the settings or in OLLAMA_HOST; it looks like `127.0.0.1:11434`.",
    )


def _unreachable(url: str, what: str) -> ModelError:
    return ModelError(
        "unreachable",
        f"The Ollama server at {url} {what}.",
        "Start it with `ollama serve`, or choose another model.",
    )


def _not_ollama(url: str, what: str) -> ModelError:
    return ModelError(
        "bad_answer",
        f"What answers at {url} does not speak as an Ollama server does ({_short(what)}).",
        "Check the host in the settings or in OLLAMA_HOST.",
    )


def _refused(text: str, status: int, url: str, model: str) -> ModelError:
    """The server's own words, sorted by what can be done. The status is -1 for a streamed error."""
    text = str(text)
    said = f"Ollama: {_short(text)}"

    def says(pattern: str) -> bool:
        return re.search(pattern, text, re.IGNORECASE) is not None

    if says(r"model .*not found|no such model"):
        return ModelError(
            "model_missing",
            f"The Ollama server has no model named {model!r}.",
            f"Fetch it with `ollama pull {model}`, or choose another model.",
        )
    if OUT_OF_MEMORY.search(text) or says("signal: killed"):
        return ModelError(
            "out_of_memory",
            f"There is not enough memory for {model}. {said}",
            "Choose a smaller model, ask for a shorter context, or close other programs.",
        )
    if says(r"context (length|size|window)|exceeds? .*context"):
        return ModelError(
            "context_overflow",
            f"The conversation is longer than {model} can take in. {said}",
            "Start a new session, shorten the message, or raise the context length.",
        )
    if says(r"unexpected EOF|runner process|forcibly closed|connection reset|connection refused"):
        return ModelError(
            "crashed",
            f"The process that runs {model} ended unexpectedly. {said}",
            "Retry: the server starts it again. If it happens again, choose a smaller model.",
        )
    if says(r"does not support|invalid think value"):
        return ModelError("unsupported", said, f"{_CHOOSE} for this.")
    if tells_of_image(text):
        return unreadable_image(said)
    if status in (401, 403):
        return ModelError(
            "unauthorized",
            f"The Ollama server at {url} refuses this user. {said}",
            "Set OLLAMA_API_KEY, or sign in with `ollama signin`.",
        )
    if status in (429, 503):
        return ModelError("busy", f"The Ollama server is busy. {said}", "Retry in a moment.")
    if status == 404 or text.lstrip()[:1] in ("<", "[") or not text:
        return _not_ollama(url, f"status {status}: {text}")
    if status >= 500 or status < 0:
        return ModelError(
            "server_error",
            f"The Ollama server could not answer. {said}",
            "Retry; the server's own log says more.",
        )
    return ModelError("refused", f"The Ollama server refused the request. {said}", f"{_CHOOSE}.")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"
