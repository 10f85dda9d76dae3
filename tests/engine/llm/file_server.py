"""A loopback web server of one file, which does as a model hub does and fails when told to."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileServer(ThreadingHTTPServer):
    """Serves `content` at `/file.gguf`, and a redirect to it at `/resolve/file.gguf`."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag = '"first"'
        self.stated_sha256 = ""
        """Stated on the redirect, as Hugging Face does."""

        self.break_after: int | None = None
        """Bytes of the body after which the connection breaks."""

        self.status = 200
        self.ranges: list[str | None] = []
        """The Range header of each request for the file."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/resolve/file.gguf"


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    server = FileServer(content)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        if self.path.startswith("/resolve/"):
            self.send_response(302)
            self.send_header("Location", "/file.gguf")
            if self.server.stated_sha256:
                self.send_header("X-Linked-ETag", f'"{self.server.stated_sha256}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        body = self.server.content
        begin = 0
        if wanted and self.headers.get("If-Range") == self.server.etag:
            found = re.fullmatch(r"bytes=(\d+)-", wanted)
            assert found
            begin = int(found[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - begin))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        end = len(body) if self.server.break_after is None else begin + self.server.break_after
        try:
            self.wfile.write(body[begin:end])
        except (BrokenPipeError, ConnectionResetError):
            return
        if end < len(body):
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests are quiet."""
