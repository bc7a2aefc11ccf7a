"""A Prefect server of our own on this machine, which lives no longer than the process that started it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution.fresh_interpreter import module_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from threading import Event

STARTUP_SECONDS = 600  # two cores under a load of 12 took it 110
# By its own ten seconds a machine under load loses runs to "database is locked".
PATIENT_DATABASE = dict.fromkeys(
    ("PREFECT_SERVER_DATABASE_TIMEOUT", "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT"), "120"
)
STOP_SECONDS = 30  # then the server is killed


@contextmanager
def own_server(home: Path) -> Iterator[str]:
    """Start a server whose database lies in `home`, at a port that is free, give its address, and stop it.

    Raises StorageError where it doesn't start.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    process = start_server(home, port)
    try:
        wait_for_server(url, process)
        yield url
    finally:
        stop_server(process)


def start_server(home: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the process of a server that this machine alone reaches."""
    url = f"http://127.0.0.1:{port}/api"
    start = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        module_command("ctr_retrain.tasks.execution.parents_end", *start),
        env={**PATIENT_DATABASE, **os.environ, "PREFECT_API_URL": url, "PREFECT_HOME": str(home)},
        stdin=subprocess.PIPE,  # whose end tells it that this process has died
        stdout=sys.stderr,
    )


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """Stop the process of a server; one that has ended already too."""
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:  # it waits for a client that does not hang up
        process.kill()
        process.wait()
    if process.stdin:
        process.stdin.close()


def wait_for_server(url: str, process: subprocess.Popen[bytes], stopped: Event | None = None) -> None:
    """Wait until a server answers; raises StorageError where it doesn't, has ended, or nobody wants it any more."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while process.poll() is None and time.monotonic() < deadline and not (stopped and stopped.is_set()):
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    msg = f"Prefect server: expected it to answer within {STARTUP_SECONDS} s, received nothing. Set PREFECT_API_URL."
    raise StorageError(msg)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
