"""Stages 1 and 3 for many days at once: each is ingested and validated by itself, so they run side by side."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.errors import BusyError, CtrRetrainError, DataRejectedError, UsageError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution.shown_logs import note_traceback
from ctr_retrain.tasks.ingest.ingest_day import ingest_day, ingested_by
from ctr_retrain.tasks.ingest.landed_changes import landed_anew
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, has_ref
from ctr_retrain.tasks.validate.earlier_shares import EarlierShares, read_earlier_shares
from ctr_retrain.tasks.validate.validate_day import (
    is_evaluated,
    is_settled,
    load_decision,
    load_validated_day,
    validate_day,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ctr_retrain.tasks.orchestration.fan_out import FanOut

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DayResult:
    """The outcome of ingesting and validating a day."""

    day: date
    # skipped: nothing about it had changed. rejected: by validation. data rejected: it could not be used at all.
    # failed: of an error that says nothing about the data.
    outcome: Literal["ingested", "skipped", "rejected", "data rejected", "failed"]
    reason: str = ""  # why its data could not be used at all, or the error


def ingest_and_validate_days(
    store: Store,
    landing: LandingZone,
    recipe: Recipe,
    days: Sequence[date],
    now: datetime,
    fan_out: FanOut,
    beside: Collection[date] = (),
) -> dict[date, DayResult]:
    """Ingest days side by side, then validate them. A day that fails is noted, and the other days go on.

    Files and bounds that were seen before cost nothing. beside: days whose data stays; those that are held against
    what came in by now are validated anew, and have a result where they aren't accepted.
    """
    failed = fan_out.over(days, "ingesting", partial(_ingest, store, landing, recipe, now))
    # Not each right behind its ingest: a day is held against the days before it, whichever of them came in first.
    ingested = [day for day in days if failed[day] is None]
    judged = [day for day in beside if day not in failed and load_decision(store, day)]
    earlier = read_earlier_shares(store, recipe, [*ingested, *judged])
    moved = [day for day in judged if not is_evaluated(store, recipe, day, earlier)]
    validated = fan_out.over([*ingested, *moved], "validating", partial(_validate, store, recipe, now, earlier))
    results = {day: failed[day] or validated[day] for day in days}
    return results | {day: validated[day] for day in moved if validated[day].outcome not in ("ingested", "skipped")}


def _ingest(store: Store, landing: LandingZone, recipe: Recipe, now: datetime, day: date) -> DayResult | None:
    """Ingest a day; return its result where it failed."""
    try:
        ingest_day(store, landing, recipe, day, now)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other days go on
        return result_of_error(store, day, error)
    return None


def _validate(store: Store, recipe: Recipe, now: datetime, earlier: EarlierShares, day: date) -> DayResult:
    """Validate a day that is ingested."""
    try:
        before = load_validated_day(store, day)  # none where the day was ingested anew
        validated = validate_day(store, recipe, day, now, earlier)
    except Exception as error:  # noqa: BLE001 - likewise
        return result_of_error(store, day, error)
    if not validated.accepted:
        return DayResult(day, "rejected")
    return DayResult(day, "skipped" if validated == before else "ingested")


def result_of_error(store: Store, day: date, error: Exception) -> DayResult:
    """Return the result of a day that an error ended.

    Raises the error where it is not that day's alone: wrong use, and a root that the run has lost.
    """
    if isinstance(error, DataRejectedError):
        return DayResult(day, "data rejected", str(error))
    if isinstance(error, UsageError):
        raise error
    if isinstance(error, BusyError):
        has_ref(store, layout.day_ref(day))  # raises where the root is lost: every later day would end likewise
    elif file := note_traceback(error):
        log.error("%s failed; its traceback is in %s", day, file)
    else:
        log.error("%s failed", day, exc_info=error)
    first = (str(error).splitlines() or [""])[0]
    return DayResult(day, "failed", first if isinstance(error, CtrRetrainError) else f"{type(error).__name__}: {first}")


def catch_up(
    store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime, fan_out: FanOut
) -> dict[str, str]:
    """Ingest the days before `day` that its run may read and that nobody has looked at yet; validate them all.

    Days whose landed files have changed since are ingested again, and so are those that another recipe read otherwise;
    other bounds judge anew, save what was accepted by hand. Returns the days that could not be ingested, and why: a
    missed night is made good, a bad one is left out.
    """
    earlier_days = plan_days(day, recipe).all_days[:-1]
    landed = set(landing.days("impressions"))
    unread = [
        earlier
        for earlier in earlier_days
        if not ingested_by(store, earlier, recipe)
        or (str(earlier) in landed and landed_anew(store, landing, recipe, earlier))
    ]
    slow = [earlier for earlier in unread if str(earlier) in landed]  # these take long and run side by side
    ingest = partial(_catch_up_on, store, landing, recipe, now)
    problems = fan_out.over(slow, "ingesting earlier days", ingest)
    problems |= {earlier: ingest(earlier) for earlier in unread if earlier not in problems}
    there = [earlier for earlier in earlier_days if not problems.get(earlier)]
    problems |= validate_again(store, recipe, there, now, fan_out)
    return {str(earlier): problems[earlier] for earlier in sorted(problems) if problems[earlier]}


def validate_again(
    store: Store, recipe: Recipe, days: Sequence[date], now: datetime, fan_out: FanOut
) -> dict[date, str]:
    """Validate days that are ingested by today's bounds, which follow from the days before them too.

    Returns the problem of each day, or nothing. What was said by other bounds is kept.
    """
    earlier = read_earlier_shares(store, recipe, days)
    open_days = [day for day in days if not is_settled(store, recipe, day, earlier)]
    return fan_out.over(open_days, "validating earlier days", partial(_validate_again, store, recipe, now, earlier))


def _catch_up_on(store: Store, landing: LandingZone, recipe: Recipe, now: datetime, day: date) -> str:
    """Ingest an earlier day; return its problem, or nothing."""
    return _problem_of(lambda: ingest_day(store, landing, recipe, day, now))


def _validate_again(store: Store, recipe: Recipe, now: datetime, earlier: EarlierShares, day: date) -> str:
    """Validate an earlier day; return its problem, or nothing."""
    return _problem_of(lambda: validate_day(store, recipe, day, now, earlier))


def _problem_of(work: Callable[[], object]) -> str:
    """Do the work on a day; return why its data can't be used, or nothing."""
    try:
        work()
    except DataRejectedError as error:
        return str(error)
    return ""
