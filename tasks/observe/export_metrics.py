"""Metrics of a root for Prometheus: a file for node_exporter's textfile collector, or an address to scrape."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import start_http_server, write_to_textfile

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.status_answer import StatusAnswer
from ctr_retrain.tasks.observe.root_metrics import Look, RootMetrics, registry_of

if TYPE_CHECKING:
    from http.server import HTTPServer

SECONDS_BETWEEN_LOOKS = 30.0  # at a root, however often its metrics are asked for

log = logging.getLogger(__name__)


@contextmanager
def metrics_written(folder: Path | None, recipe: str, look: Look) -> Iterator[None]:
    """Write a root's metrics on leaving, however what stands within ends; a failure of this costs no run.

    folder: of node_exporter's textfile collector; None: nothing is written.
    """
    try:
        yield
    finally:
        if folder is not None:
            try:
                write_metrics(folder, recipe, look)
            except OSError as error:
                log.warning("metrics could not be written into %s: %s", folder, error.strerror or error)
            except Exception:
                log.exception("metrics could not be made")


def write_metrics(folder: Path, recipe: str, look: Look) -> Path:
    """Write a root's metrics into a file of the folder, whose readers see the old or the new one. Raises OSError."""
    # One file a recipe, so that roots of several on one machine don't overwrite each other.
    path = folder / f"ctr_retrain_{re.sub(r'[^A-Za-z0-9_-]', '_', recipe)}.prom"
    write_to_textfile(str(path), registry_of(RootMetrics(recipe, look)))
    return path


def serve_metrics(listen: str, recipe: str, look: Look) -> HTTPServer:
    """Serve a root's metrics under an address HOST:PORT, in a thread that ends with the process.

    Raises StorageError where nothing can listen there.
    """
    host, _, port = listen.rpartition(":")
    try:
        server, _ = start_http_server(
            int(port), host.strip("[]"), registry_of(RootMetrics(recipe, RememberedLook(look)))
        )
    except OSError as error:
        msg = f"CTR_RETRAIN_METRICS_LISTEN: expected an address to listen at, received {listen}: {error.strerror}"
        raise StorageError(msg) from error
    return server


class RememberedLook:
    """A look at a root that is taken anew after a while only, and by one who asks at a time."""

    def __init__(self, look: Look, seconds: float = SECONDS_BETWEEN_LOOKS) -> None:
        """Take the look, and for how many seconds what it saw is answered again."""
        self._look, self._seconds, self._lock = look, seconds, Lock()
        self._seen: tuple[float, StatusAnswer] | None = None

    def __call__(self) -> StatusAnswer:
        """Return what is to be seen of the root; a look that fails is not remembered."""
        # Under the lock: two who scrape at once would both ask the bucket, and each again next time.
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > self._seconds:
                status = self._look()
                self._seen = (time.monotonic(), status)
            return self._seen[1]
