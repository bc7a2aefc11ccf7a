"""Label several event days as of a day: those that have no labels yet side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ctr_retrain.tasks.label.label_day import LabelledDay, is_labelled, label_day, landed_objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.orchestration.fan_out import FanOut
    from ctr_retrain.tasks.store.protocol import Store


def label_days(
    store: Store,
    recipe: Recipe,
    days: Sequence[date],
    as_of: date,
    fan_out: FanOut,
    current: Mapping[date, str] | None = None,
) -> dict[date, LabelledDay]:
    """Return the days' labels; raises DataRejectedError where a day was not ingested.

    current: see `landed_objects`; read here, once for all days, where nobody has read it yet.
    """
    current = landed_objects(store, recipe, days, as_of) if current is None else current
    work = partial(_label_on, store, recipe, as_of, current)
    unknown = [day for day in days if not is_labelled(store, recipe, day, as_of, current)]
    new = fan_out.over(unknown, "labelling", work)
    return {day: new[day] if day in new else work(day) for day in days}


def _label_on(store: Store, recipe: Recipe, as_of: date, current: Mapping[date, str], day: date) -> LabelledDay:
    return label_day(store, recipe, day, as_of, current)  # the day last, as `FanOut.over` gives it
