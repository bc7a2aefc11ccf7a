"""Which landed days make up the labels of an event day, as of a day."""

from __future__ import annotations

from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from models.days import day_range

if TYPE_CHECKING:
    from models.recipe import Recipe


def impression_landings(event_day: date, as_of: date, recipe: Recipe) -> tuple[date, ...]:
    """Landing days that may hold impressions of an event day."""
    return day_range(event_day, min(as_of, event_day + timedelta(days=recipe.landing.late_days)))


def outcome_landings(event_day: date, as_of: date, recipe: Recipe) -> tuple[date, ...]:
    """Landing days that may hold outcomes that count for an event day, grace included."""
    if recipe.inline_label:
        return ()
    window = max(ceil(channel.attribution_window_hours / 24) for channel in recipe.channels.values())
    return day_range(event_day, min(as_of, event_day + timedelta(days=window + recipe.landing.grace_days)))


def label_definition(recipe: Recipe) -> dict[str, Any]:
    """What a label depends on beside the data; part of a label object's key."""
    return {
        "channels": {name: [c.positive_kind, c.attribution_window_hours] for name, c in recipe.channels.items()},
        "inline": recipe.landing.columns.label,
        "late_days": recipe.landing.late_days,
        "grace_days": recipe.landing.grace_days,
    }
