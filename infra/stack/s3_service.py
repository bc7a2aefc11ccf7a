"""An S3 service over HTTP on this machine: moto's, since its conditional writes are right. `python s3_service.py PORT`.

Port 0 takes a free one; the port is printed once it listens. What it holds is in memory, and gone when it ends.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

Environment = dict[str, Any]

app = DomainDispatcherApplication(create_backend_app)
# moto looks at a condition and then writes, in two steps; one writer at a time makes that one, as on S3.
writing = threading.Lock()


def answer(environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request: readers side by side, writers one after another."""
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return app(environ, start_response)
    # Before the turn: a client that stops amid its request would keep all others waiting.
    if length := environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
    with writing:
        return app(environ, start_response)


def main() -> None:
    """Listen until the process is ended."""
    server = make_server("127.0.0.1", int(sys.argv[1]), answer, threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
