"""The status of a root with what this machine knows: the schedule's next run, its disk, the server that it names."""

from __future__ import annotations

import shutil
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.models.incidents.status_answer import DiskSpace, NextRun, Problem, ServerState, StatusAnswer
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.execution.web_request import REQUEST_ERRORS, failure_of, public_address, request_to
from ctr_retrain.tasks.nights.night_signals import newest_day
from ctr_retrain.tasks.observe.describe_status import describe_status
from ctr_retrain.tasks.orchestration.prefect_server import named_server
from ctr_retrain.tasks.schedule.next_run import next_run

if TYPE_CHECKING:
    from ctr_retrain.flows.settings import Settings

MIN_FREE_GIB = 5  # free where objects, or the cache of a bucket, are written
SERVER_SECONDS = 1.0  # that the named server may take to answer: a look must not wait for what is down


def look(settings: Settings, now: datetime | None = None) -> StatusAnswer:
    """Describe a root and what this machine has to do with it, at once. Raises StorageError for the root alone.

    now: by default this machine's clock.
    """
    now = now or datetime.now(UTC)
    with ThreadPool(1) as pool:  # a server that hangs and a bucket that is far don't add up
        asked = pool.submit(server_state, named_server())
        status = describe_status(settings.hurried()[0], now)
        server = asked.result()
    disk, due, wrong = disk_space(settings.local_folder), None, []
    try:
        due = next_run(settings.cron, settings.timezone, now)
    except (UsageError, StorageError) as error:
        wrong.append(Problem(message=str(error), command="ctr-retrain doctor"))
    if disk.low:
        message = f"The disk of {disk.folder} has {disk.free_gib:.1f} GiB left; expected {MIN_FREE_GIB} or more."
        wrong.append(Problem(message=message, command="ctr-retrain gc"))
    if server and not server.answers:
        wrong.append(Problem(message=server.message, command="ctr-retrain doctor"))
    update = {
        "next_run": NextRun(at=due.isoformat(), day=newest_day(due)) if due else None,
        "disk": disk,
        "server": server,
        "problems": (*status.problems, *wrong),
    }
    return status.model_copy(update=update)


def disk_space(folder: Path) -> DiskSpace:
    """Measure the room where a folder is, or will be: a new root has none yet."""
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / 2**30
    return DiskSpace(folder=str(folder), free_gib=round(free, 2), low=free < MIN_FREE_GIB)


def server_state(url: str | None) -> ServerState | None:
    """Ask the Prefect server that is named; None where none is: a run then does without."""
    if not url:
        return None
    shown = public_address(url)
    try:
        with urllib.request.urlopen(request_to(f"{url}/health"), timeout=SERVER_SECONDS):  # noqa: S310 - the user's own
            return ServerState(address=shown, answers=True, message=f"the Prefect server {shown} answers")
    except REQUEST_ERRORS as error:
        message = (
            f"PREFECT_API_URL {shown}: expected an answer within {SERVER_SECONDS:g} s, received: {failure_of(error)}. "
            "Start that server or unset it."
        )
        return ServerState(address=shown, answers=False, message=message)
