"""Label maturity of a run: measured on mature days, applied to the ratios of immature ones.

Maturity is the share of an impression's eventual positives that have landed at a given age.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.maturity import correct_ratio, estimate_maturity, final_age
from ctr_retrain.models.documents.maturity_documents import ImmatureRatio, Maturity, MaturityDocument
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.label.label_day import count_young_day, landed_objects
from ctr_retrain.tasks.label.outcome_accounting import account_outcomes
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import ARRIVALS_FILE, MATURITY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure_maturity(run: Run) -> None:
    """Write maturity.json: maturity, the immature days' ratios corrected by it, and what became of the day's outcomes.

    The gate reads nothing of it. Labels that landed within the impressions are final at once; nothing is written then.
    """
    recipe, day = run.recipe, run.plan.day
    if not recipe.kinds:  # labels stand in the impressions
        return
    curves = {pair: _estimate(run, *pair) for pair in _pairs(recipe)}
    document = MaturityDocument(
        curves=tuple(curve for curve in curves.values() if curve is not None),
        immature=tuple(_immature_ratios(run, curves)),
        outcomes=account_outcomes(run.store, recipe, day, day, run.folder),
    )
    document.write(run.folder / MATURITY_FILE)


def _pairs(recipe: Recipe) -> list[tuple[str, str]]:
    """Return each channel with each kind of outcome that it waits for: windows differ, and so does maturity."""
    return [(name, kind) for name, channel in recipe.channels.items() for kind in channel.windows_hours]


def _estimate(run: Run, channel: str, kind: str) -> Maturity | None:
    """Estimate maturity from those of the run's days whose labels of this channel and kind are final and complete."""
    final, as_of = final_age(run.recipe, channel, kind), run.plan.day
    # Only where labels are final is the eventual number of positives known, of which maturity is the share; and where a
    # file came late or not at all, the share says nothing of other days.
    days = [
        day
        for day in (*run.plan.train, *run.plan.validate)
        if not run.plan.completeness.lacking(day.day, channel, kind, as_of)
    ]
    paths = [day.path for day in days if (as_of - day.day).days >= final]
    files = [file for path in paths if (file := run.store.file(path, ARRIVALS_FILE)) is not None]
    return estimate_maturity([pq.read_table(file) for file in files], channel, kind, final)


def _immature_ratios(run: Run, curves: dict[tuple[str, str], Maturity | None]) -> Iterator[ImmatureRatio]:
    """Correct the ratios of the days after the validation days, oldest first, each by channel and kind."""
    for day, arrivals in _immature_days(run):
        age = (run.plan.day - day).days
        for (channel, kind), curve in curves.items():
            if age < final_age(run.recipe, channel, kind):
                lacking = run.plan.completeness.lacking(day, channel, kind, run.plan.day)
                yield correct_ratio(arrivals, curve, channel, kind, day, age, lacking)


def _immature_days(run: Run) -> Iterator[tuple[date, pa.Table]]:
    """Yield each ingested day after the validation days, up to the run's own, with its arrivals as of the run's day."""
    # Their labels change until they are final, so they are counted here and not published as objects.
    young = day_range(run.plan.days.validate[-1], run.plan.day)[1:]
    current = landed_objects(run.store, run.recipe, young, run.plan.day)
    for day in young:
        arrivals = count_young_day(run.store, run.recipe, day, run.plan.day, run.folder, current)
        if arrivals is not None:
            yield day, arrivals
