"""A way to a server of this machine that breaks, or falls silent, on order; the server itself goes on for others."""

import socket
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

LARGEST = 2**16  # bytes that are passed on at once


class BreakableWay:
    """Passes on whatever comes over TCP; `url` is the server's by this way."""

    def __init__(self, url):
        self.tries = 0  # to connect, since it broke or fell silent
        self._server = (urlsplit(url).hostname, urlsplit(url).port)
        self._open, self._broken, self._silent = [], False, False
        self._changing = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{self._server[1]}", f":{self._listener.getsockname()[1]}")
        threading.Thread(target=self._accept, daemon=True).start()

    def break_off(self):
        """Hang up on everybody, now and whoever comes: as a server whose process was killed."""
        with self._changing:
            self._broken, self.tries = True, 0
        for one in self._open:
            _hang_up(one)

    def fall_silent(self):
        """Take what comes and pass on nothing: as a server whose process was stopped."""
        with self._changing:
            self._silent, self.tries = True, 0

    def close(self):
        self.break_off()
        _hang_up(self._listener)

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._changing:
                    self.tries += 1
                    if self._broken:
                        _hang_up(client)
                        continue
                    server = socket.create_connection(self._server)
                    self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target):
        with suppress(OSError):
            while content := source.recv(LARGEST):
                if not self._silent:
                    target.sendall(content)
        if not self._silent:
            _hang_up(target)


def _hang_up(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def breakable_way(url):
    way = BreakableWay(url)
    try:
        yield way
    finally:
        way.close()
