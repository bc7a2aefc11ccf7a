"""A receiver of notifications on this machine: each message that arrives becomes a line of a file."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def receiving(file: Path) -> Iterator[str]:
    """Listen on a free port of this machine, and give the address that takes messages."""
    writing = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # a method's name in http.server
            """Keep a message, and say that it was taken."""
            message = self.rfile.read(int(self.headers["Content-Length"]))
            with writing, file.open("ab") as messages:
                messages.write(message.replace(b"\n", b" ") + b"\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the file has it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/messages"
        server.shutdown()
