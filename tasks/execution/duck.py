"""DuckDB as this pipeline uses it: bounded memory, spilling to a scratch folder, times in UTC."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import duckdb

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution.thread_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MEMORY_LIMIT_MB = 1000  # of one connection, or of all that share it
ROW_GROUP_ROWS = 122_880  # DuckDB's own size of a row group
PART_ROWS = 4 * ROW_GROUP_ROWS  # of one Parquet file that is written here: what one thread reads, checks and writes
_GLOB = re.compile(r"([*?[])")  # characters that DuckDB takes for a pattern in a path

LONG_ROW_BYTES = 1 << 15  # such rows can fill the memory limit, since DuckDB takes 2,048 at a time
OUT_OF_MEMORY = duckdb.OutOfMemoryException
STOPPED = "Query interrupted"  # said by the RuntimeError that DuckDB makes of a KeyboardInterrupt
NO_SUCH_COLUMN = duckdb.BinderException  # raised by a query that names a column or a field that there isn't

Connection: TypeAlias = duckdb.DuckDBPyConnection
Item = TypeVar("Item")
Result = TypeVar("Result")

_sharers: ContextVar[int] = ContextVar("sharers", default=1)  # how many days share memory and cores
# Empty databases of one thread, with the process that opened each and its memory limit. To open one costs 25 ms, which
# is as much as a small query, and a day in pieces opens dozens.
_left: list[tuple[int, str, Connection]] = []


@contextlib.contextmanager
def sharing(sharers: int) -> Iterator[None]:
    """Let connections of this thread alone take that fraction of the memory limit and of the cores while it lasts."""
    token = _sharers.set(sharers)
    try:
        yield
    finally:
        _sharers.reset(token)


@contextlib.contextmanager
def connect(scratch: Path, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection that spills into `scratch`; a failing disk, or too little memory, becomes a StorageError.

    threads: of one query, by default all cores. With one, rows come out in the order in which they went in, at no
    cost of memory, and `in_parallel` takes the cores.
    """
    with _stoppable(), _opened(scratch, threads or cores()) as connection:
        yield connection


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a query as they end all else: DuckDB makes an error of its own of them."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == STOPPED:
            raise KeyboardInterrupt from error
        raise


@contextlib.contextmanager
def _opened(scratch: Path, threads: int) -> Iterator[Connection]:
    spill, limit = scratch / "spill", MEMORY_LIMIT_MB // _sharers.get()
    database = _database(spill, threads, f"{limit}MB")
    intact = False
    try:
        with database.cursor() as connection:
            yield connection
        intact = True
    except duckdb.IOException as error:
        msg = (
            f"could not write under {scratch}: expected a disk with room, received: {error}. "
            "Nothing was published; free space or mend the disk and run again."
        )
        raise StorageError(msg) from error
    except OUT_OF_MEMORY as error:
        msg = (
            f"DuckDB under {scratch}: expected to need at most {limit} MB, received: {str(error).splitlines()[0]}. "
            "Nothing was published, and nothing is wrong with the data: let fewer days share this machine "
            "(CTR_RETRAIN_DAYS_AT_ONCE), or cut a large day (landing.buckets), and run again."
        )
        raise StorageError(msg) from error
    finally:
        # One that has spilled keeps its folder.
        if not (intact and not spill.exists() and _left_empty(database, f"{limit}MB", threads)):
            database.close()


def _database(spill: Path, threads: int, limit: str) -> Connection:
    """Return an empty database in memory: one that an earlier connection left, or a new one."""
    if spare := _spare():
        former, database = spare
        if former != limit:  # to set it costs 2 ms, also where it stays the same
            database.execute(f"SET memory_limit = {text(limit)}")
        if threads != 1:
            database.execute(f"SET threads = {threads}")
        database.execute(f"SET temp_directory = {text(spill)}")
        return database
    config: dict[str, str | bool | int] = {
        "memory_limit": limit,
        "temp_directory": str(spill),
        "TimeZone": "UTC",
        "autoinstall_known_extensions": False,
        "threads": threads,
    }
    database = duckdb.connect(config=config)
    database.execute("SET enable_progress_bar = false")
    # Joins keep the sides that the query gives them: the left one streams, and so keeps its order. Without
    # statistics no column is written as one without nulls, and so all files of an object have one schema.
    database.execute("SET disabled_optimizers = 'join_order,build_side_probe_side,statistics_propagation'")
    return database


def _spare() -> tuple[str, Connection] | None:
    """Take a database that is left, and its memory limit, if it was this process that opened it."""
    with contextlib.suppress(IndexError):
        process, limit, database = _left.pop()
        if process == os.getpid():
            return limit, database
    return None


def _left_empty(database: Connection, limit: str, threads: int) -> bool:
    """Empty a database and leave it for the next connection; return False where it is damaged.

    It is left with one thread: those of its own would not survive a fork.
    """
    try:
        if threads != 1:
            database.execute("SET threads = 1")
        tables = database.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        drop = "".join(f"DROP TABLE {name(table)}; " for (table,) in tables)
        # What it has read of files is forgotten: they may be written anew.
        database.execute(f"{drop}SET enable_external_file_cache = false; SET enable_external_file_cache = true")
    except duckdb.Error:
        return False
    _left.append((os.getpid(), limit, database))
    return True


def cores() -> int:
    """Return the number of threads that work within this process may use."""
    return max(1, _machine_cores() // _sharers.get())


@cache
def _machine_cores() -> int:
    """Count the machine's cores as DuckDB does, which knows a container's limits."""
    with _stoppable(), duckdb.connect() as connection:
        return scalar(connection, "SELECT current_setting('threads')")


def in_parallel(
    connection: Connection, work: Callable[[Connection, Item], Result], items: Sequence[Item]
) -> list[Result]:
    """Call `work` for each item, each with a cursor of its own on the same database; results keep the items' order."""

    def run(item: Item) -> Result:
        with connection.cursor() as cursor:
            return work(cursor, item)

    if len(items) == 1:  # a thread for each query of a small day would cost as much as the query
        return [run(items[0])]
    with ThreadPool(min(cores(), max(1, len(items)))) as pool:
        return [future.result() for future in [pool.submit(run, item) for item in items]]


def text(value: object) -> str:
    """Write a value as a SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def path(file: Path) -> str:
    """Write a path as a SQL string literal in which *, ? and [ stand for themselves; see `needs_pattern`."""
    return text(_unglobbed(file))


def needs_pattern(file: Path) -> bool:
    """Return True if only a pattern can name the file, since *, ? or [ stands in its path.

    In a pattern each backslash is a separator, and a neighbour whose name begins with one makes it fail.
    """
    return bool(_GLOB.search(str(file)))


def name(identifier: str) -> str:
    """Write a quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def parquet(*files: Path) -> str:
    """Write Parquet files as a table of a query; * in the last part of a path stands for many."""
    names = ", ".join(text(_unglobbed(file.parent) + "/" + file.name) for file in files)
    return f"read_parquet([{names}], hive_partitioning=false)"


def copy_to(path: Path, query: str, compression: str = "zstd") -> str:
    """Return the statement that writes a query's rows to a Parquet file.

    zstd's level 1 instead of its usual 3 writes a tenth faster and a twelfth larger.
    """
    level = ", COMPRESSION_LEVEL 1" if compression == "zstd" else ""
    packing = f"COMPRESSION {compression}{level}"
    return f"COPY ({query}) TO {text(path)} (FORMAT parquet, {packing}, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"


def write(
    connection: duckdb.DuckDBPyConnection, target: Path, query: str, scratch: Path, compression: str = "zstd"
) -> int:
    """Write a query's rows to a Parquet file by way of `scratch`, whole or not at all, and return their number.

    What a failed COPY wrote DuckDB removes by its name, now or a while later: no second attempt may have that name.
    """
    aside = scratch / f"{uuid.uuid4().hex}.parquet"
    rows = scalar(connection, copy_to(aside, query, compression))
    aside.replace(target)
    return rows


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the single number that a query gives; null counts as 0."""
    rows = connection.execute(query).fetchall()  # all: a result left open blocks the connection
    return int(rows[0][0] or 0) if rows else 0


def _unglobbed(file: Path) -> str:
    """Write a path so that DuckDB takes no character of it for a pattern: each such one alone in brackets."""
    return _GLOB.sub(r"[\1]", str(file))
