"""Label several event days as of a day: those that have no labels yet side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ctr_retrain.tasks.label.label_day import LabelledDay, is_labelled, label_day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.orchestration.fan_out import FanOut
    from ctr_retrain.tasks.store.protocol import Store


def label_days(
    store: Store, recipe: Recipe, days: Sequence[date], as_of: date, fan_out: FanOut
) -> dict[date, LabelledDay]:
    """Return the days' labels; raises DataRejectedError where a day was not ingested."""
    work = partial(_label_on, store, recipe, as_of)
    new = fan_out.over([day for day in days if not is_labelled(store, recipe, day, as_of)], "labelling", work)
    return {day: new[day] if day in new else work(day) for day in days}


def _label_on(store: Store, recipe: Recipe, as_of: date, day: date) -> LabelledDay:
    return label_day(store, recipe, day, as_of)  # the day last, as `FanOut.over` gives it
