"""Scheduled nights: the days that a run which was due makes, what a downtime left, and the data that it waits for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.nights.night_marks import load_nights
from ctr_retrain.tasks.nights.night_signals import PAST_DAYS, newest_day
from ctr_retrain.tasks.schedule.next_run import Schedule, last_run
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES
from ctr_retrain.tasks.store.protocol import Store

log = logging.getLogger(__name__)

LATE_HOURS = 1.0  # behind its time, after which a run that is never made up for is left out
LOOK_SECONDS = 60.0  # between two looks into the landing zone


def due_days(store: Store, schedule: Schedule, due: datetime, now: datetime) -> tuple[date, ...]:
    """Return the days that a run which was due then makes, oldest first; none where it is left out.

    Raises StorageError.
    """
    day = newest_day(due)
    if schedule.catch_up == "all":
        return (*_missed_days(store, day), day)
    late = schedule.catch_up == "none" and now - due > timedelta(hours=LATE_HOURS)
    latest = last_run(schedule.cron, schedule.timezone, now)
    superseded = latest is not None and newest_day(latest) > day
    return () if late or superseded else (*_skipped_by_the_clock(schedule, due), day)


def missed_run(store: Store, schedule: Schedule, now: datetime) -> datetime | None:
    """Return when a run was due that never came to an end of its own and is to be made up for; None: nothing is.

    A root that no run ever began in has missed none. Raises StorageError.
    """
    due = last_run(schedule.cron, schedule.timezone, now)
    ended = _newest_ended(store, date.max)
    if schedule.catch_up == "none" or due is None or ended is None or newest_day(due) <= ended:
        return None
    return due


def wait_for_data(
    landing: LandingZone,
    recipe: Recipe,
    day: date,
    tell: Callable[[str], None] = log.info,
    look_seconds: float = LOOK_SECONDS,
) -> bool:
    """Wait until each stream of a day has landed, at most until its data is due; return False where something lacks.

    The run is made either way: what it is to say of a day without data it says itself.
    """
    due = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    due += timedelta(hours=recipe.alerts.data_due_hours)
    told = None
    while lacking := _lacking(landing, recipe, day):
        left = (due - datetime.now(UTC)).total_seconds()
        if left <= 0:
            return False
        if lacking != told:
            tell(f"Waiting for {lacking} of {day}, until {due:%Y-%m-%d %H:%M} UTC at most (alerts.data_due_hours).")
            told = lacking
        time.sleep(min(left, look_seconds))
    return True


def _skipped_by_the_clock(schedule: Schedule, due: datetime) -> tuple[date, ...]:
    """Return the day that the end of summer time put between two runs of a daily schedule; nearly always none.

    A run at 01:00 in Berlin is due at 23:00 UTC in summer and at 00:00 UTC in winter: on that night two days are over.
    """
    before = last_run(schedule.cron, schedule.timezone, due - timedelta(seconds=1))
    if before is None or due - before > timedelta(hours=25):
        return ()
    return day_range(newest_day(before) + timedelta(days=1), newest_day(due))[:-1]


def _missed_days(store: Store, day: date) -> tuple[date, ...]:
    """Return the days before a day that no run came to an end of its own for, since the newest that one did."""
    ended = _newest_ended(store, day)
    # A root whose newest night lies far back is one of simulated or restored days.
    if ended is None or not timedelta(0) < day - ended <= timedelta(days=PAST_DAYS):
        return ()
    return day_range(ended + timedelta(days=1), day)[:-1]


def _newest_ended(store: Store, before: date) -> date | None:
    """Return the newest day of a run that came to a verdict or whose data was rejected; None where there is none."""
    for night in load_nights(store, PAST_DAYS, before=before):
        if any(attempt.end in ("done", "rejected") for attempt in night.attempts):
            return night.day
    return None


def _lacking(landing: LandingZone, recipe: Recipe, day: date) -> str:
    """Return the streams of which nothing has landed, in words; a zone that can't be seen may be there in a minute."""
    streams = (IMPRESSIONS,) if recipe.inline_label else (IMPRESSIONS, OUTCOMES)
    try:
        return " and ".join(stream for stream in streams if landing.landed_at(stream, day) is None)
    except StorageError as error:
        return f"a look at the data ({error})"
