"""The schedule's next run and its last one, by the library that Prefect reads schedules with, and without Prefect."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ctr_retrain.models.errors import StorageError, UsageError

# What is made up for after a downtime: the newest day, each that was missed, in order, or none.
CatchUp = Literal["latest", "all", "none"]

CRON_EXPECTED = "a cron expression of five fields such as 0 4 * * *"

_NAME = "ctr_retrain_croniter"  # under which our copy of the module is imported


@dataclass(frozen=True)
class Schedule:
    """The schedule of nights, and what is made up for where they could not happen."""

    cron: str
    timezone: str
    catch_up: CatchUp


def next_run(cron: str, timezone: str, now: datetime | None = None) -> datetime:
    """Return when a schedule's next run is due, in its time zone; now: by default this machine's clock.

    Raises UsageError where Prefect reads no schedule there, or one of days that there aren't, such as 31 February.
    """
    zone = ZoneInfo(timezone)
    due = _by_the_wall(cron, (now or datetime.now(UTC)).astimezone(zone).replace(tzinfo=None))
    if due is None:
        msg = f"CTR_RETRAIN_CRON: expected {CRON_EXPECTED}, and days that there are, received {cron!r}"
        raise UsageError(msg)
    return _existing(due, zone)


def last_run(cron: str, timezone: str, now: datetime) -> datetime | None:
    """Return when a schedule's last run was due, in its time zone; None where it never was."""
    zone = ZoneInfo(timezone)
    wall = now.astimezone(zone).replace(tzinfo=None) + timedelta(seconds=1)  # a run that is due now is the last one
    while (due := _by_the_wall(cron, wall, back=True)) is not None:
        # A time that summer time skips comes an hour later, which may not have come yet.
        if (found := _existing(due, zone)) <= now:
            return found
        wall = due
    return None


def _by_the_wall(expression: str, moment: datetime, *, back: bool = False) -> datetime | None:
    """Return the next time by a wall clock, as Prefect does, since croniter's own summer time is another; None: none.

    Prefect knows no expressions of chance: R and H stand for a random minute. back: the last time before the moment.
    """
    cron = _croniter()
    if re.search(r"\b[RH]\b", expression, re.IGNORECASE) or not cron.is_valid(expression):
        return None
    try:
        times = cron(expression, moment)
        due: datetime = times.get_prev(datetime) if back else times.get_next(datetime)
    except ValueError:  # croniter's errors are of this kind: there are no such days
        return None
    return due


def _existing(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a wall clock shows; one that summer time skips comes an hour later, as it does there."""
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)


@cache
def _croniter() -> Any:
    """Load croniter from where Prefect keeps its copy. To import Prefect around it takes two seconds."""
    found = importlib.util.find_spec("prefect")
    folder = Path(found.origin).parent / "_vendor" / "croniter" if found and found.origin else None
    file = folder / "__init__.py" if folder else None
    if folder is None or file is None or not file.is_file():
        msg = f"Prefect: expected its croniter at {file}, received none. Install the locked version again."
        raise StorageError(msg)
    spec = importlib.util.spec_from_file_location(_NAME, file, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module  # before it is run: it imports its own parts by this name
    spec.loader.exec_module(module)
    return module.croniter
