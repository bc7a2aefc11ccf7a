"""Stages 1 and 3 for many days at once: each is ingested and validated by itself, so they run side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import ingest_day, ingested_by
from ctr_retrain.tasks.ingest.landed_changes import landed_anew
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.validate.validate_day import is_evaluated, load_validated_day, validate_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.tasks.orchestration.fan_out import FanOut


@dataclass(frozen=True)
class DayResult:
    """The outcome of ingesting and validating a day."""

    day: date
    # skipped: nothing about it had changed. rejected: by validation. data rejected: it could not be used at all.
    outcome: Literal["ingested", "skipped", "rejected", "data rejected"]
    reason: str = ""  # why its data could not be used at all


def ingest_and_validate_days(
    store: Store, landing: LandingZone, recipe: Recipe, days: Sequence[date], now: datetime, fan_out: FanOut
) -> dict[date, DayResult]:
    """Ingest and validate days side by side. Bad data is noted and the other days go on; other errors are raised."""
    return fan_out.over(days, "ingesting", partial(ingest_and_validate, store, landing, recipe, now))


def ingest_and_validate(store: Store, landing: LandingZone, recipe: Recipe, now: datetime, day: date) -> DayResult:
    """Ingest and validate a day. Files and bounds that were seen before cost nothing."""
    before = load_validated_day(store, day)
    try:
        ingest_day(store, landing, recipe, day, now)
        validated = validate_day(store, recipe, day, now)
    except DataRejectedError as error:
        return DayResult(day, "data rejected", str(error))
    if not validated.accepted:
        return DayResult(day, "rejected")
    return DayResult(day, "skipped" if validated == before else "ingested")


def catch_up(
    store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime, fan_out: FanOut
) -> dict[str, str]:
    """Ingest the days before `day` that its run may read and that nobody has looked at yet; validate them all.

    Days whose landed files have changed since are ingested again, and so are those that another recipe read otherwise;
    other bounds judge anew, save what was accepted by hand. Returns the days that could not be ingested, and why: a
    missed night is made good, a bad one is left out.
    """
    earlier_days = plan_days(day, recipe).all_days[:-1]
    work, landed = partial(_catch_up_on, store, landing, recipe, now), set(landing.days("impressions"))
    unread = [  # these take long and run side by side; for the others there is little to do
        earlier
        for earlier in earlier_days
        if str(earlier) in landed
        and not (_is_read(store, landing, recipe, earlier) and is_evaluated(store, recipe, earlier))
    ]
    problems = fan_out.over(unread, "ingesting earlier days", work)
    problems |= {earlier: work(earlier) for earlier in earlier_days if earlier not in problems}
    return {str(earlier): problem for earlier, problem in problems.items() if problem}


def _catch_up_on(store: Store, landing: LandingZone, recipe: Recipe, now: datetime, day: date) -> str:
    """Ingest an earlier day unless that was done, validate it by today's bounds; return its problem, or nothing."""
    try:
        if not _is_read(store, landing, recipe, day):
            ingest_day(store, landing, recipe, day, now)
        validate_day(store, recipe, day, now)  # what other bounds said before is kept
    except DataRejectedError as error:
        return str(error)
    return ""


def _is_read(store: Store, landing: LandingZone, recipe: Recipe, day: date) -> bool:
    """Return True if the day was ingested as the recipe reads it, from the very files that lie there."""
    return ingested_by(store, day, recipe) and not landed_anew(store, landing, recipe, day)
