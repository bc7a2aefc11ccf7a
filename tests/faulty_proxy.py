"""A proxy before an S3 server that does, on order, what networks and services do: 503s, slowness, lost answers."""

import http.client
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UNAVAILABLE, SLOW, LOST_ANSWER, CUT, CORRUPT, TRUNCATED = "503", "slow", "lost answer", "cut", "corrupt", "truncated"


@dataclass
class Fault:
    """What happens to the next `times` requests of this method whose path holds `part`."""

    kind: str
    method: str
    part: str
    times: int
    seconds: float = 0
    hit: threading.Event = field(default_factory=threading.Event)


class FaultyProxy:
    """Forwards to a port of this machine; `url` is what a client is given."""

    def __init__(self, port):
        self.requests, self._faults, self._lock = [], [], threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, port))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients hang up on purpose
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def order(self, kind, method="GET", part="", times=1, seconds=0):
        fault = Fault(kind, method, part, times, seconds)
        with self._lock:
            self._faults.append(fault)
        return fault

    def due(self, method, path):
        with self._lock:
            self.requests.append((method, path))
            for fault in self._faults:
                if fault.times and fault.method == method and fault.part in path:
                    fault.times -= 1
                    fault.hit.set()
                    return fault
        return None

    def asked(self, method, part=""):
        return sum(m == method and part in path for m, path in self.requests)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxy_to(port):
    proxy = FaultyProxy(port)
    try:
        yield proxy
    finally:
        proxy.stop()


def _handler(proxy, port):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = proxy.due(self.command, self.path)
            kind = fault.kind if fault else None
            if kind == UNAVAILABLE:
                error = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                self._answer(503, [("Content-Type", "application/xml")], error)
                return
            if kind == CUT:
                self.close_connection = True
                return
            if kind == SLOW:
                time.sleep(fault.seconds)
            status, headers, content = self._ask(body)
            if kind == LOST_ANSWER:
                self.close_connection = True
                return
            if kind == CORRUPT and content:
                content = bytes([content[0] ^ 0xFF]) + content[1:]
            self._answer(status, headers, content, half=kind == TRUNCATED)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

        def _ask(self, body):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                names = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                connection.request(self.command, self.path, body, names)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def _answer(self, status, headers, content, *, half=False):
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = dict((k.lower(), v) for k, v in headers).get("content-length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if half else content)
            if half:
                self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler
