"""The landed days that make up the labels of an event day, as of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.maturity import final_age

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctr_retrain.models.recipe.recipe import Recipe

LABEL_FORMAT = 5  # of a label object; part of its key, so another number makes all of them anew
# Which rows a label object has, and in which order; part of an encoded day's key, since the two are read side by side.
ROWS_FORMAT = 4


@dataclass(frozen=True)
class LabelDefinition:
    """All that a label depends on beside the data.

    It is part of a label object's key, its fields' names too: with others all labels would be made anew.
    """

    layout: int
    channels: Mapping[str, Mapping[str, float]]  # channel → kind of outcome → its attribution window in hours
    positive: Mapping[str, str]  # channel → the kind that its label is of
    inline: str  # the column that holds the label; empty where labels come from the outcomes
    late_days: int
    grace_days: int


def impression_landings(event_day: date, as_of: date, recipe: Recipe) -> tuple[date, ...]:
    """Return the landing days that may hold impressions of an event day, through `as_of`."""
    first = event_day - timedelta(days=recipe.landing.most_days_early)
    return day_range(first, min(as_of, event_day + timedelta(days=recipe.landing.most_days_late)))


def earlier_landings(event_day: date, recipe: Recipe) -> tuple[date, ...]:
    """Return the landing days before an event day that may hold an event of it under another time.

    Such an event counts where it landed first, and not again on this day.
    """
    first = event_day - timedelta(days=recipe.landing.most_days_early)
    return day_range(first - timedelta(days=recipe.landing.most_days_late), first - timedelta(days=1))


def outcome_landings(event_day: date, as_of: date, recipe: Recipe) -> tuple[date, ...]:
    """Return the landing days that may hold outcomes that count for an event day, grace included, through `as_of`."""
    if recipe.inline_label:
        return ()
    first = event_day - timedelta(days=recipe.landing.most_days_early)
    return day_range(first, min(as_of, event_day + timedelta(days=_outcome_days(recipe))))


def final_age_days(recipe: Recipe) -> int:
    """Return the age, in days after the event day, from which on neither rows nor labels of the day change."""
    return max(_outcome_days(recipe), recipe.landing.most_days_late)


def _outcome_days(recipe: Recipe) -> int:
    """Return how many days after an event day outcomes that count for it may still land, of the slowest kind."""
    if recipe.inline_label:  # such a label comes with its impression, there is no outcome to wait for
        return 0
    return max(final_age(recipe, name, kind) for name, c in recipe.channels.items() for kind in c.windows_hours)


def label_definition(recipe: Recipe) -> LabelDefinition:
    """Return all that a label depends on beside the data."""
    return LabelDefinition(
        layout=LABEL_FORMAT,
        channels={name: c.windows_hours for name, c in recipe.channels.items()},
        positive={name: c.positive_kind for name, c in recipe.channels.items()},
        inline=recipe.landing.columns.label,
        late_days=recipe.landing.late_days,
        grace_days=recipe.landing.grace_days,
    )
