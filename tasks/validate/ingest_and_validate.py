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
from ctr_retrain.tasks.ingest.ingest_day import ingest_day, ingested_by
from ctr_retrain.tasks.ingest.landed_changes import landed_anew
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, has_ref
from ctr_retrain.tasks.validate.validate_day import is_evaluated, load_validated_day, validate_day

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
    store: Store, landing: LandingZone, recipe: Recipe, days: Sequence[date], now: datetime, fan_out: FanOut
) -> dict[date, DayResult]:
    """Ingest days side by side, then validate them. A day that fails is noted, and the other days go on.

    Files and bounds that were seen before cost nothing.
    """
    failed = fan_out.over(days, "ingesting", partial(_ingest, store, landing, recipe, now))
    # Not each right behind its ingest: a day is held against the days before it, whichever of them came in first.
    ingested = [day for day in days if failed[day] is None]
    validated = fan_out.over(ingested, "validating", partial(_validate, store, recipe, now))
    return {day: failed[day] or validated[day] for day in days}


def _ingest(store: Store, landing: LandingZone, recipe: Recipe, now: datetime, day: date) -> DayResult | None:
    """Ingest a day; return its result where it failed."""
    try:
        ingest_day(store, landing, recipe, day, now)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other days go on
        return result_of_error(store, day, error)
    return None


def _validate(store: Store, recipe: Recipe, now: datetime, day: date) -> DayResult:
    """Validate a day that is ingested."""
    try:
        before = load_validated_day(store, day)  # none where the day was ingested anew
        validated = validate_day(store, recipe, day, now)
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
    unread = frozenset(
        earlier
        for earlier in earlier_days
        if not ingested_by(store, earlier, recipe)
        or (str(earlier) in landed and landed_anew(store, landing, recipe, earlier))
    )
    work = partial(_catch_up_on, store, landing, recipe, now, unread)
    slow = [  # these take long and run side by side; for the others there is little to do
        earlier
        for earlier in earlier_days
        if str(earlier) in landed and (earlier in unread or not is_evaluated(store, recipe, earlier))
    ]
    problems = fan_out.over(slow, "ingesting earlier days", work)
    problems |= {earlier: work(earlier) for earlier in earlier_days if earlier not in problems}
    return {str(earlier): why for earlier, why in problems.items() if why}


def _catch_up_on(
    store: Store, landing: LandingZone, recipe: Recipe, now: datetime, unread: Collection[date], day: date
) -> str:
    """Ingest an earlier day if it is unread, validate it by today's bounds; return its problem, or nothing."""
    try:
        if day in unread:
            ingest_day(store, landing, recipe, day, now)
        validate_day(store, recipe, day, now)  # what other bounds said before is kept
    except DataRejectedError as error:
        return str(error)
    return ""
