"""`serve`: run the daily flow on a cron schedule, with a Prefect server of its own where none is named.

A schedule that Prefect can't read is refused before the first night. The server is kept alive, and what a downtime left
is made up for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from ctr_retrain.flows.quiet_libraries import SERVED_BY
from ctr_retrain.flows.root_status import look
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.execution.shown_logs import OURS
from ctr_retrain.tasks.observe.export_metrics import metrics_written, serve_metrics
from ctr_retrain.tasks.orchestration.kept_server import kept_server
from ctr_retrain.tasks.orchestration.prefect_server import named_server
from ctr_retrain.tasks.schedule.next_run import next_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from ctr_retrain.flows.settings import Settings
    from ctr_retrain.models.recipe.recipe import Recipe

log = logging.getLogger(__name__)

RUNS_AT_ONCE = 4  # of which one works; others wait for the root or for data
WATCH_SECONDS = 3600  # between two looks of the watchdog


def serve_daily(settings: Settings) -> None:
    """Register the flows and run the nights when they are due, until stopped. One run works at a time, others wait.

    Raises UsageError where there is no such schedule, StorageError where the server doesn't start.
    """
    next_run(settings.cron, settings.timezone)
    rules = load_recipe(settings.recipe)
    _tell_children(settings)
    with _server(settings) as own:
        if settings.metrics_listen:
            serve_metrics(settings.metrics_listen, rules.name, partial(look, settings))
        threading.Thread(target=_look_around_hourly, args=(settings, rules), daemon=True).start()
        _run_what_is_due(settings, own=own)


def _run_what_is_due(settings: Settings, *, own: bool) -> None:
    """Register the deployments and start each of their runs when it is due, until stopped; own: so is the server."""
    # Prefect reads the server's address when it is imported.
    from prefect.exceptions import TerminationSignal  # noqa: PLC0415

    from ctr_retrain.flows.schedules.patient_runner import PatientRunner  # noqa: PLC0415
    from ctr_retrain.flows.schedules.served_flows import deployments, settle_after_downtime  # noqa: PLC0415

    # The limit is of this process: one on the server can outlive a crash and block every later night.
    runner = PatientRunner(name="ctr-retrain", pause_on_shutdown=False, limit=RUNS_AT_ONCE)
    ids = [cast("UUID", runner.add_deployment(one)) for one in deployments(settings)]
    if own:  # at another server `serve` is one of many, and what its workers do is theirs
        settle_after_downtime(settings, ids[0], ids, datetime.now(UTC))
    with suppress(KeyboardInterrupt, TerminationSignal):
        asyncio.run(runner.start())


def _tell_children(settings: Settings) -> None:
    """Put into the environment what scheduled runs need, which are processes of their own in another folder."""
    os.environ |= {
        "CTR_RETRAIN_CACHE": str(settings.cache_folder),
        "CTR_RETRAIN_SPOOL": str(settings.spool_folder),
        "CTR_RETRAIN_LOG_FOLDER": str(settings.log_folder.expanduser().absolute()),
        "CTR_RETRAIN_CRON": settings.cron,
        "CTR_RETRAIN_TIMEZONE": settings.timezone,
        SERVED_BY: str(os.getpid()),  # with which they end
    }
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", OURS)  # the story of a run is on its page, too
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")  # what `serve` itself logs has no page
    if settings.metrics_folder:
        os.environ["CTR_RETRAIN_METRICS_FOLDER"] = str(settings.metrics_folder.expanduser().absolute())


def _look_around_hourly(settings: Settings, rules: Recipe) -> None:
    """Look each hour at what is amiss beside the runs, whatever becomes of them; nothing of it ends the thread."""
    from ctr_retrain.tasks.nights.find_silence import look_around  # noqa: PLC0415

    while True:
        try:
            with metrics_written(settings.metrics_folder, rules.name, partial(look, settings)):
                look_around(settings.store, settings.landing_zone, settings.delivery(rules), datetime.now(UTC))
        except Exception:
            log.exception("the watchdog could not look around; it tries again in an hour")
        time.sleep(WATCH_SECONDS)


@contextmanager
def _server(settings: Settings) -> Iterator[bool]:
    """Keep a Prefect server on this machine, unless one is named; its database lies beside the root. Gives: is it ours.

    It has one port and one database, so that what was there before a crash or a reboot is there afterwards.
    """
    if named_server():
        yield False
        return
    home = settings.local_folder / "prefect"
    with kept_server(home, settings.server_port) as url:
        os.environ |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(home)}
        sys.stderr.write(f"Prefect server: {url.removesuffix('/api')}\n")
        yield True
