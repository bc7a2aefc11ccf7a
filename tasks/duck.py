"""DuckDB as this pipeline uses it: bounded memory, spilling to a scratch folder, times in UTC."""

from __future__ import annotations

import contextlib
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING

import duckdb

from models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY_LIMIT_MB = 1000
CORES = "SELECT current_setting('threads')"  # as DuckDB counts them, which knows a container's limits
_GLOB = re.compile(r"([*?[])")

Connection = duckdb.DuckDBPyConnection

_sharers: ContextVar[int] = ContextVar("sharers", default=1)


@contextlib.contextmanager
def sharing(sharers: int) -> Iterator[None]:
    """Within it, and in this thread alone, a connection takes that fraction of the memory limit and of the cores."""
    token = _sharers.set(sharers)
    try:
        yield
    finally:
        _sharers.reset(token)


@contextlib.contextmanager
def connect(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `scratch`; a failing disk becomes a StorageError."""
    with duckdb.connect(
        config={
            "memory_limit": f"{MEMORY_LIMIT_MB // _sharers.get()}MB",
            "temp_directory": str(scratch / "spill"),
            "TimeZone": "UTC",
            "autoinstall_known_extensions": False,
        }
    ) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET threads = {max(1, scalar(connection, CORES) // _sharers.get())}")
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


def path(file: Path) -> str:
    """A path as a SQL string literal in which *, ? and [ stand for themselves."""
    return text(_unglobbed(file))


def name(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def parquet(path: Path) -> str:
    """Parquet files as a table of a query; * in the last part of the path stands for many."""
    return f"read_parquet({text(_unglobbed(path.parent) + '/' + path.name)}, hive_partitioning=false)"


def copy_to(path: Path, query: str) -> str:
    """The statement that writes a query's rows to a Parquet file."""
    return f"COPY ({query}) TO {text(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The single number that a query answers; null counts as 0."""
    rows = connection.execute(query).fetchall()  # all: a result left open blocks the connection
    return int(rows[0][0] or 0) if rows else 0


def _unglobbed(file: Path) -> str:
    return _GLOB.sub(r"[\1]", str(file))
