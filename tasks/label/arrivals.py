"""How soon outcomes came: positives of an event day by channel, kind, hour, and the days until they had landed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.recipe.column_names import age_column, label_column
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import LANDED_LATE
from ctr_retrain.tasks.store.layout import ARRIVALS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe


def count_arrivals(connection: duck.Connection, tables: Iterable[str], recipe: Recipe) -> pa.Table:
    """Rows of labelled tables by channel, kind, hour, days that the impression landed late, and the outcome's age.

    Columns channel, kind, hour, days_late, age_days, rows; age_days is null where there is no positive.
    """

    def count(cursor: duck.Connection, table: str) -> pa.Table:
        selects = [
            f"SELECT channel, {duck.text(kind)} AS kind, hour(ts)::TINYINT AS hour, {LANDED_LATE} AS days_late, "
            f"{duck.name(age_column(kind))} AS age_days, count(*) AS rows FROM {table} "
            f"WHERE {duck.name(label_column(kind))} IS NOT NULL GROUP BY ALL"
            for kind in recipe.kinds
        ]
        return cursor.sql(" UNION ALL ".join(selects)).to_arrow_table()

    return _added_up(pa.concat_tables(duck.in_parallel(connection, count, list(tables))))


def write_arrivals(connection: duck.Connection, files: list[Path], folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Write arrivals.parquet of labelled files, where labels come from outcomes; returns the positives, by kind too."""
    positives = duck.scalar(connection, f"SELECT sum(label) FROM {duck.parquet(*files)}") if files else 0
    if not recipe.kinds or not files:
        return {"positives": positives, "kinds": {}}
    arrivals = count_arrivals(connection, [duck.parquet(file) for file in files], recipe)
    pq.write_table(arrivals, folder / ARRIVALS_FILE, compression="zstd")
    kinds = dict.fromkeys(recipe.kinds, 0)
    for row in arrivals.to_pylist():
        kinds[row["kind"]] += row["rows"] if row["age_days"] is not None else 0
    return {"positives": positives, "kinds": kinds}


def add_arrivals_up(folders: Iterable[Path], folder: Path) -> None:
    """Write arrivals.parquet of a day in pieces from those of its pieces, where these have any."""
    files = [file for shard in folders if (file := shard / ARRIVALS_FILE).exists()]
    if files:
        arrivals = _added_up(pa.concat_tables(pq.read_table(file) for file in files))
        pq.write_table(arrivals, folder / ARRIVALS_FILE, compression="zstd")


def _added_up(counted: pa.Table) -> pa.Table:
    keys = ["channel", "kind", "hour", "days_late", "age_days"]
    added = counted.group_by(keys).aggregate([("rows", "sum")])
    return added.rename_columns([*keys, "rows"]).sort_by([(key, "ascending") for key in keys])
