"""Profile a landed day: count what validation, drift and the report read instead of its rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr_retrain.models.data.slices import MISSING
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import known_outcomes, labelled
from ctr_retrain.tasks.ingest.slice_totals import VALUE_CHARACTERS, add_slices_up, columns_apart
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES, PROFILE_FILE, SLICES_FILE, VALUES_FILE, event_day_of

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe

NO_VALUES = pa.schema([("name", pa.string()), ("value", pa.string()), ("rows", pa.int64())])
COUNTED = (PROFILE_FILE, VALUES_FILE, SLICES_FILE)


def write_profile(connection: duck.Connection, folder: Path, recipe: Recipe, day: date, *, whole: bool) -> None:
    """Write profile.parquet, values.parquet and slices.parquet of the rows that were kept.

    The profile: rows, those with a label, positives as seen by the end of the landing day, last time and nulls, by
    event day, channel, campaign and hour, and by whether the row is of the landing day itself, in its zone. Values:
    rows of each value of the columns for which the recipe names a value set. Slices: the profile's counts by each value
    of the recipe's slices instead of campaign and hour; see `add_slices_up` for the values that stand there, which are
    more in a shard than in a whole day. All are counted part by part and added up.
    """
    known = known_outcomes({day: sorted((folder / OUTCOMES).glob("*.parquet"))}, recipe, day)
    connection.execute(f"CREATE OR REPLACE TABLE known AS {known}")
    parts = sorted((folder / IMPRESSIONS).glob("*.parquet"))

    def count(cursor: duck.Connection, part: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
        counted = cursor.sql(_counts(part, recipe, day)).to_arrow_table()
        query = _values(part, recipe)
        values = cursor.sql(query).to_arrow_table() if query else NO_VALUES.empty_table()
        return _profile_of(counted, recipe), values, columns_apart(cursor, counted, recipe.slice_columns)

    counted = duck.in_parallel(connection, count, parts)
    profiles, values, slices = (pa.concat_tables(tables) for tables in zip(*counted, strict=True))
    _add_up(connection, profiles, values, slices, folder, recipe, whole=whole)


def add_profiles_up(connection: duck.Connection, folders: list[Path], folder: Path, recipe: Recipe) -> None:
    """Write profile.parquet, values.parquet and slices.parquet of a day that is cut, from those of its shards."""
    profiles, values, slices = (pa.concat_tables(pq.read_table(shard / name) for shard in folders) for name in COUNTED)
    _add_up(connection, profiles, values, slices, folder, recipe, whole=True)


def _add_up(
    connection: duck.Connection,
    profiles: pa.Table,
    values: pa.Table,
    slices: pa.Table,
    folder: Path,
    recipe: Recipe,
    *,
    whole: bool,
) -> None:
    """Add up counts of several files or shards and write the tables."""
    connection.register("profiles", profiles)
    connection.register("values_found", values)
    nulls = "".join(f", sum({name})::BIGINT AS {name}" for name in map(_nulls, recipe.validation.max_null_share))
    total = (
        "SELECT event_day, own_day, channel, campaign_id, hour, sum(rows)::BIGINT AS rows, "
        f"sum(labelled)::BIGINT AS labelled, "
        f"sum(positives)::BIGINT AS positives, max(last_ts) AS last_ts{nulls} FROM profiles GROUP BY ALL ORDER BY ALL"
    )
    connection.execute(duck.copy_to(folder / PROFILE_FILE, total))
    total = "SELECT name, value, sum(rows)::BIGINT AS rows FROM values_found GROUP BY ALL ORDER BY ALL"
    if values.num_rows:
        connection.execute(duck.copy_to(folder / VALUES_FILE, total))
    else:  # a query of none would take ten times as long
        pq.write_table(NO_VALUES.empty_table(), folder / VALUES_FILE)
    add_slices_up(connection, slices, folder / SLICES_FILE, whole=whole)


def _counts(part: Path, recipe: Recipe, day: date) -> str:
    """Return the query of one file's counts: of its profile, where `sliced` is 0, and beside it of each slice.

    It reads the table `known`, the outcomes that landed on the day. One query reads the rows and labels them once.
    """
    campaign = "campaign_id" if recipe.landing.columns.campaign_id else "''"
    nulls = "".join(
        f", count(*) - count({duck.name(column)}) AS {_nulls(column)}" for column in recipe.validation.max_null_share
    )
    begins, ends = (f"TIMESTAMP '{recipe.landing.day_start(each)}'" for each in (day, day + timedelta(days=1)))
    slices = {f"_slice_{place}": column for place, column in enumerate(recipe.slice_columns)}
    raw = "".join(f", {duck.name(column)} AS {name}" for name, column in slices.items())
    rows = (
        f"SELECT *, ts::DATE AS _event_day, ts >= {begins} AND ts < {ends} AS _own_day, {campaign} AS _campaign, "
        f"hour(ts)::TINYINT AS _hour{raw} FROM ({labelled(duck.parquet(part), 'known', recipe, event_day_of(part))})"
    )
    keys = "_event_day, _own_day, channel"
    sets = ", ".join(f"({keys}, {more})" for more in ("_campaign, _hour", *slices))
    absent = "".join(f", {name}, grouping({name}) AS {name}_absent" for name in slices)
    counted = (
        "SELECT _event_day AS event_day, _own_day AS own_day, channel, _campaign AS campaign_id, _hour AS hour, "
        f"grouping(_hour)::TINYINT AS sliced{absent}, "
        "count(*) AS rows, count(label) AS labelled, coalesce(sum(label), 0)::BIGINT AS positives, "
        f"max(ts) AS last_ts{nulls} FROM ({rows}) GROUP BY GROUPING SETS ({sets})"
    )
    # Of the values that were found, not of each row, which would take twice as long.
    values = "".join(
        f", CASE WHEN {name}_absent = 0 "
        f"THEN coalesce(left({name}::VARCHAR, {VALUE_CHARACTERS}), {duck.text(MISSING)}) END AS {name}"
        for name in slices
    )
    dropped = ", ".join(part for name in slices for part in (name, f"{name}_absent"))
    return f"SELECT * EXCLUDE ({dropped}){values} FROM ({counted})" if slices else counted


def _profile_of(counted: pa.Table, recipe: Recipe) -> pa.Table:
    """Return the rows and columns of a file's counts that are its profile."""
    slices = [f"_slice_{place}" for place in range(len(recipe.slice_columns))]
    return counted.filter(pc.equal(counted["sliced"], 0)).drop_columns(["sliced", *slices])


def _values(part: Path, recipe: Recipe) -> str:
    """Return the query that counts a file's rows by column and value; empty where no set is named."""
    selects = [
        f"SELECT {duck.text(column)} AS name, {duck.name(column)}::VARCHAR AS value, count(*) AS rows "
        f"FROM {duck.parquet(part)} WHERE {duck.name(column)} IS NOT NULL GROUP BY ALL"
        for column in recipe.validation.value_sets
    ]
    return " UNION ALL ".join(selects)


def _nulls(column: str) -> str:
    """Return the name of the profile's column with the number of a column's nulls."""
    return duck.name(f"nulls_{column}")
