"""Which landed days make up the labels of an event day, as of a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.maturity import final_age

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe

LABEL_FORMAT = 4  # of a label object; another number makes all of them anew


def impression_landings(event_day: date, as_of: date, recipe: Recipe) -> tuple[date, ...]:
    """Landing days that may hold impressions of an event day."""
    return day_range(event_day, min(as_of, event_day + timedelta(days=recipe.landing.late_days)))


def earlier_landings(event_day: date, recipe: Recipe) -> tuple[date, ...]:
    """Landing days before an event day that may hold its events under another time, which count there and then."""
    return day_range(event_day - timedelta(days=recipe.landing.late_days), event_day - timedelta(days=1))


def outcome_landings(event_day: date, as_of: date, recipe: Recipe) -> tuple[date, ...]:
    """Landing days that may hold outcomes that count for an event day, grace included."""
    if recipe.inline_label:
        return ()
    return day_range(event_day, min(as_of, event_day + timedelta(days=_outcome_days(recipe))))


def final_age_days(recipe: Recipe) -> int:
    """The age, in whole days after the event day, from which on nothing of the day changes, neither rows nor labels."""
    return max(_outcome_days(recipe), recipe.landing.late_days)


def _outcome_days(recipe: Recipe) -> int:
    if recipe.inline_label:
        return 0
    return max(final_age(recipe, name, kind) for name, c in recipe.channels.items() for kind in c.windows_hours)


def label_definition(recipe: Recipe) -> dict[str, Any]:
    """What a label depends on beside the data; part of a label object's key."""
    return {
        "layout": LABEL_FORMAT,
        "channels": {name: c.windows_hours for name, c in recipe.channels.items()},
        "positive": {name: c.positive_kind for name, c in recipe.channels.items()},
        "inline": recipe.landing.columns.label,
        "late_days": recipe.landing.late_days,
        "grace_days": recipe.landing.grace_days,
    }
