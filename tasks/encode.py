"""Rows of labelled days as memory-mapped arrays: what training reads, encoded before it starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from models.batches import TrainingRows
from models.features import encode, fields, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb
    import numpy.typing as npt

    from models.recipe import Recipe

BATCH_ROWS = 200_000


def encode_rows(
    connection: duckdb.DuckDBPyConnection, query: str, rows: int, recipe: Recipe, scratch: Path
) -> TrainingRows:
    """The rows of a query as memory-mapped arrays, in their order."""

    def open_map(name: str, dtype: Any, *width: int) -> npt.NDArray[Any]:
        return make_map(scratch / f"{name}.npy", dtype, (rows, *width))

    ids = open_map("ids", np.int32, len(fields(recipe.features)))
    numeric = open_map("numeric", np.float32, len(numbers(recipe.features)))
    label, day_index = open_map("label", np.uint8), open_map("day_index", np.int16)
    confidence = open_map("confidence", np.float32) if recipe.landing.columns.confidence else None
    first = 0
    for batch in connection.sql(query).to_arrow_reader(BATCH_ROWS):
        table = pa.table(batch)
        part = slice(first, first + len(table))
        encoded = encode(table, recipe.features)
        ids[part], numeric[part] = encoded.ids, encoded.numeric
        label[part], day_index[part] = table["label"].to_numpy(), table["day_index"].to_numpy()
        if confidence is not None:
            confidence[part] = table["confidence"].fill_null(1.0).to_numpy()
        first += len(table)
    return TrainingRows(ids, numeric, label, day_index, confidence)


def make_map(path: Path, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A new .npy file as a writable map, its room on the disk taken: a full disk is an OSError here and now.

    Writing to a sparse file on a full disk would be a bus error, which kills the process.
    """
    mapped: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return mapped


def chunks(numeric: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """Raw numbers in parts that memory holds."""
    return (numeric[first : first + BATCH_ROWS] for first in range(0, len(numeric), BATCH_ROWS))
