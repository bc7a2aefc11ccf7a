"""Measures of a sample by the very SQL that lands and ingests it: days, positive ratios, delays, leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.data.schema import impression_columns
from ctr_retrain.models.first_recipe.column_look import YES, ColumnLook
from ctr_retrain.models.first_recipe.day_numbers import SeenDay, SeenDelays
from ctr_retrain.models.leaks.leak_signs import LABEL, LabelledSample, find_leaks
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.first_recipe.match_outcomes import joined
from ctr_retrain.tasks.landing.column_rules import typed
from ctr_retrain.tasks.landing.landed_values import as_text, as_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.first_recipe.column_roles import FoundOutcome, Roles
    from ctr_retrain.models.first_recipe.outcome_rows import OutcomeRows
    from ctr_retrain.models.recipe.landing_section import Landing
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.file_parts import LandedFile

MOST_VALUES = 60_000  # of one column, that are looked at: more than there are rows in a sample
LABELLED = "labelled"  # table of the sample's rows with ts, label and outcome_ts


def look_at_columns(connection: duck.Connection, sample: LandedFile) -> list[ColumnLook]:
    """Return each column of the sample with its values, most frequent first."""
    looks = []
    for name, physical in sample.columns.items():
        column = duck.name(name)
        values = connection.execute(
            f"SELECT left({column}::VARCHAR, 200) AS value, count(*) AS n FROM {sample.table} "
            f"WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY n DESC, value LIMIT {MOST_VALUES}"
        ).fetchall()
        looks.append(ColumnLook(name, physical, sample.rows, dict(values)))
    return looks


def label_rows(
    connection: duck.Connection, sample: LandedFile, roles: Roles, landing: Landing, outcomes: LandedFile | None
) -> None:
    """Make a table of the sample's rows with their time and label, and the outcome's time where it has one.

    Each further kind of outcome has a label as well, see `_label_of`. outcomes: where they are rows of their own.
    """
    if outcomes is not None and roles.outcome_rows is not None:
        _label_by_rows(connection, sample, roles, landing, outcomes, roles.outcome_rows)
        return
    ts = as_time(roles.ts, sample.columns[roles.ts], landing, landing.time)
    _, outcome_ts = _inline(roles.outcomes[0], sample, landing)
    labels = ", ".join(
        f"coalesce({_inline(outcome, sample, landing)[0]}, false) AS {_label_of(number)}"
        for number, outcome in enumerate(roles.outcomes)
    )
    connection.execute(
        f"CREATE TABLE {LABELLED} AS SELECT row_number() OVER () AS _number, {ts} AS _ts, {labels}, "
        f"{outcome_ts}::TIMESTAMP AS _outcome_ts, * FROM {sample.table}"
    )


def _label_by_rows(
    connection: duck.Connection,
    sample: LandedFile,
    roles: Roles,
    landing: Landing,
    outcomes: LandedFile,
    rows: OutcomeRows,
) -> None:
    """Make the table of labelled rows from outcomes that are rows of their own."""
    ts = as_time(roles.ts, sample.columns[roles.ts], landing, landing.time)
    at = as_time(rows.ts, outcomes.columns[rows.ts], landing, landing.outcome_time or landing.time)
    kind = as_text(rows.kind_column, outcomes.columns[rows.kind_column], landing) if rows.kind_column else ""
    wanted = f"WHERE {kind} = {duck.text(rows.kinds[0])}" if kind else ""
    connection.execute(
        f"CREATE TABLE {LABELLED} AS SELECT row_number() OVER () AS _number, _at IS NOT NULL AS _label, "
        f"_at AS _outcome_ts, shown.* EXCLUDE (_key) "
        f"FROM (SELECT {ts} AS _ts, {joined(sample, rows.impression_id)} AS _key, * FROM {sample.table}) shown "
        f"LEFT JOIN (SELECT {joined(outcomes, rows.event_id)} AS _id, min({at})::TIMESTAMP AS _at "
        f"FROM {outcomes.table} {wanted} GROUP BY 1) happened ON _id = _key"
    )


def _label_of(number: int) -> str:
    """Name the column with the label of a kind of outcome; the first makes a positive."""
    return f"_label{number or ''}"


def _inline(outcome: FoundOutcome, sample: LandedFile, landing: Landing) -> tuple[str, str]:
    """Return the SQL of whether an outcome in the row came, and of when."""
    time = as_time(outcome.ts, sample.columns[outcome.ts], landing, landing.time) if outcome.ts else "NULL"
    if outcome.ts == outcome.column:
        return f"{time} IS NOT NULL", time  # as `land` does, where a column is flag and time at once
    yes = ", ".join(duck.text(word) for word in sorted(YES))
    label = f"lower(trim({duck.name(outcome.column)}::VARCHAR)) IN ({yes})"
    return label, f"CASE WHEN {label} THEN {time} END" if outcome.ts else "NULL"


def seen_days(connection: duck.Connection, share: float) -> list[SeenDay]:
    """Return the days of the labelled rows in order, scaled from the sample, which is that share, to the whole file."""
    rows = connection.execute(
        f"SELECT _ts::DATE AS day, count(*), count(DISTINCT hour(_ts)), "
        f"24 - epoch(max(_ts) - date_trunc('day', max(_ts))) / 3600, count_if(_label), "
        f"count_if(_label AND coalesce(_outcome_ts, _ts)::DATE <= _ts::DATE) "
        f"FROM {LABELLED} WHERE isfinite(_ts) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [
        SeenDay(day, round(n / share), hours, left, round(positives / share), round(same / share))
        for day, n, hours, left, positives, same in rows
    ]


def seen_delays(connection: duck.Connection) -> SeenDelays | None:
    """Return the hours from impressions to outcomes; None where outcomes have no time of their own."""
    delay = "epoch(_outcome_ts - _ts) / 3600"
    found = connection.execute(
        f"SELECT quantile_cont({delay}, 0.5), quantile_cont({delay}, 0.95) FROM {LABELLED} "
        "WHERE _outcome_ts >= _ts AND _label"
    ).fetchall()
    middle, high = found[0]
    return None if middle is None else SeenDelays(middle, high)


def sample_leaks(connection: duck.Connection, sample: LandedFile, recipe: Recipe, roles: Roles) -> dict[str, str]:
    """Return each feature that seems to be known only afterwards, by its figures on the sample, and why."""
    # The label is taken from LABELLED, where it is one whether it stands inline or is an outcome.
    columns = [column for column in impression_columns(recipe) if column.name != "label"]
    constant = duck.text(recipe.landing.channel_constant)
    channel = f", {constant} AS channel" if recipe.landing.channel_constant else ""
    values = ", ".join(f"{typed(sample, column, recipe.landing)} AS {duck.name(column.name)}" for column in columns)
    kinds = {LABEL if not n else outcome.kind: _label_of(n) for n, outcome in enumerate(roles.outcomes)}
    labels = ", ".join(f"{column}::UTINYINT AS {column}" for column in kinds.values())
    table = connection.sql(
        f"SELECT {labels}{channel}, {values} FROM {LABELLED} WHERE isfinite(_ts) ORDER BY _ts, _number"
    ).to_arrow_table()
    if not table.num_rows:
        return {}
    by_kind = {kind: table[column].to_numpy() for kind, column in kinds.items()}
    fold = np.arange(table.num_rows) * 12 // table.num_rows % 2 == 0  # every second stretch of time
    found = find_leaks(LabelledSample(table, table["channel"].to_numpy(), by_kind, fold), recipe.features)
    return {feature.name: feature.message for feature in found if feature.held}


def unreadable_times(sample: LandedFile, days: Sequence[SeenDay], share: float) -> float:
    """Return the share of rows whose time can't be read."""
    return max(0.0, 1 - sum(day.rows for day in days) * share / max(1, sample.rows))
