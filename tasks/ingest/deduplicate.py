"""Deduplicate a stream of landed rows: each is kept, a duplicate, or quarantined with a reason, and the three add up.

Two passes over the files. The first reads what rules and keys need and keeps eight bytes a row: a hash of the key. Rows
whose hash occurs more than once are compared by key; losers and bad rows are known by their place then, and the second
pass writes all others as they come. A hash collision merely makes two rows be compared.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.data.schema import Column
from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.ingest.hash_filter import HashFilter
from ctr_retrain.tasks.landing.column_rules import ORIGIN
from ctr_retrain.tasks.landing.file_parts import LandedFile, Part, RowRange, cut_into_parts, whole_file
from ctr_retrain.tasks.landing.parse_lines import RAW_CHARACTERS
from ctr_retrain.tasks.landing.read_landing import damaged_files, read_day
from ctr_retrain.tasks.landing.text_to_parquet import MALFORMED, ROW
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.shards import WHOLE, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

BAD = -(2**15)  # instead of the days that a row landed late: it can't be used
# Columns of the quarantine's files.
QUARANTINE = pa.schema([("file", pa.string()), *MALFORMED, ("value", pa.string())])


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
    max_file_bytes: int  # of one file, unpacked
    shard: Shard = WHOLE  # events that are ingested; lines that hold no row belong to the first shard
    flags: Mapping[str, list[str]] = field(default_factory=dict)  # see `unreadable_flags`

    @property
    def published(self) -> str:
        """Return the SQL of the columns that are published."""
        return f"* EXCLUDE ({', '.join(['_reason', *ORIGIN, *self.flags])})"


@dataclass(frozen=True)
class Deduplicated:
    """The outcome of deduplicating a stream."""

    counts: Counts  # rows received, kept, duplicates and quarantined, of this shard
    rows_in_files: int  # of all shards
    unreadable: dict[str, str]  # unreadable and torn files by `stream/name`, with what is wrong
    columns: set[str]  # all that the files have
    quarantined: dict[str, tuple[int, int]]  # by `stream/name` of a file with quarantined rows: these, and all its rows
    files: list[LandedFile]  # those of which rows were read
    unreadable_values: Counter[str]  # values by column of ours that are missing because they couldn't be read


@dataclass(frozen=True)
class _Scan:
    """A part after the first pass: its usable rows by key and place, in order, and the places of the others."""

    part: Part  # the row ranges that were scanned
    hashes: NDArray[np.uint64]  # (usable rows,), of the key
    rows: NDArray[np.uint32]  # (usable rows,), the row's number in its file
    row_ranges: NDArray[np.int64]  # (row ranges of the part,), how many of the usable rows each has
    ages: dict[int, int]  # days that rows landed late → usable rows
    unreadable_values: Counter[str]  # of the usable rows, by column
    bad: pa.Table  # places of the other rows: slice, which is the row range's number, and row

    @property
    def rows_in(self) -> int:
        """Number of rows that came in."""
        return len(self.hashes) + int(self.bad.num_rows)

    def places(self, found: NDArray[np.intp]) -> pa.Table:
        """Return the places, slice and row, of the usable rows at these positions."""
        numbers = np.array([row_range.number for row_range in self.part.row_ranges], np.int64)
        number = numbers[np.searchsorted(np.cumsum(self.row_ranges), found, side="right")]
        return pa.table({"slice": number, "row": self.rows[found]})


def deduplicate(connection: duck.Connection, stream: Stream, folder: Path, scratch: Path) -> Deduplicated:
    """Write the stream's rows below `folder`, the kept ones by event day, the quarantined ones with their reasons.

    Raises DataRejectedError where files came in and none can be read, StorageError where rows don't add up.
    """
    clean = partial(_clean_or_fail, stream)
    files, unreadable = read_day(connection, stream.paths, stream.wanted, scratch, stream.max_file_bytes, clean)
    reasons = {file.name: file.reason for file in unreadable}
    try:
        counts, bad, unreadable_values = _split(connection, stream, files, folder, scratch)
    except duckdb.Error:
        # Some damage shows only while rows are read. Each file, read alone, tells whether it has any; then all is
        # written anew, without the damaged ones.
        damaged = damaged_files(files, lambda file: stream.query(whole_file(file)), scratch)
        files = [file for file in files if file.name not in damaged]
        reasons |= damaged
        if not damaged:
            raise
        if not files:
            msg = f"{stream.paths[0].parent}: expected at least one readable file, received damaged ones: {damaged}"
            raise DataRejectedError(msg, unreadable=damaged) from None
        for written in (*(folder / stream.name).iterdir(), *(folder / layout.QUARANTINE).glob(f"{stream.name}-*")):
            written.unlink()
        counts, bad, unreadable_values = _split(connection, stream, files, folder, scratch)
    reasons |= {file.name: file.damage for file in files if file.damage}
    columns = {name for file in files for name in file.names}
    rows_in_files = sum(file.positions for file in files)
    named = {f"{stream.name}/{name}": reason for name, reason in reasons.items()}
    quarantined = {f"{stream.name}/{file.name}": (bad[file.name], file.positions) for file in files if file.name in bad}
    return Deduplicated(counts, rows_in_files, named, columns, quarantined, files, unreadable_values)


def _clean_or_fail(stream: Stream, file: LandedFile) -> str:
    """Return the query of a whole file's rows as they are published.

    A row that can't be used is an error, and so is a value that can't be read, since it has to be counted.
    """
    rows = stream.query(whole_file(file))
    good = " AND ".join(["_reason IS NULL", *(f"{flags} = 0" for flags in stream.flags)])
    fail = f"CASE WHEN {good} THEN true ELSE error('unusable') END"
    return f"SELECT {stream.published} FROM ({rows}) WHERE {fail}"


def _split(
    connection: duck.Connection, stream: Stream, files: list[LandedFile], folder: Path, scratch: Path
) -> tuple[Counts, Counter[str], Counter[str]]:
    """Find bad and repeated rows in a first pass, write all rows in a second; raise StorageError unless they add up.

    Returns the counts of rows, the quarantined rows of each file that has any, and values that couldn't be read.
    """
    scans = duck.in_parallel(connection, lambda cursor, part: _scan(cursor, stream, part), cut_into_parts(files))
    _fill_table(connection, "bad", pa.concat_tables(scan.bad for scan in scans))
    connection.execute("CREATE OR REPLACE TABLE left_out AS SELECT * FROM bad")
    duplicates = _leave_duplicates_out(connection, stream, scans)
    with progress_of(f"writing {stream.name} of {stream.day}", "parts") as progress:
        done: list[int] = []

        def write(cursor: duck.Connection, scan: _Scan) -> tuple[int, int]:
            written = _write(cursor, stream, scan, folder, scratch)
            done.append(scan.part.number)
            progress(len(done), len(scans))
            return written

        written = duck.in_parallel(connection, write, scans)
    # A line that holds no row has no event_id to go by, so the first shard has all of them.
    malformed = _quarantine_lines(stream, [] if stream.shard.number else files, folder)
    uncut = stream.shard == WHOLE
    received = malformed + (sum(file.rows for file in files) if uncut else sum(scan.rows_in for scan in scans))
    kept, quarantined = sum(kept for kept, _ in written), sum(bad for _, bad in written) + malformed
    counts = Counts(received=received, kept=kept, duplicates=duplicates, quarantined=quarantined)
    # Duplicates were counted by key and the kept rows as written: else the sum would hold whatever happened.
    if not counts.conserved:
        msg = (
            f"{stream.name}: expected received = kept + duplicates + quarantined, received {counts!r}; please report it"
        )
        raise StorageError(msg)
    values = sum((scan.unreadable_values for scan in scans), Counter())
    return counts, _bad_by_file([] if stream.shard.number else files, scans), values


def _bad_by_file(files: list[LandedFile], scans: list[_Scan]) -> Counter[str]:
    """Count the quarantined rows of each file that has any, malformed lines of `files` among them."""
    found = Counter({file.name: len(file.malformed) for file in files if file.malformed})
    for scan in scans:
        names = {row_range.number: row_range.file.name for row_range in scan.part.row_ranges}
        for number, rows in Counter(scan.bad["slice"].to_pylist()).items():
            found[names[number]] += rows
    return found


def _scan(connection: duck.Connection, stream: Stream, part: Part) -> _Scan:
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
    first = part.row_ranges[0].number if part.row_ranges else 0
    ages, rows = np.unique(good["age"], return_counts=True)
    return _Scan(
        part,
        good["hash"],
        good["row"].astype(np.uint32),
        np.bincount(good["slice"] - first, minlength=len(part.row_ranges)),
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


def _leave_duplicates_out(connection: duck.Connection, stream: Stream, scans: list[_Scan]) -> int:
    """Add all but the first of the rows of each key to `left_out`; return how many these are, counted by key."""
    repeated = _repeated(scans)
    if not len(repeated):
        return 0
    search = HashFilter([repeated])
    suspects = [scan.places(search.positions(scan.hashes)) for scan in scans]
    _fill_table(connection, "suspects", pa.concat_tables(suspects))
    columns = f"{stream.key}, ts, _slice AS slice, _row AS row"
    no_rows = f"SELECT {columns} FROM ({stream.query(scans[0].part.row_ranges)}) LIMIT 0"
    connection.execute(f"CREATE OR REPLACE TABLE candidates AS {no_rows}")

    def collect(cursor: duck.Connection, item: tuple[_Scan, pa.Table]) -> None:
        scan, places = item
        chosen = _only(scan.part.row_ranges, places, "suspects")
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


def _repeated(scans: list[_Scan]) -> NDArray[np.uint64]:
    """Return the hashes that more than one row has, sorted."""
    hashes = np.concatenate([scan.hashes for scan in scans])
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _fill_table(connection: duck.Connection, name: str, rows: pa.Table) -> None:
    """Make a table of DuckDB's own: cursors on the same database see it, but not a table that was registered."""
    connection.register("rows_of_table", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM rows_of_table")
    connection.unregister("rows_of_table")


def _only(row_ranges: Iterable[RowRange], places: pa.Table, table: str) -> list[RowRange]:
    """Return the row ranges that have places in a table of (slice, row), with these rows alone."""
    numbers = set(places["slice"].unique().to_pylist())
    return [
        replace(row_range, condition=f"{ROW} IN (SELECT row FROM {table} WHERE slice = {row_range.number})")
        for row_range in row_ranges
        if row_range.number in numbers
    ]


def _write(connection: duck.Connection, stream: Stream, scan: _Scan, folder: Path, scratch: Path) -> tuple[int, int]:
    """Make the second pass over a part: write its rows to keep, a file an event day, and its bad ones; count both."""
    row_ranges = [_without(connection, row_range) for row_range in scan.part.row_ranges]
    rows, kept = stream.query(row_ranges), 0
    for age in scan.ages or ([] if scan.part.number else [0]):  # the first part is written also if it holds no row
        event_day = stream.day - timedelta(days=age)
        query = f"SELECT {stream.published} FROM ({rows}) WHERE {stream.shard.holds}"
        if len(scan.ages) > 1:
            query += f" AND ts >= DATE '{event_day}' AND ts < DATE '{event_day + timedelta(days=1)}'"
        target = folder / stream.name / layout.part_file(event_day, scan.part.number)
        if len(scan.ages) == 1 and (ready := _published_as_it_is(stream, scan, row_ranges)):
            target.hardlink_to(ready)  # no rename: where another file turns out to be damaged, all is written anew
            kept += scan.rows_in
            continue
        kept += duck.write(connection, target, query, scratch)
    return kept, _quarantine_rows(connection, stream, scan, folder, scratch) if scan.bad.num_rows else 0


def _published_as_it_is(stream: Stream, scan: _Scan, row_ranges: list[RowRange]) -> Path | None:
    """Return the cleaned file that holds the part's rows and no others, if there is one."""
    all_of_it = len(row_ranges) == 1 and not row_ranges[0].condition and scan.rows_in == row_ranges[0].file.rows
    return row_ranges[0].file.cleaned if all_of_it and stream.shard == WHOLE else None


def _without(connection: duck.Connection, row_range: RowRange) -> RowRange:
    """Return the row range without the rows of it that are left out."""
    rows = f"SELECT row FROM left_out WHERE slice = {row_range.number}"
    some = connection.execute(f"{rows} LIMIT 1").fetchall()
    return replace(row_range, condition=f"{ROW} NOT IN ({rows})") if some else row_range


def _quarantine_rows(connection: duck.Connection, stream: Stream, scan: _Scan, folder: Path, scratch: Path) -> int:
    """Write a part's bad rows with file, row, reason and their beginning. `row` counts from 1 among the file's rows."""
    bad = _only(scan.part.row_ranges, scan.bad, "bad")
    query = (
        "SELECT _file AS file, (_row + 1)::BIGINT AS row, NULL::BIGINT AS line, _reason AS reason, "
        f"left(_raw::VARCHAR, {RAW_CHARACTERS}) AS raw, _value AS value FROM ({stream.query(bad)})"
    )
    target = folder / layout.QUARANTINE / f"{stream.name}-{scan.part.number:04d}.parquet"
    return duck.write(connection, target, query, scratch)


def _quarantine_lines(stream: Stream, files: list[LandedFile], folder: Path) -> int:
    """Write the stream's malformed lines, also where there are none; return how many.

    Their `row` counts blank lines and a CSV header for none, `line` for one each.
    """
    count = 0
    target = folder / layout.QUARANTINE / f"{stream.name}-lines.parquet"
    with pq.ParquetWriter(target, QUARANTINE, compression="zstd") as writer:
        for file in files:
            for batch in file.malformed.batches():
                name, value = pa.repeat(file.name, len(batch)), pa.nulls(len(batch), pa.string())
                writer.write_batch(pa.RecordBatch.from_arrays([name, *batch.columns, value], schema=QUARANTINE))
                count += len(batch)
    return count
