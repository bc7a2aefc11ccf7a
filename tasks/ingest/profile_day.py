"""Profile a landed day: count what validation, drift and the report read instead of its rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import known_outcomes, labelled
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES, PROFILE_FILE, VALUES_FILE, event_day_of

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe


def write_profile(connection: duck.Connection, folder: Path, recipe: Recipe, day: date) -> None:
    """Write profile.parquet and values.parquet of the rows that were kept.

    The profile: rows, those with a label, positives as seen by the end of the landing day, last time and nulls, by
    event day, channel, campaign and hour, and by whether the row is of the landing day itself, in its zone. Values:
    rows of each value of the columns for which the recipe names a value set. Both are counted part by part and added
    up.
    """
    known = known_outcomes({day: sorted((folder / OUTCOMES).glob("*.parquet"))}, recipe, day)
    connection.execute(f"CREATE OR REPLACE TABLE known AS {known}")
    parts = sorted((folder / IMPRESSIONS).glob("*.parquet"))

    def count(cursor: duck.Connection, part: Path) -> tuple[pa.Table, pa.Table]:
        return cursor.sql(_profile(part, recipe, day)).to_arrow_table(), cursor.sql(
            _values(part, recipe)
        ).to_arrow_table()

    counted = duck.in_parallel(connection, count, parts)
    profiles, values = (pa.concat_tables(tables) for tables in zip(*counted, strict=True))
    _add_up(connection, profiles, values, folder, recipe)


def add_profiles_up(connection: duck.Connection, folders: list[Path], folder: Path, recipe: Recipe) -> None:
    """Write profile.parquet and values.parquet of a day that is cut, from those of its shards."""
    profiles, values = (
        pa.concat_tables(pq.read_table(shard / name) for shard in folders) for name in (PROFILE_FILE, VALUES_FILE)
    )
    _add_up(connection, profiles, values, folder, recipe)


def _add_up(connection: duck.Connection, profiles: pa.Table, values: pa.Table, folder: Path, recipe: Recipe) -> None:
    """Add up counts of several files or shards and write both tables."""
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
    connection.execute(duck.copy_to(folder / VALUES_FILE, total))


def _profile(part: Path, recipe: Recipe, day: date) -> str:
    """Return the query of one file's profile; it reads the table `known`, the outcomes that landed on the day."""
    campaign = "campaign_id" if recipe.landing.columns.campaign_id else "''"
    nulls = "".join(
        f", count(*) - count({duck.name(column)}) AS {_nulls(column)}" for column in recipe.validation.max_null_share
    )
    rows = labelled(duck.parquet(part), "known", recipe, event_day_of(part))
    begins, ends = (f"TIMESTAMP '{recipe.landing.day_start(each)}'" for each in (day, day + timedelta(days=1)))
    return (
        f"SELECT ts::DATE AS event_day, ts >= {begins} AND ts < {ends} AS own_day, channel, {campaign} AS campaign_id, "
        "hour(ts)::TINYINT AS hour, count(*) AS rows, count(label) AS labelled, coalesce(sum(label), 0) AS positives, "
        f"max(ts) AS last_ts{nulls} FROM ({rows}) GROUP BY ALL"
    )


def _values(part: Path, recipe: Recipe) -> str:
    """Return the query that counts a file's rows by column and value; one without rows where no set is named."""
    selects = [
        f"SELECT {duck.text(column)} AS name, {duck.name(column)}::VARCHAR AS value, count(*) AS rows "
        f"FROM {duck.parquet(part)} WHERE {duck.name(column)} IS NOT NULL GROUP BY ALL"
        for column in recipe.validation.value_sets
    ]
    return " UNION ALL ".join(selects) or "SELECT ''::VARCHAR AS name, ''::VARCHAR AS value, 0::BIGINT AS rows LIMIT 0"


def _nulls(column: str) -> str:
    """Return the name of the profile's column with the number of a column's nulls."""
    return duck.name(f"nulls_{column}")
