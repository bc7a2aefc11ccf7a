"""Champions that the days of a backfill meet: by what is in service, and where days before may bring another.

A past day's model takes over only if neither its data nor its run day is older than the champion's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import plan_days

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.store.champion import Champions


@dataclass(frozen=True)
class Opponent:
    """The champion that a day's challenger would meet."""

    version: str | None  # by what is in service now; None where no model is
    may_follow: date | None = None  # the first day before it whose run may bring another; None where none may


def opponents_of(champions: Champions, recipe: Recipe, days: Iterable[date], *, shadow: bool) -> dict[date, Opponent]:
    """Say whom the days that are to train would meet; they train in order.

    shadow: nothing is put into service, so that no day brings another champion.
    """
    found: dict[date, Opponent] = {}
    first: date | None = None  # of the days so far, that may bring another
    for day in sorted(days):
        met = champions.opponents(day)[-1]
        found[day] = Opponent(met.version if met else None, first)
        if first is None and not shadow and _may_take_over(champions, recipe, day):
            first = day
    return found


def _may_take_over(champions: Champions, recipe: Recipe, day: date) -> bool:
    """Say whether a model of a day would be young enough to take the place of what is in service."""
    current = champions.current
    return current is None or (plan_days(day, recipe).cut, day) >= (current.data_through, current.run_day)
