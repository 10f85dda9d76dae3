"""Servers for registered clients to chat with: the embedded model's own, and a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.llm import catalog
from engine.llm.embedded_child import HOST
from engine.llm.embedded_host import KEY_VARIABLE
from tests.embedded_weights import paths_under

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "for-tests"


class Server(NamedTuple):
    """Where a server is, and the model it has."""

    url: str
    model: str


@contextmanager
def embedded_server(models_dir: Path) -> Iterator[Server]:
    """llama.cpp's server as the app starts it, but at a port that any client can reach."""
    paths = paths_under(models_dir, models_dir=models_dir)
    model = catalog.find(paths, catalog.DEFAULT)
    command = [sys.executable, "-P", str(HOST), "--model", str(model.path(paths))]
    command += ["--alias", model.name]
    command += ["--address", "127.0.0.1", "--context-length", "1024"]
    command += ["--threads", "1", "--batch-threads", "2"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {KEY_VARIABLE: KEY},
    ) as process:
        assert process.stdout is not None
        report = json.loads(process.stdout.readline())
        yield Server(report["address"], model.name)
        # Leaving the block closes its standard input, at which it ends.


class StandIn(ThreadingHTTPServer):
    """Says that it is Ollama, OpenAI's and Anthropic's server, and answers all with `ANSWER`.

    It keeps what it was asked. A question that begins with "Break off" gets half a stream, one
    that begins with "Refuse" an error.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


ANSWER = ("Well", " noted", ".")


@contextmanager
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        asked = json.loads(self.rfile.read(length))
        self.server.asked.append(asked)
        question = str(asked["messages"][-1]["content"])
        if question.startswith("Refuse"):
            self._send(404, json.dumps({"error": {"type": "not_found_error", "message": "no"}}))
            return
        whole, pieces = _ANSWERS[self.path](asked["model"])
        if not asked.get("stream"):
            self._send(200, json.dumps(whole))
            return
        self.send_response(200)
        is_ollama = self.path == "/api/chat"
        kind = "application/x-ndjson" if is_ollama else "text/event-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if question.startswith("Break off"):
            pieces = pieces[: 2 if self.path != "/v1/messages" else 4]
            self.close_connection = True
        for piece in pieces:
            name = f"event: {piece['type']}\n" if self.path == "/v1/messages" else ""
            line = json.dumps(piece)
            text = f"{line}\n" if is_ollama else f"{name}data: {line}\n\n"
            self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
            self.wfile.flush()
        if not self.close_connection:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _openai(model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    common = {"id": "1", "created": 1, "model": model}
    message = {"role": "assistant", "content": "".join(ANSWER)}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    whole = {
        **common,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    pieces = [
        {
            **common,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        }
        for text in ANSWER
    ]
    return whole, pieces


def _ollama(model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    end = {"done": True, "prompt_eval_count": 7, "eval_count": 3}
    whole = {
        "model": model,
        "message": {"role": "assistant", "content": "".join(ANSWER)},
        **end,
    }
    pieces = [
        {"model": model, "message": {"role": "assistant", "content": text}, "done": False}
        for text in ANSWER
    ]
    last = {"model": model, "message": {"role": "assistant", "content": ""}, **end}
    return whole, [*pieces, last]


def _anthropic(model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    begun: dict[str, Any] = {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 0},
    }
    whole = {
        **begun,
        "content": [{"type": "text", "text": "".join(ANSWER)}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }
    block = {"type": "text", "text": ""}
    pieces: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": text},
            }
            for text in ANSWER
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    return whole, pieces


_ANSWERS = {"/v1/chat/completions": _openai, "/api/chat": _ollama, "/v1/messages": _anthropic}
