"""The sizes of a backfill's runs, by which their times go: the bytes that landed on the days that each trains on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.tasks.backfill.plan_backfill import look_at_days
from ctr_retrain.tasks.nights.usual_seconds import landed_bytes
from ctr_retrain.tasks.validate.validate_day import load_decision

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import date

    from ctr_retrain.models.documents.command_documents import PlannedDay
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone
    from ctr_retrain.tasks.store.protocol import Store


def run_sizes(
    store: Store, landing: LandingZone, recipe: Recipe, days: Sequence[date], unread: Collection[date] = ()
) -> list[float]:
    """Return the size of each day's run; 0 of one that can't train, since its data or its whole window is missing.

    unread: days whose files are to be ingested by then. Raises StorageError.
    """
    looked: dict[date, float] = {}

    def bytes_of(day: date) -> float:
        if day not in looked:
            decision = None if day in unread else load_decision(store, day)
            size = landed_bytes(landing, day)
            if decision is not None:
                # What was cleaned away in the landing zone is still read from the root.
                size = max(1, size) if decision.accepted else 0
            looked[day] = float(size)
        return looked[day]

    return [_size(recipe, day, bytes_of) for day in days]


def sizes_by_now(
    store: Store, landing: LandingZone, recipe: Recipe, due: Sequence[PlannedDay], *, shadow: bool
) -> list[float]:
    """Return the sizes of the runs of days whose data is ready; 0 also of those that will be found as they are.

    That happens where files were touched, or put back as they were.
    """
    days, found = [one.date for one in due], []
    if restated := [one.date for one in due if one.reason == "restated"]:
        again = look_at_days(store, landing, recipe, restated, restated, datetime.now(UTC), shadow=shadow)
        found = [one.date for one in again.days if one.reason == "finished"]
    sizes = run_sizes(store, landing, recipe, days)
    return [0.0 if day in found else size for day, size in zip(days, sizes, strict=True)]


def _size(recipe: Recipe, day: date, bytes_of: Callable[[date], float]) -> float:
    """Return the size of one day's run."""
    planned = plan_days(day, recipe)
    trained, judged = (_total(part, bytes_of) for part in (planned.train, planned.validate))
    return trained if trained and judged and bytes_of(day) else 0.0


def _total(days: Iterable[date], bytes_of: Callable[[date], float]) -> float:
    return sum(bytes_of(day) for day in days)
