"""The child process of the embedded model: llama.cpp's server, serving one GGUF file to its parent.

Run as `python -P embedded_host.py --model FILE --address SOCKET …`. The key that clients must send
is read from the environment variable `SCRUBJAY_HOST_KEY`. When the server listens, one JSON line
goes to stdout: `{"address": …, "load_seconds": …}`, or `{"error": …}` when it can't start. The
process ends when its stdin closes or its parent dies, so it never outlives the program.

It is run as a file and imports nothing of Scrubjay: what it needs is in its arguments, and its
start costs as little as it can.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import sys
import time
from pathlib import Path
from typing import IO, Any, NoReturn

KEY_VARIABLE = "SCRUBJAY_HOST_KEY"
_LOG_SECONDS = 0.2
_PARENT_CHECK_SECONDS = 2.0


def main() -> NoReturn:
    """Load the model, serve it, and leave when the parent has gone."""
    arguments = _parse()
    parent = os.getppid()
    reports = _keep_stdout_for_reports()
    started = time.monotonic()
    try:
        server = _serve(arguments)
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        # llama.cpp writes its log in a thread of its own, which the end below cuts off.
        time.sleep(_LOG_SECONDS)
        sys.stderr.write(f"{arguments.model} can't be served: {reason}\n")
        sys.stderr.flush()
        _report(reports, {"error": reason})
        os._exit(1)
    _report(
        reports,
        {
            "address": server.listening_address,
            "load_seconds": round(time.monotonic() - started, 3),
        },
    )
    _wait_until_orphaned(parent)
    if arguments.address.startswith("/"):
        _remove_socket(Path(arguments.address))
    # Not sys.exit: the server's threads may be inside a long prompt and are not worth waiting for.
    os._exit(0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve one GGUF model to the parent process.")
    parser.add_argument("--model", required=True, help="the GGUF file")
    parser.add_argument("--alias", required=True, help="the name the server gives the model")
    parser.add_argument("--address", required=True, help="a Unix socket's path, or an IP address")
    parser.add_argument("--context-length", type=int, required=True, help="the window, in tokens")
    parser.add_argument("--threads", type=int, required=True, help="for generation")
    parser.add_argument("--batch-threads", type=int, required=True, help="for reading prompts")
    parser.add_argument("--embedding", action="store_true", help="serve embeddings, not chat")
    return parser.parse_args()


def _keep_stdout_for_reports() -> IO[str]:
    """The real stdout. File descriptor 1 then goes to stderr, so native code can't break a line."""
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return reports


def _report(reports: IO[str], what: dict[str, Any]) -> None:
    # A parent that died meanwhile reads no report; that it is gone is noticed a moment later.
    with contextlib.suppress(BrokenPipeError):
        reports.write(json.dumps(what) + "\n")
        reports.flush()


def _serve(arguments: argparse.Namespace) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.alias}
    params.hostnames = [arguments.address]
    params.port = 0
    params.api_keys = [os.environ[KEY_VARIABLE]]
    # The server is for the parent alone: no web page may call it, and it serves none.
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    params.n_ctx = arguments.context_length
    params.n_parallel = 1
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.batch_threads
    # A stop is noticed between batches: small ones make it quick and cost no speed.
    params.n_batch = 256
    params.n_ubatch = 256
    # The cache of other prompts defaults to 8 GB; the current prompt stays cached without it.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.embedding = arguments.embedding
    params.verbosity = 2
    return xllamacpp.Server(params)


def _wait_until_orphaned(parent: int) -> None:
    """Return when stdin closes, or the parent has died and another process holds the pipe."""
    if sys.platform == "win32":
        sys.stdin.buffer.read()
        return
    stdin = sys.stdin.fileno()
    while os.getppid() == parent:
        readable, _, _ = select.select([stdin], [], [], _PARENT_CHECK_SECONDS)
        if readable and not os.read(stdin, 4096):
            return


def _remove_socket(path: Path) -> None:
    """The parent removes the folder too; when it was killed, nobody else would."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


if __name__ == "__main__":
    main()
