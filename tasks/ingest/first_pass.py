"""First pass over a stream of landed rows: which of them can't be used, and which are duplicates of others.

It reads what rules and keys need and keeps eight bytes a row: a hash of the key. Rows whose hash occurs more than once
are compared by key; losers and bad rows are known by their place then. A hash collision merely makes two rows be
compared.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.hash_filter import HashFilter
from ctr_retrain.tasks.landing.column_rules import ORIGIN
from ctr_retrain.tasks.store.shards import WHOLE, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

    from ctr_retrain.models.data.schema import Column
    from ctr_retrain.models.recipe.landing_section import Landing
    from ctr_retrain.tasks.landing.file_parts import Part, RowRange

BAD = -(2**15)  # instead of the days that a row landed late: it can't be used


@dataclass(frozen=True)
class Stream:
    """Impressions or outcomes that landed on a day, before they are ingested."""

    name: str  # IMPRESSIONS or OUTCOMES
    day: date  # the landing day
    paths: list[Path]  # the landed files
    wanted: tuple[Column, ...]  # columns that the recipe reads of them
    query: Callable[[Iterable[RowRange]], str]  # answers row ranges as our columns, `_reason` and each row's origin
    key: str  # columns, as SQL, by which two rows are one and the same
    by_event_day: bool  # each event day's rows get files of their own: the landing day's, and a few days' before it
    landing: Landing  # the recipe's rules for files, such as a text's size and CSV's delimiter
    shard: Shard = WHOLE  # events that are ingested; lines that hold no row belong to the first shard
    flags: Mapping[str, list[str]] = field(default_factory=dict)  # see `unreadable_flags`

    @property
    def published(self) -> str:
        """Return the SQL of the columns that are published."""
        return f"* EXCLUDE ({', '.join(['_reason', *ORIGIN, *self.flags])})"


@dataclass(frozen=True)
class Scan:
    """A part after the first pass: its usable rows by key and place, in order, and the places of the others."""

    part: Part  # the row ranges that were scanned
    hashes: NDArray[np.uint64]  # (usable rows,), of the key
    rows: NDArray[np.uint32]  # (usable rows,), the row's number in its file
    files: NDArray[np.int32]  # (files of the part,), in the rows' order: their numbers
    runs: NDArray[np.int64]  # (files of the part,), how many of the usable rows each has
    ages: dict[int, int]  # days that rows landed late → usable rows
    unreadable_values: Counter[str]  # of the usable rows, by column
    bad: pa.Table  # places of the other rows: slice, which is the file's number, and row

    @property
    def rows_in(self) -> int:
        """Number of rows that came in."""
        return len(self.hashes) + int(self.bad.num_rows)

    def places(self, found: NDArray[np.intp]) -> pa.Table:
        """Return the places, slice and row, of the usable rows at these positions."""
        number = self.files[np.searchsorted(np.cumsum(self.runs), found, side="right")]
        return pa.table({"slice": number, "row": self.rows[found]})


def scan_part(connection: duck.Connection, stream: Stream, part: Part) -> Scan:
    """Make the first pass over a part: hash each usable row's key, note the others' places and how late rows are."""
    late = f"date_diff('day', ts::DATE, DATE '{stream.day}')" if stream.by_event_day else "0"
    found = connection.execute(
        f"SELECT hash({stream.key}) AS hash, CASE WHEN _reason IS NULL THEN {late} ELSE {BAD} END::SMALLINT AS age, "
        f"_slice::INTEGER AS slice, _row::BIGINT AS row{''.join(f', {flags}' for flags in stream.flags)} "
        f"FROM ({stream.query(part.row_ranges)}) WHERE {stream.shard.holds}"
    ).fetchnumpy()
    bad = found["age"] == BAD
    places = pa.table({name: found[name][bad] for name in ("slice", "row")})
    good = {name: column[~bad] if places.num_rows else column for name, column in found.items()}
    begins = np.flatnonzero(np.diff(good["slice"], prepend=-1))
    ages, rows = np.unique(good["age"], return_counts=True)
    return Scan(
        part,
        good["hash"],
        good["row"].astype(np.uint32),
        good["slice"][begins],
        np.diff(begins, append=len(good["slice"])),
        dict(zip(ages.tolist(), rows.tolist(), strict=True)),
        _count_flags(stream, good),
        places,
    )


def _count_flags(stream: Stream, rows: Mapping[str, NDArray[Any]]) -> Counter[str]:
    """Count by column the values that couldn't be read, of the flags of usable rows."""
    found: Counter[str] = Counter()
    for flags, names in stream.flags.items():
        if rows[flags].any():
            found.update({name: int((rows[flags] >> bit & 1).sum()) for bit, name in enumerate(names)})
    return +found


def leave_out(
    connection: duck.Connection, stream: Stream, scans: list[Scan], bad: pa.Table
) -> tuple[int, frozenset[int]]:
    """Fill `left_out` with the places of bad rows, and of all but the first of the rows of each key.

    Returns how many rows the latter are, counted by key, and the numbers of all files that a row is left out of. Where
    there are none the table is not made.
    """
    repeated = _repeated(scans)
    if not len(repeated) and not bad.num_rows:
        return 0, frozenset()
    fill_table(connection, "left_out", bad)
    duplicates = _leave_duplicates_out(connection, stream, scans, repeated) if len(repeated) else 0
    files = connection.execute("SELECT DISTINCT slice FROM left_out").fetchall()
    return duplicates, frozenset(number for (number,) in files)


def _leave_duplicates_out(
    connection: duck.Connection, stream: Stream, scans: list[Scan], repeated: NDArray[np.uint64]
) -> int:
    """Add all but the first of the rows of each key to `left_out`; return how many these are, counted by key.

    repeated: the hashes of keys that more than one row has, sorted.
    """
    search = HashFilter([repeated])
    suspects = [scan.places(search.positions(scan.hashes)) for scan in scans]
    fill_table(connection, "suspects", pa.concat_tables(suspects))
    columns = f"{stream.key}, ts, _slice AS slice, _row AS row"
    keys = ", ".join(f"{name} VARCHAR" for name in stream.key.split(", "))
    connection.execute(f"CREATE OR REPLACE TABLE candidates ({keys}, ts TIMESTAMP, slice INTEGER, row BIGINT)")

    def collect(cursor: duck.Connection, item: tuple[Scan, pa.Table]) -> None:
        scan, places = item
        chosen = rows_at(scan.part.row_ranges, places, "suspects")
        if chosen:
            cursor.execute(f"INSERT INTO candidates SELECT {columns} FROM ({stream.query(chosen)})")

    duck.in_parallel(connection, collect, list(zip(scans, suspects, strict=True)))
    # Ties of time go by the row's place: a total order, so that the same row is kept each time.
    connection.execute(
        "INSERT INTO left_out SELECT slice, row FROM candidates "
        f"QUALIFY row_number() OVER (PARTITION BY {stream.key} ORDER BY ts, slice, row) > 1"
    )
    groups = f"SELECT count(*) AS n FROM candidates GROUP BY {stream.key}"
    return duck.scalar(connection, f"SELECT coalesce(sum(n - 1), 0) FROM ({groups})")


def rows_at(row_ranges: Iterable[RowRange], places: pa.Table, table: str) -> list[RowRange]:
    """Return the row ranges that have places in a table of (slice, row), with these rows alone."""
    numbers = set(places["slice"].unique().to_pylist())
    return [
        replace(row_range, condition=f"{row_range.file.place_sql} IN ({row_range.file.places_in(table)})")
        for row_range in row_ranges
        if any(member.number in numbers for member in row_range.file.members)
    ]


def _repeated(scans: list[Scan]) -> NDArray[np.uint64]:
    """Return the hashes that more than one row has, sorted."""
    hashes = np.concatenate([scan.hashes for scan in scans])
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def fill_table(connection: duck.Connection, name: str, rows: pa.Table) -> None:
    """Make a table of DuckDB's own: cursors on the same database see it, but not a table that was registered."""
    connection.register("rows_of_table", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM rows_of_table")
    connection.unregister("rows_of_table")
