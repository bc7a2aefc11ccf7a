"""A machine that waits for runs elsewhere to train with it: `python -m …host_listener PORT`.

For clusters in which nobody logs in from one machine to another, such as the pods of a Kubernetes job; elsewhere ssh
starts the process. Each connection that begins with the token gets a process of its own, which ends with it.
"""

from __future__ import annotations

import hmac
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from threading import Thread
from typing import IO

from ctr_retrain.models.errors import UsageError
from ctr_retrain.tasks.execution.fresh_interpreter import module_command, module_environment

log = logging.getLogger(__name__)

MODULE = "ctr_retrain.tasks.machines.host_worker"
TOKEN = "TRAINING_TOKEN"  # noqa: S105 - the environment's variable; what is sent is unpickled, so it has to be secret
MOST_CHARACTERS = 200  # of a token
SECONDS_TO_BEGIN = 30  # for a connection to say its token
BYTES = 1 << 16
# A machine that lost its power closes nothing: after these seconds without an answer its connection ends.
KEPT_ALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))


def main() -> None:
    """Listen until killed. Raises UsageError where the environment has no token."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    token = token_of_environment()
    with socket.create_server(("", int(sys.argv[1]))) as server:
        log.info("waiting for runs at port %d", server.getsockname()[1])
        while True:
            connection, address = server.accept()
            Thread(target=_serve, args=(connection, address[0], token), daemon=True).start()


def token_of_environment() -> bytes:
    """Return the token that a run and the machines that wait for it share; raises UsageError where there is none."""
    token = os.environ.get(TOKEN, "").strip()
    if 16 <= len(token) <= MOST_CHARACTERS:
        return token.encode()
    msg = (
        f"{TOKEN}: expected the 16 to {MOST_CHARACTERS} characters that each of the machines has, received {len(token)}"
    )
    raise UsageError(msg)


def keep_alive(connection: socket.socket) -> None:
    """Let the kernel end a connection whose other side is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEPT_ALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _serve(connection: socket.socket, where: str, token: bytes) -> None:
    """Let a process work for whoever has the token, and end it with the connection."""
    with connection, suppress(OSError):
        connection.settimeout(SECONDS_TO_BEGIN)
        if not hmac.compare_digest(_first_line(connection), token):
            log.warning("a connection from %s was refused: it has another token", where)
            return
        connection.settimeout(None)
        keep_alive(connection)
        _work(connection)


def _work(connection: socket.socket) -> None:
    with subprocess.Popen(  # noqa: S603 - our own module
        module_command(MODULE), env=module_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        Thread(target=_pass_on, args=(connection, process.stdin), daemon=True).start()
        with suppress(OSError):
            while said := os.read(process.stdout.fileno(), BYTES):
                connection.sendall(said)
            connection.shutdown(socket.SHUT_RDWR)
        process.kill()


def _pass_on(connection: socket.socket, stdin: IO[bytes]) -> None:
    """Pass on what comes, and close the process's pipe at its end, which ends the process."""
    with suppress(OSError), stdin:
        while said := connection.recv(BYTES):
            stdin.write(said)
            stdin.flush()


def _first_line(connection: socket.socket) -> bytes:
    """Read up to the end of the first line and no further; what follows is the process's."""
    line = b""
    while len(line) <= MOST_CHARACTERS and (byte := connection.recv(1)) not in (b"", b"\n"):
        line += byte
    return line


if __name__ == "__main__":
    main()
