"""Arrivals: an event day's labelled rows by channel, kind, hour, and the days until their outcome had landed.

Label maturity is measured on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr_retrain.models.recipe.column_names import age_column, label_column
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import LANDED_LATE
from ctr_retrain.tasks.store.layout import ARRIVALS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe


def count_arrivals(connection: duck.Connection, table: str, recipe: Recipe) -> pa.Table:
    """Count labelled rows by channel, kind, hour, days that the impression landed late, and the outcome's age.

    Columns channel, kind, hour, days_late, age_days, rows; age_days is null where there is no positive.
    """
    selects = [
        f"SELECT channel, {duck.text(kind)} AS kind, hour(ts)::TINYINT AS hour, {LANDED_LATE} AS days_late, "
        f"{duck.name(age_column(kind))} AS age_days, count(*) AS rows FROM {table} "
        f"WHERE {duck.name(label_column(kind))} IS NOT NULL GROUP BY ALL"
        for kind in recipe.kinds
    ]
    return connection.sql(" UNION ALL ".join(selects)).to_arrow_table()


def add_up_arrivals(counted: Iterable[pa.Table]) -> pa.Table:
    """Return the arrivals of a day from those of its parts, in a fixed order."""
    keys = ["channel", "kind", "hour", "days_late", "age_days"]
    added = pa.concat_tables(counted).group_by(keys).aggregate([("rows", "sum")])
    return added.rename_columns([*keys, "rows"]).sort_by([(key, "ascending") for key in keys])


def count_positives(arrivals: pa.Table, recipe: Recipe) -> dict[str, int]:
    """Return the positives of each kind."""
    positive = arrivals.filter(pc.is_valid(arrivals["age_days"]))
    found = positive.group_by("kind").aggregate([("rows", "sum")]).to_pylist()
    return dict.fromkeys(recipe.kinds, 0) | {row["kind"]: row["rows_sum"] for row in found}


def write_arrivals(folder: Path, arrivals: pa.Table) -> None:
    """Write arrivals.parquet into the folder of a label object."""
    pq.write_table(arrivals, folder / ARRIVALS_FILE, compression="zstd")


def read_arrivals(folders: Iterable[Path]) -> list[pa.Table]:
    """Read the arrivals of those label objects that have any: an inline label has none."""
    return [pq.read_table(file) for folder in folders if (file := folder / ARRIVALS_FILE).exists()]
