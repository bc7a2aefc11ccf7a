"""Deduplicate a stream of landed rows: each is kept, a duplicate, or quarantined with a reason, and the three add up.

Two passes over the files. The first reads what rules and keys need and keeps eight bytes a row: a hash of the key. Rows
whose hash occurs more than once are compared by key; losers and bad rows are known by their place then, and the second
pass writes all others as they come. A hash collision merely makes two rows be compared.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.ingest.first_pass import Scan, Stream, fill_table, leave_out, scan_part
from ctr_retrain.tasks.ingest.second_pass import quarantine_lines, write_part
from ctr_retrain.tasks.landing.file_parts import LandedFile, cut_into_parts, whole_file
from ctr_retrain.tasks.landing.read_landing import Reading
from ctr_retrain.tasks.reading.read_stream import damaged_files, files_too_long, read_day
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.shards import WHOLE

if TYPE_CHECKING:
    from pathlib import Path


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


def deduplicate(connection: duck.Connection, stream: Stream, folder: Path, scratch: Path) -> Deduplicated:
    """Write the stream's rows below `folder`, the kept ones by event day, the quarantined ones with their reasons.

    Raises DataRejectedError where files came in and none can be read, StorageError where rows don't add up.
    """
    reading = Reading(stream.wanted, scratch, stream.landing, partial(_clean_or_fail, stream))
    files, unreadable = read_day(connection, stream.paths, reading)
    reasons = {file.name: file.reason for file in unreadable}
    try:
        counts, bad, unreadable_values = _split(connection, stream, files, folder, scratch)
    except duckdb.Error as error:
        # Some damage shows only while rows are read. Each file, read alone, tells whether it has any; then all is
        # written anew, without the damaged ones.
        if isinstance(error, duck.OUT_OF_MEMORY):
            damaged = files_too_long(files, scratch)
        else:
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
    members = [member for file in files for member in file.members]
    reasons |= {member.name: member.damage for member in members if member.damage}
    columns = {name for file in files for name in file.names}
    rows_in_files = sum(member.positions for member in members)
    named = {f"{stream.name}/{name}": reason for name, reason in reasons.items()}
    quarantined = {
        f"{stream.name}/{file.name}": (bad[file.name], file.positions) for file in members if file.name in bad
    }
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
    scans = duck.in_parallel(connection, lambda cursor, part: scan_part(cursor, stream, part), cut_into_parts(files))
    bad = pa.concat_tables(scan.bad for scan in scans)
    if bad.num_rows:
        fill_table(connection, "bad", bad)
    duplicates, left_out = leave_out(connection, stream, scans, bad)
    with progress_of(f"writing {stream.name} of {stream.day}", "parts") as progress:
        done: list[int] = []

        def write(cursor: duck.Connection, scan: Scan) -> tuple[int, int]:
            written = write_part(cursor, stream, scan, left_out, folder, scratch)
            done.append(scan.part.number)
            progress(len(done), len(scans))
            return written

        written = duck.in_parallel(connection, write, scans)
    # A line that holds no row has no event_id to go by, so the first shard has all of them.
    malformed = quarantine_lines(stream, [] if stream.shard.number else files, folder)
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


def _bad_by_file(files: list[LandedFile], scans: list[Scan]) -> Counter[str]:
    """Count the quarantined rows of each file that has any, malformed lines of `files` among them."""
    members = [member for file in files for member in file.members]
    found = Counter({member.name: member.malformed for member in members if member.malformed})
    for scan in scans:
        names = {file.number: file.name for row_range in scan.part.row_ranges for file in row_range.file.members}
        for number, rows in Counter(scan.bad["slice"].to_pylist()).items():
            found[names[number]] += rows
    return found
