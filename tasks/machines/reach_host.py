"""A way to a machine that waits for runs: `python -m …reach_host HOST PORT [COMMAND]`, as CTR_RETRAIN_WORKER_COMMAND.

What comes in by stdin goes there, and what comes back goes to stdout. The command is the one that `ssh` would be given;
the machine that waits starts its own.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from threading import Thread

from ctr_retrain.tasks.machines.host_listener import BYTES, keep_alive, token_of_environment

SECONDS_TO_REACH = 60  # pods of a job don't start at the same time
SECONDS_BETWEEN = 1


def main() -> None:
    """Reach the machine and pass on until either side ends."""
    host, port = sys.argv[1], int(sys.argv[2])
    token = token_of_environment()
    with _reached(host, port) as connection:
        keep_alive(connection)
        connection.sendall(token + b"\n")
        Thread(target=_send, args=(connection,), daemon=True).start()
        told = False
        with suppress(OSError):
            while said := connection.recv(BYTES):
                told = True
                os.write(1, said)
    why = "" if told else ": is its TRAINING_TOKEN the same"
    sys.stderr.write(f"the connection to {host}:{port} ended{why}\n")
    sys.stderr.flush()
    os._exit(1)  # the thread that reads stdin can't be interrupted


def _reached(host: str, port: int) -> socket.socket:
    """Connect, again and again while the machine is not there yet; raises OSError."""
    deadline = time.monotonic() + SECONDS_TO_REACH
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=SECONDS_TO_REACH)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(SECONDS_BETWEEN)
        else:
            connection.settimeout(None)
            return connection


def _send(connection: socket.socket) -> None:
    """Pass on what comes in, and say its end, by which the process there ends."""
    with suppress(OSError):
        while said := os.read(0, BYTES):
            connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
