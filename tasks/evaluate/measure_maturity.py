"""How ripe labels are: F from the run's mature days, the young days' ratios corrected by it, and today's outcomes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.maturity import correct_ratio, estimate_maturity, final_age
from ctr_retrain.models.documents.maturity_documents import ImmatureRatio, Maturity
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.label.label_day import count_young_day
from ctr_retrain.tasks.label.outcome_accounting import account_outcomes
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.layout import ARRIVALS_FILE, MATURITY_FILE
from ctr_retrain.tasks.store.protocol import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure_maturity(store: Store, recipe: Recipe, plan: RunPlan, folder: Path) -> None:
    """Write maturity.json into the run's folder: maturity, the young days' ratios, what became of the day's outcomes.

    Nothing of it is gated. An inline label is final at once, and there is nothing to write.
    """
    if not recipe.kinds:
        return
    curves = {pair: _estimate(store, recipe, plan, *pair) for pair in _pairs(recipe)}
    young = list(_young_ratios(store, recipe, plan, curves, folder))
    content = {
        "curves": [curve.to_json() for curve in curves.values() if curve is not None],
        "young": [ratio.to_json() for ratio in young],
        "outcomes": account_outcomes(store, recipe, plan.day, plan.day, folder),
    }
    (folder / MATURITY_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _pairs(recipe: Recipe) -> list[tuple[str, str]]:
    return [(name, kind) for name, channel in recipe.channels.items() for kind in channel.windows_hours]


def _estimate(store: Store, recipe: Recipe, plan: RunPlan, channel: str, kind: str) -> Maturity | None:
    """F from those of the run's days whose labels of this channel and kind are final."""
    final = final_age(recipe, channel, kind)
    paths = [day.path for day in (*plan.train, *plan.validate) if (plan.day - day.day).days >= final]
    files = [file for path in paths if (file := store.file(path, ARRIVALS_FILE)) is not None]
    return estimate_maturity([pq.read_table(file) for file in files], recipe, channel, kind)


def _young_ratios(
    store: Store, recipe: Recipe, plan: RunPlan, curves: dict[tuple[str, str], Maturity | None], scratch: Path
) -> Iterator[ImmatureRatio]:
    """The days after V, oldest first, each by channel and kind."""
    for day, arrivals in _young_days(store, recipe, plan, scratch):
        age = (plan.day - day).days
        for (channel, kind), curve in curves.items():
            if age < final_age(recipe, channel, kind):
                yield correct_ratio(arrivals, curve, channel, kind, day, age)


def _young_days(store: Store, recipe: Recipe, plan: RunPlan, scratch: Path) -> Iterator[tuple[date, pa.Table]]:
    for day in day_range(plan.days.validate[-1], plan.day)[1:]:
        arrivals = count_young_day(store, recipe, day, plan.day, scratch)
        if arrivals is not None:
            yield day, arrivals
