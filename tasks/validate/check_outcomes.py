"""Check whether the outcomes of each landing day are complete, and look again at days that were not.

A file that is late lands under its own day after that day was ingested: the day is then ingested once more.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ctr_retrain.models.data.completeness import Arrived, Completeness, Shortfall, arrived, find_shortfalls
from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.data.label_landings import final_age_days
from ctr_retrain.models.data.late_outcomes import LATE_KINDS, late_signals, shortfall_sentence
from ctr_retrain.models.documents.maturity_documents import IncompleteDay
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import current_day_object, ingest_day
from ctr_retrain.tasks.label.label_day import count_young_day, landed_objects
from ctr_retrain.tasks.label.label_days import label_days
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.store.layout import ARRIVALS_FILE
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.validate.day_counts import load_counted_day
from ctr_retrain.tasks.validate.ingest_and_validate import validate_again
from ctr_retrain.tasks.validate.validate_day import load_decision, validate_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa


@dataclass(frozen=True)
class OutcomeCheck:
    """Completeness of the outcomes that landed on the days that a run looks at, its own last."""

    completeness: Completeness
    incomplete: tuple[IncompleteDay, ...]  # the days that are not complete, as documents hold them
    signals: tuple[Signal, ...]  # of these, for people
    looked_at: tuple[SignalKind, ...] = LATE_KINDS  # kinds of signals that there would be; none where labels are inline


def check_outcomes(
    store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime, fan_out: FanOut
) -> OutcomeCheck:
    """Compare the outcomes of each landing day through `day` with what its volume and maturity let one expect.

    Earlier days that are incomplete, or that validation rejected, are looked at again in the landing zone. Nothing is
    found where labels stand in the impressions, and nothing of the first days, which have no history.
    """
    if not recipe.kinds:
        return OutcomeCheck(Completeness(), (), (), looked_at=())
    found = _complete(store, recipe, day, fan_out)
    suspect = {short.day for short in found.shortfalls} | set(_rejected(store, recipe, day))
    if _ingest_again(store, landing, recipe, now, sorted(suspect - {day})):
        there = [one for one in plan_days(day, recipe).all_days[:-1] if current_day_object(store, one)]
        validate_again(store, recipe, there, now, fan_out)  # days are held against those before them
        found = _complete(store, recipe, day, fan_out)
    incomplete = tuple(_describe(short, recipe, day) for short in found.shortfalls)
    return OutcomeCheck(found, incomplete, late_signals(incomplete, tuple(recipe.channels)))


def _complete(store: Store, recipe: Recipe, day: date, fan_out: FanOut) -> Completeness:
    """Judge the landing days from the first one that was ingested, by what is stored of them."""
    planned = plan_days(day, recipe).all_days
    current = landed_objects(store, recipe, planned, day)
    ingested = [one for one in planned if one in current]
    accepted = [one for one in ingested if _accepted(store, one)]
    tables = _arrivals(store, recipe, current, ingested, accepted, day, fan_out)
    pairs = {(name, kind): age for name, ages in recipe.final_ages.items() for kind, age in ages.items()}
    arrivals: dict[tuple[str, str], Sequence[Arrived]] = {
        pair: [arrived(table, event_day, *pair, age) for event_day, table in tables.items()]
        for pair, age in pairs.items()
    }
    counted = {one: load_counted_day(store, one, current[one]) for one in ingested}
    slices = {one: counts.slices for one, counts in counted.items() if counts}
    judged = [one for one in planned if ingested and one >= ingested[0]]
    return find_shortfalls(arrivals, slices, judged, accepted, recipe.drift.min_history_days)


def _arrivals(
    store: Store,
    recipe: Recipe,
    current: Mapping[date, str],
    days: Sequence[date],
    accepted: Sequence[date],
    as_of: date,
    fan_out: FanOut,
) -> dict[date, pa.Table]:
    """Return each event day's arrivals: of labels that are final and that training may read, else counted for this."""
    final = [one for one in accepted if (as_of - one).days >= final_age_days(recipe)]
    labelled = label_days(store, recipe, final, as_of, fan_out, current)
    found: dict[date, pa.Table] = {}
    with tempfile.TemporaryDirectory() as folder:
        for one in days:
            file = store.file(labelled[one].path, ARRIVALS_FILE) if one in labelled else None
            table = pq.read_table(file) if file else count_young_day(store, recipe, one, as_of, Path(folder), current)
            if table is not None:
                found[one] = table
    return found


def _ingest_again(store: Store, landing: LandingZone, recipe: Recipe, now: datetime, days: Iterable[date]) -> bool:
    """Ingest and validate days whose landing files may have changed; return whether those of any have."""
    before = {one: current_day_object(store, one) for one in days}
    for one in before:
        with suppress(DataRejectedError):  # bad data leaves the day as it was; other errors are the run's
            ingest_day(store, landing, recipe, one, now)
            validate_day(store, recipe, one, now)
    return any(current_day_object(store, one) != path for one, path in before.items())


def _accepted(store: Store, day: date) -> bool:
    """Return True if a day's data is accepted."""
    decision = load_decision(store, day)
    return decision is not None and decision.accepted


def _rejected(store: Store, recipe: Recipe, day: date) -> list[date]:
    """Return the days before that validation rejected, of those that a run for `day` looks at."""
    decided = {one: load_decision(store, one) for one in plan_days(day, recipe).all_days}
    return [one for one, found in decided.items() if found is not None and not found.accepted]


def _describe(short: Shortfall, recipe: Recipe, day: date) -> IncompleteDay:
    """Describe an incomplete landing day as of a run's day."""
    due = short.day + timedelta(days=recipe.landing.grace_days)
    channels, kinds = (sorted({pair[part] for pair in short.pairs}) for part in (0, 1))
    return IncompleteDay(
        day=short.day,
        channels=tuple(channels),
        kinds=tuple(kinds),
        expected=short.landing.expected,
        received=short.landing.received,
        z=short.landing.z,
        due=due,
        overdue=day > due,
        message=shortfall_sentence(short),
    )
