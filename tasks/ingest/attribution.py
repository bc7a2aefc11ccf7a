"""Attribute outcomes to impressions, in one SQL for the day's profile and for labels.

Of one impression and kind the earliest outcome counts, wherever it landed, so that outcomes sent twice say the same in
one file or in two. It counts where it lies at or after the impression and within the attribution window of channel and
kind, both ends included, and where it landed within that window and the landing grace, in whole days.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.maturity import final_age
from ctr_retrain.models.recipe.column_names import age_column, label_column
from ctr_retrain.tasks.execution import duck

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe

# A query without rows, of the columns that a file of outcomes would give.
NO_OUTCOME = "NULL::VARCHAR AS event_id, NULL::TIMESTAMP AS ts, NULL::VARCHAR AS kind, NULL::DATE AS landed LIMIT 0"
LANDED_LATE = "landed_days_late"  # of an impression: days from its event day to its landing day


def known_outcomes(landings: Mapping[date, list[Path]], recipe: Recipe, event_day: date) -> str:
    """Return the query of the known outcomes, a row for each impression that has any: by kind, time and landing day.

    Both are of what landed while the kind's label was open: channels wait for one kind differently long, so there is
    a pair for each of a kind's final ages.
    """
    each = [
        f"SELECT event_id, ts, kind, DATE '{day}' AS landed FROM {duck.parquet(*files)}"
        for day, files in landings.items()
        if files
    ]
    rows = " UNION ALL ".join(each) or f"SELECT {NO_OUTCOME}"
    columns = "".join(
        f", min(ts) FILTER ({counts}) AS {_time(kind, age)}, min(landed) FILTER ({counts}) AS {_landing(kind, age)}"
        for kind, age in _kinds_and_final_ages(recipe)
        for counts in [f"kind = {duck.text(kind)} AND landed <= DATE '{event_day + timedelta(days=age)}'"]
    )
    kinds = ", ".join(duck.text(kind) for kind in recipe.kinds) or "NULL"
    return f"SELECT event_id{columns} FROM ({rows}) WHERE kind IN ({kinds}) GROUP BY event_id"


def labelled(impressions: str, known: str, recipe: Recipe, event_day: date) -> str:
    """Return the query of `impressions`, a table of one event day, with its labels, in the same order.

    known: a table of what `known_outcomes` answers. Columns are `label`, which is the channel's positive kind's, and
    for each kind its label and the age at which it landed. An inline label is taken as it stands.
    """
    if recipe.inline_label:
        return f"SELECT * FROM {impressions}"
    within = {
        kind: " ".join(
            f"WHEN {duck.text(name)} THEN {_within_window(recipe, name, kind)}"
            for name, channel in recipe.channels.items()
            if kind in channel.windows_hours
        )
        for kind in recipe.kinds
    }
    labels = ", ".join(
        f"(CASE i.channel {cases} END)::TINYINT AS {duck.name(label_column(kind))}" for kind, cases in within.items()
    )
    ages = ", ".join(
        f"(CASE WHEN {duck.name(label_column(kind))} = 1 THEN "
        f"date_diff('day', DATE '{event_day}', {_own_landing(recipe, kind)}) "
        f"END)::SMALLINT AS {duck.name(age_column(kind))}"
        for kind in recipe.kinds
    )
    waits = _kinds_and_final_ages(recipe)
    helpers = ", ".join(column for kind, age in waits for column in (_time(kind, age), _landing(kind, age)))
    joined = f"SELECT i.*, k.* EXCLUDE (event_id), {labels} FROM {impressions} i LEFT JOIN {known} k USING (event_id)"
    return f"SELECT * EXCLUDE ({helpers}), {_positive(recipe)} AS label, {ages} FROM ({joined})"


def window(recipe: Recipe, channel: str, kind: str) -> str:
    """Return the attribution window of a channel and kind as an interval of SQL."""
    return f"INTERVAL {round(recipe.channels[channel].windows_hours[kind] * 3600)} SECOND"


def _within_window(recipe: Recipe, channel: str, kind: str) -> str:
    """Return the condition that the channel's outcome of a kind lies within its window; false where none is known.

    Few impressions have one, and a CASE spares all others the arithmetic, which a conjunction would not.
    """
    time = f"k.{_time(kind, final_age(recipe, channel, kind))}"
    within = f"{time} BETWEEN i.ts AND i.ts + {window(recipe, channel, kind)}"
    return f"CASE WHEN {time} IS NULL THEN false ELSE {within} END"


def _positive(recipe: Recipe) -> str:
    """Return the label of the channel's positive kind; where channels agree on one, nothing is compared."""
    kinds = {name: duck.name(label_column(channel.positive_kind)) for name, channel in recipe.channels.items()}
    if len(set(kinds.values())) == 1:
        return next(iter(kinds.values()))
    return f"CASE channel {' '.join(f'WHEN {duck.text(name)} THEN {label}' for name, label in kinds.items())} END"


def _kinds_and_final_ages(recipe: Recipe) -> list[tuple[str, int]]:
    """Return each kind with each of the final ages that channels give it."""
    found = [(kind, final_age(recipe, name, kind)) for name, c in recipe.channels.items() for kind in c.windows_hours]
    return list(dict.fromkeys(found))


def _own_landing(recipe: Recipe, kind: str) -> str:
    """Return the landing day of the channel's own pair of time and landing day."""
    own = " ".join(
        f"WHEN {duck.text(name)} THEN {_landing(kind, final_age(recipe, name, kind))}"
        for name, channel in recipe.channels.items()
        if kind in channel.windows_hours
    )
    return f"CASE channel {own} END"


def _time(kind: str, age: int) -> str:
    """Return the name of the column with the earliest time of a kind's outcome among those that landed by an age."""
    return duck.name(f"_time_{kind}_{age}")


def _landing(kind: str, age: int) -> str:
    """Return the name of the column with the earliest landing day of a kind's outcome, by an age."""
    return duck.name(f"_landing_{kind}_{age}")
