"""Receivers of alerts on this machine: a webhook's other end and a mail server, which keep what they are sent."""

import asyncio
import json
import threading
from email import message_from_string
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(ThreadingHTTPServer):
    """A webhook's other end. It first refuses `refusals` times; where it is `slow` it answers once it is let."""

    daemon_threads = True

    def __init__(self, refusals=0, *, slow=False):
        self.received, self.headers, self.refusals = [], [], refusals
        self.arrived, self.answers = threading.Event(), threading.Event()
        if not slow:
            self.answers.set()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?token=s3cret"

    @property
    def ids(self):
        return [document["id"] for document in self.received]

    def __exit__(self, *error):
        self.answers.set()
        self.shutdown()
        super().__exit__(*error)

    def handle_error(self, *_):
        """Say nothing: a client that was killed hangs up."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals > 0
        self.server.refusals -= refused
        self.server.arrived.set()
        if not refused:
            self.server.headers.append(self.headers)
            self.server.received.append(json.loads(body))
        self.server.answers.wait()
        self.send_response(503 if refused else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


class MailServer:
    """A mail server that takes everything, in a thread of its own."""

    def __init__(self):
        self.mails = []

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self):
        return f"mailto://127.0.0.1:{self.port}?from=nights@example.com&to=people@example.com"

    def _serve(self, started):
        async def serve():
            self._stop = asyncio.Event()
            server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            async with server:
                await self._stop.wait()

        self._loop.run_until_complete(serve())
        self._loop.close()

    async def _talk(self, reader, writer):
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.mails.append(message_from_string(text.removesuffix(".\r\n").replace("\r\n", "\n"), policy=default))
            writer.write(b"221 bye\r\n" if word == "QUIT" else b"250 fine\r\n")
            await writer.drain()
            if word == "QUIT":
                break
        writer.close()
