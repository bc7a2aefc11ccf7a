"""DuckDB as this pipeline uses it: bounded memory, spilling to a scratch folder, times in UTC."""

from __future__ import annotations

import contextlib
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import duckdb

from ctr_retrain.models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MEMORY_LIMIT_MB = 1000
ROW_GROUP_ROWS = 122_880
PART_ROWS = 4 * ROW_GROUP_ROWS  # of one Parquet file that is written here: what one thread reads, checks and writes
_GLOB = re.compile(r"([*?[])")

Connection: TypeAlias = duckdb.DuckDBPyConnection
Item = TypeVar("Item")
Result = TypeVar("Result")

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
def connect(scratch: Path, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills into `scratch`; a failing disk becomes a StorageError.

    threads: of one query, by default all cores. With one, rows come out in the order in which they went in, at no
    cost of memory, and `in_parallel` takes the cores.
    """
    config: dict[str, str | bool | int] = {
        "memory_limit": f"{MEMORY_LIMIT_MB // _sharers.get()}MB",
        "temp_directory": str(scratch / "spill"),
        "TimeZone": "UTC",
        "autoinstall_known_extensions": False,
        "threads": threads or cores(),
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET enable_progress_bar = false")
        # Joins keep the sides that the query gives them: the left one streams, and so keeps its order. Without
        # statistics no column is written as one without nulls, and so all files of an object have one schema.
        connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side,statistics_propagation'")
        try:
            yield connection
        except duckdb.IOException as error:
            msg = (
                f"could not write under {scratch}: expected a disk with room, received: {error}. "
                "Nothing was published; free space or mend the disk and run again."
            )
            raise StorageError(msg) from error


def cores() -> int:
    """How many threads work within this process may use."""
    return max(1, _machine_cores() // _sharers.get())


@cache
def _machine_cores() -> int:
    """As DuckDB counts them, which knows a container's limits."""
    with duckdb.connect() as connection:
        return scalar(connection, "SELECT current_setting('threads')")


def in_parallel(
    connection: Connection, work: Callable[[Connection, Item], Result], items: Sequence[Item]
) -> list[Result]:
    """What `work` answers for each item, in their order; each call has a cursor of its own on the same database."""

    def run(item: Item) -> Result:
        with connection.cursor() as cursor:
            return work(cursor, item)

    with ThreadPoolExecutor(min(cores(), max(1, len(items)))) as pool:
        futures = [pool.submit(run, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()  # after a failure nothing new begins


def text(value: object) -> str:
    """A SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def path(file: Path) -> str:
    """A path as a SQL string literal in which *, ? and [ stand for themselves; see `needs_pattern`."""
    return text(_unglobbed(file))


def needs_pattern(file: Path) -> bool:
    """Whether only a pattern can name the file, since *, ? or [ stands in its path.

    In a pattern each backslash is a separator, and a neighbour whose name begins with one makes it fail.
    """
    return bool(_GLOB.search(str(file)))


def name(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def parquet(*files: Path) -> str:
    """Parquet files as a table of a query; * in the last part of a path stands for many."""
    names = ", ".join(text(_unglobbed(file.parent) + "/" + file.name) for file in files)
    return f"read_parquet([{names}], hive_partitioning=false)"


def copy_to(path: Path, query: str, compression: str = "zstd") -> str:
    """The statement that writes a query's rows to a Parquet file.

    zstd's level 1 instead of its usual 3 writes a tenth faster and a twelfth larger.
    """
    level = ", COMPRESSION_LEVEL 1" if compression == "zstd" else ""
    packing = f"COMPRESSION {compression}{level}"
    return f"COPY ({query}) TO {text(path)} (FORMAT parquet, {packing}, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"


def write(
    connection: duckdb.DuckDBPyConnection, target: Path, query: str, scratch: Path, compression: str = "zstd"
) -> int:
    """Write a query's rows to a Parquet file by way of `scratch`, whole or not at all; returns how many.

    What a failed COPY wrote DuckDB removes by its name, now or a while later: no second attempt may have that name.
    """
    aside = scratch / f"{uuid.uuid4().hex}.parquet"
    rows = scalar(connection, copy_to(aside, query, compression))
    aside.replace(target)
    return rows


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The single number that a query answers; null counts as 0."""
    rows = connection.execute(query).fetchall()  # all: a result left open blocks the connection
    return int(rows[0][0] or 0) if rows else 0


def _unglobbed(file: Path) -> str:
    return _GLOB.sub(r"[\1]", str(file))
