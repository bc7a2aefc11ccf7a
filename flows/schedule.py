"""`serve`: run the daily flow on a cron schedule, with a Prefect server of its own where none is set.

A schedule that Prefect can't read is refused before the first night.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.flows.quiet_libraries import SERVED_BY
from ctr_retrain.flows.root_status import look
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.recipe.shipped_recipes import find_recipe
from ctr_retrain.tasks.observe.export_metrics import metrics_written, serve_metrics
from ctr_retrain.tasks.observe.next_run import next_run
from ctr_retrain.tasks.orchestration.own_server import own_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.flows.settings import Settings
    from ctr_retrain.models.recipe.recipe import Recipe

log = logging.getLogger(__name__)

DEPLOYMENT = "nightly"
WATCH_SECONDS = 3600  # between two looks of the watchdog


def serve_daily(settings: Settings) -> None:
    """Register the daily flow and run it when it is due, until stopped. One run at a time; a second one waits.

    Raises UsageError where there is no such schedule, StorageError where the server doesn't start.
    """
    next_run(settings.cron, settings.timezone)
    rules = load_recipe(settings.recipe)
    # Scheduled runs may start in another folder.
    os.environ |= {"CTR_RETRAIN_CACHE": str(settings.cache_folder), "CTR_RETRAIN_SPOOL": str(settings.spool_folder)}
    os.environ[SERVED_BY] = str(os.getpid())  # with which they end
    if settings.metrics_folder:
        os.environ["CTR_RETRAIN_METRICS_FOLDER"] = str(settings.metrics_folder.expanduser().absolute())
    with _server(settings.local_folder):
        from prefect import Flow  # noqa: PLC0415
        from prefect.schedules import Cron  # noqa: PLC0415

        from ctr_retrain.flows.daily import daily  # noqa: PLC0415 - Prefect reads the server's address when imported

        if settings.metrics_listen:
            serve_metrics(settings.metrics_listen, rules.name, partial(look, settings))
        threading.Thread(target=_look_around_hourly, args=(settings, rules), daemon=True).start()
        assert isinstance(daily, Flow)  # since a server is named
        daily.serve(
            name=DEPLOYMENT,
            schedules=[Cron(settings.cron, timezone=settings.timezone)],
            parameters={
                # Whole paths, since scheduled runs may start in another folder.
                "recipe": str(find_recipe(settings.recipe).absolute()),
                "root": settings.store.root,
                "landing": str(settings.landing_zone),
                "wait": True,  # a night that finds a backfill at work comes after it
            },
            limit=1,  # of this process; a limit on the server can outlive a crash and block every later night
            pause_on_shutdown=False,
            print_starting_message=False,
        )


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
def _server(folder: Path) -> Iterator[None]:
    """Run a Prefect server on this machine, unless PREFECT_API_URL names one; its database lies in `folder`."""
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    home = folder / "prefect"
    with own_server(home) as url:
        os.environ |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(home)}
        sys.stderr.write(f"Prefect server: {url.removesuffix('/api')}\n")
        yield
