"""DuckDB as this pipeline uses it: bounded memory, spilling to a scratch folder, times in UTC."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import duckdb

from models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY_LIMIT = "1GB"

Connection = duckdb.DuckDBPyConnection


@contextlib.contextmanager
def connect(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `scratch`; a failing disk becomes a StorageError."""
    with duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(scratch / "spill"),
            "TimeZone": "UTC",
            "autoinstall_known_extensions": False,
        }
    ) as connection:
        connection.execute("SET enable_progress_bar = false")
        try:
            yield connection
        except duckdb.IOException as error:
            msg = (
                f"could not write under {scratch}: expected a disk with room, received: {error}. "
                "Nothing was published; free space or mend the disk and run again."
            )
            raise StorageError(msg) from error


def text(value: object) -> str:
    """A SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def name(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def parquet(path: Path) -> str:
    """Parquet files as a table of a query."""
    return f"read_parquet({text(path)}, hive_partitioning=false)"


def copy_to(path: Path, query: str) -> str:
    """The statement that writes a query's rows to a Parquet file."""
    return f"COPY ({query}) TO {text(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The single number that a query answers; null counts as 0."""
    row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0
