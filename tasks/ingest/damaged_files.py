"""Damage of landed Parquet files that shows only while their rows are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_bytes import passing_error
from ctr_retrain.tasks.landing.parse_lines import one_line
from ctr_retrain.tasks.landing.read_landing import first_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ctr_retrain.tasks.landing.file_parts import LandedFile


def damaged_files(files: list[LandedFile], cleaned: Callable[[LandedFile], str], scratch: Path) -> dict[str, str]:
    """Find landed Parquet files whose footer can be read and whose rows can't: name → the error, and its column.

    cleaned: writes the query that makes our columns of a file's rows. Reads everything, and what is damaged twice:
    raises StorageError where the second reading differs, since then it is the disk that is damaged.
    """
    damaged = {}
    for file in files:
        # Others we staged ourselves: if such a one can't be read, our disk is damaged.
        if not file.staged and (found := _damage_of(file, cleaned(file), scratch)):
            again = _damage_of(file, cleaned(file), scratch)
            if again != found:
                raise passing_error(file.name, found, again)
            damaged[file.name] = found
    return damaged


def _damage_of(file: LandedFile, cleaned: str, scratch: Path) -> str:
    """Return the first error of a Parquet file's columns, or of the query `cleaned`; empty where all can be read."""
    columns = [(f"SELECT {duck.name(name)} FROM {file.table}", f"column {name}: ") for name in file.columns]
    for query, where in (*columns, (cleaned, "")):
        with duck.connect(scratch, threads=1) as connection:  # one each, since some errors leave a connection useless
            try:
                connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM ({query})").fetchall()
            except duckdb.OutOfMemoryException:  # says nothing about the file
                raise
            except duckdb.Error as error:
                return one_line(f"{where}{first_line(error)}")
    return ""
