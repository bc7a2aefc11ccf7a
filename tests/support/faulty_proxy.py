"""A proxy before an S3 server that does, on order, what networks and services do: 503s, silence, lost answers."""

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UNAVAILABLE, LOST_ANSWER, CUT, CORRUPT, TRUNCATED = "503", "lost answer", "cut", "corrupt", "truncated"
PASSED = "passed"  # the request goes through, late where it is held
# The request goes through without its conditions, or without one of them, as with services that ignore it.
UNCONDITIONAL, NO_IF_MATCH, NO_IF_NONE_MATCH = "unconditional", "no if-match", "no if-none-match"
IGNORED = {
    UNCONDITIONAL: ("if-match", "if-none-match"),
    NO_IF_MATCH: ("if-match",),
    NO_IF_NONE_MATCH: ("if-none-match",),
}
NOT_IMPLEMENTED = "501"  # to a request that has a condition, as from services that know none and say so

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"

UNKNOWN = b"<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality.</Message></Error>"


@dataclass
class Fault:
    """What happens to the next `times` requests of this method whose path holds `part`."""

    kind: str
    method: str
    part: str
    times: int
    hit: threading.Event = field(default_factory=threading.Event)  # set by the first of them
    release: threading.Event = field(default_factory=threading.Event)  # until it is set, they wait


class FaultyProxy:
    """Forwards to a port of this machine; `url` is what a client is given."""

    def __init__(self, port):
        self.requests, self._faults, self._lock = [], [], threading.Lock()
        self._last, self._silence = None, None  # the request from which on nothing is answered, and that
        self.port = port
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients hang up on purpose
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def order(self, kind, method="GET", part="", times=1, *, held=False):
        """Order a fault; a held request waits for its release, and the fault happens to it then."""
        fault = Fault(kind, method, part, times)
        if not held:
            fault.release.set()
        with self._lock:
            self._faults.append(fault)
        return fault

    def fall_silent(self, method, part):
        """Take connections and answer nothing any more, from the next request of this method and path on."""
        with self._lock:
            self._last = (method, part)

    def speak(self):
        """Answer again."""
        with self._lock:
            if self._silence:
                self._silence.release.set()
            self._last, self._silence = None, None

    def due(self, method, path):
        with self._lock:
            self.requests.append((method, path))
            if self._last and self._silence is None and method == self._last[0] and self._last[1] in path:
                self._silence = Fault(CUT, method, path, 1)
            if self._silence:
                return self._silence
            for fault in self._faults:
                if fault.times and fault.method == method and fault.part in path:
                    fault.times -= 1
                    fault.hit.set()
                    return fault
        return None

    def asked(self, method, part=""):
        return sum(m == method and part in path for m, path in self.requests)

    def stop(self):
        for fault in self._faults:
            fault.release.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxy_to(port):
    proxy = FaultyProxy(port)
    try:
        yield proxy
    finally:
        proxy.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def parse_request(self):
        """Every method is forwarded in the same way."""
        parsed = super().parse_request()
        if parsed:
            setattr(self, f"do_{self.command}", self._serve)
        return parsed

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.proxy.due(self.command, self.path)
        kind = fault.kind if fault else PASSED
        if fault:
            fault.release.wait()
        if kind == UNAVAILABLE:
            self._answer(503, [("Content-Type", "application/xml")], BUSY)
            return
        if kind == CUT:
            self.close_connection = True
            return
        if kind == NOT_IMPLEMENTED and any(self.headers.get(name) for name in IGNORED[UNCONDITIONAL]):
            self._answer(501, [("Content-Type", "application/xml")], UNKNOWN)
            return
        status, headers, content = self._forward(body, ("expect", *IGNORED.get(kind, ())))
        if kind == LOST_ANSWER:
            self.close_connection = True
        elif kind == CORRUPT:
            self._answer(status, headers, bytes([content[0] ^ 0xFF]) + content[1:])
        else:
            self._answer(status, headers, content, half=kind == TRUNCATED)

    def _forward(self, body, dropped):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.proxy.port)
        try:
            names = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            connection.request(self.command, self.path, body, names)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status, headers, content, *, half=False):
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = half

    def log_message(self, *_):
        """Nothing is said."""
