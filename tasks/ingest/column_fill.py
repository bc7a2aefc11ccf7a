"""Fill of a landed day's columns: how many rows have a value, by the files' footers, and whether it is a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ctr_retrain.models.data.schema import impression_columns
from ctr_retrain.models.documents.day_documents import ColumnFill
from ctr_retrain.tasks.execution import duck

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe

SAMPLED_ROWS = 2_000  # of each file, whose texts are tried as numbers


def read_fill(connection: duck.Connection, files: list[Path], recipe: Recipe) -> dict[str, ColumnFill]:
    """Return for each column of the features the rows that have a value, and whether its texts are numbers."""
    read = {source for feature in recipe.features for source in feature.sources}
    columns = {column.name: column.kind for column in impression_columns(recipe) if column.name in read}
    filled = count_filled(files, columns)
    texts = [name for name, kind in columns.items() if kind == "text"]
    found = [_numbers(connection, file, texts) for file in files] if texts else []
    return {
        name: ColumnFill(
            rows=rows,
            sampled=sum(counts.get(name, (0, 0))[0] for counts in found),
            numbers=sum(counts.get(name, (0, 0))[1] for counts in found),
        )
        for name, rows in filled.items()
    }


def add_up_fill(parts: list[Mapping[str, ColumnFill]]) -> dict[str, ColumnFill]:
    """Return the fill of a day from those of its shards."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: ColumnFill(
            rows=sum(part[name].rows for part in parts),
            sampled=sum(part[name].sampled for part in parts),
            numbers=sum(part[name].numbers for part in parts),
        )
        for name in names
    }


def count_filled(files: Iterable[Path], columns: Iterable[str]) -> dict[str, int]:
    """Count by column the rows that have a value, by the null counts in the files' footers."""
    filled = dict.fromkeys(columns, 0)
    for file in files:
        metadata = pq.read_metadata(file)
        for group in range(metadata.num_row_groups):
            for index in range(metadata.num_columns):
                column = metadata.row_group(group).column(index)
                if column.path_in_schema in filled:
                    nulls = column.statistics.null_count if column.statistics is not None else 0
                    filled[column.path_in_schema] += column.num_values - (nulls or 0)
    return filled


def _numbers(connection: duck.Connection, file: Path, texts: list[str]) -> dict[str, tuple[int, int]]:
    """Return for each column of texts how many of a file's first rows have one, and how many of these are numbers."""
    counts = ", ".join(f"count({duck.name(name)}), count(try_cast({duck.name(name)} AS DOUBLE))" for name in texts)
    rows = f"SELECT * FROM {duck.parquet(file)} LIMIT {SAMPLED_ROWS}"
    row = connection.execute(f"SELECT {counts} FROM ({rows})").fetchone() or ()
    return {name: (row[2 * place], row[2 * place + 1]) for place, name in enumerate(texts)}
