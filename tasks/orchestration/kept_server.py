"""A Prefect server of this machine that is kept alive: at one port, with one database, started again when it ends."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.orchestration.own_server import start_server, stop_server, wait_for_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

HOST = "127.0.0.1"  # it knows no password
DATABASE = "prefect.db"  # in its home, with the files that SQLite puts beside it
LOOK_SECONDS = 1.0  # between two looks at the process
ASK_SECONDS = 15.0  # between two questions to it, and for each answer
HANGS_SECONDS = 180.0  # without an answer, after which it is killed: a machine under load answers late
BACKOFF_SECONDS = (1.0, 5.0, 30.0, 60.0)  # before it is started again, by how often that was tried in a row


@contextmanager
def kept_server(home: Path, port: int) -> Iterator[str]:
    """Start a server whose database lies in `home`, give its address, keep it alive while this lasts, and stop it.

    Raises StorageError where the port is taken, or where it doesn't start.
    """
    _require_free(port)
    keeper = _Keeper(home, port)
    keeper.start()
    thread = Thread(target=keeper.keep, name="prefect-server", daemon=True)
    thread.start()
    try:
        yield keeper.url
    finally:
        keeper.stopped.set()
        thread.join()
        keeper.stop()


class _Keeper:
    """The process of the server, and whoever looks after it."""

    def __init__(self, home: Path, port: int) -> None:
        self.url = f"http://{HOST}:{port}/api"
        self.stopped = Event()
        self._home, self._port = home, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait for its answer; a database that it can't open is put aside, once."""
        self._home.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except StorageError:
            ended = self._process is not None and (self._process.poll() or 0) > 0  # by itself, by no signal
            aside = _put_aside(self._home) if ended else None
            if aside is None:
                raise
            log.warning("Prefect server: it did not start with its database, which is now %s; it has a new one", aside)
            self._start()

    def _start(self) -> None:
        self.stop()
        self._process = start_server(self._home, self._port)
        wait_for_server(self.url, self._process, self.stopped)

    def stop(self) -> None:
        """Stop the process, where one runs."""
        if self._process is not None:
            stop_server(self._process)

    def keep(self) -> None:
        """Start the process again whenever it has ended or hangs, until stopped."""
        failures = 0
        while not self.stopped.is_set():
            words = self._watch()
            if self.stopped.is_set():
                return
            log.warning("Prefect server: %s. It is started again; runs under way go on.", words)
            self.stopped.wait(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            try:
                self.start()
            except (StorageError, OSError) as error:
                failures += 1
                log.warning("Prefect server: it could not be started again: %s", error)
            else:
                failures = 0
                log.warning("Prefect server: it answers again at %s", self.url.removesuffix("/api"))

    def _watch(self) -> str:
        """Wait until the server needs to be started again, or this is stopped; say why."""
        answered = asked = time.monotonic()
        while not self.stopped.wait(LOOK_SECONDS):
            status = self._process.poll() if self._process else None
            if self._process is None or status is not None:
                return f"it ended, {_how(status)}"
            now = time.monotonic()
            if now - asked < ASK_SECONDS:
                continue
            asked = now
            if _answers(f"{self.url}/health"):
                answered = now
            elif now - answered > HANGS_SECONDS:
                self._process.kill()  # one that is stopped would not heed a signal that asks it to end
                return f"it has not answered for {HANGS_SECONDS:.0f} s"
        return "stopped"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS):  # noqa: S310 - our own server
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _how(status: int | None) -> str:
    """Say how a process ended."""
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def _require_free(port: int) -> None:
    """Raise StorageError where somebody listens at the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left counts as free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            msg = (
                f"Prefect server: expected port {port} of this machine to be free, received: {error.strerror}. Another "
                "`serve` may run; end it, or set CTR_RETRAIN_SERVER_PORT."
            )
            raise StorageError(msg) from error


def _put_aside(home: Path) -> Path | None:
    """Rename a database, with the files that SQLite puts beside it; return its new name, None where there is none."""
    database = home / DATABASE
    if not database.exists():
        return None
    aside = database.with_name(f"{DATABASE}.{int(time.time())}")
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            database.with_name(f"{DATABASE}{end}").rename(f"{aside}{end}")
    return aside
