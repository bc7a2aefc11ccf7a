"""Second pass over a stream of landed rows: the rows to keep as they are published, the others into the quarantine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.first_pass import rows_at
from ctr_retrain.tasks.landing.landed_bytes import RAW_CHARACTERS
from ctr_retrain.tasks.landing.parse_lines import MALFORMED
from ctr_retrain.tasks.landing.text_to_parquet import FILE_NAME
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.shards import WHOLE

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.ingest.first_pass import Scan, Stream
    from ctr_retrain.tasks.landing.file_parts import LandedFile, RowRange

# Columns of the quarantine's files.
QUARANTINE = pa.schema([("file", pa.string()), *MALFORMED, ("value", pa.string())])


def write_part(
    connection: duck.Connection, stream: Stream, scan: Scan, left_out: frozenset[int], folder: Path, scratch: Path
) -> tuple[int, int]:
    """Make the second pass over a part: write its rows to keep, a file an event day, and its bad ones; count both.

    left_out: the numbers of the files of which rows are left out, by the table of that name.
    """
    row_ranges = [_without(row_range, left_out) for row_range in scan.part.row_ranges]
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


def _published_as_it_is(stream: Stream, scan: Scan, row_ranges: list[RowRange]) -> Path | None:
    """Return the cleaned file that holds the part's rows and no others, if there is one."""
    all_of_it = len(row_ranges) == 1 and not row_ranges[0].condition and scan.rows_in == row_ranges[0].file.rows
    return row_ranges[0].file.cleaned if all_of_it and stream.shard == WHOLE else None


def _without(row_range: RowRange, left_out: frozenset[int]) -> RowRange:
    """Return the row range without the rows of it that are left out."""
    if not any(member.number in left_out for member in row_range.file.members):
        return row_range
    places = row_range.file.places_in("left_out")
    return replace(row_range, condition=f"{row_range.file.place_sql} NOT IN ({places})")


def _quarantine_rows(connection: duck.Connection, stream: Stream, scan: Scan, folder: Path, scratch: Path) -> int:
    """Write a part's bad rows with file, row, reason and their beginning. `row` counts from 1 among the file's rows."""
    bad = rows_at(scan.part.row_ranges, scan.bad, "bad")
    query = (
        "SELECT _file AS file, (_row + 1)::BIGINT AS row, NULL::BIGINT AS line, _reason AS reason, "
        f"left(_raw::VARCHAR, {RAW_CHARACTERS}) AS raw, _value AS value FROM ({stream.query(bad)})"
    )
    target = folder / layout.QUARANTINE / f"{stream.name}-{scan.part.number:04d}.parquet"
    return duck.write(connection, target, query, scratch)


def quarantine_lines(stream: Stream, files: list[LandedFile], folder: Path) -> int:
    """Write the stream's malformed lines, also where there are none; return how many.

    Their `row` counts blank lines and a CSV header for none, `line` for one each.
    """
    count = 0
    target = folder / layout.QUARANTINE / f"{stream.name}-lines.parquet"
    with pq.ParquetWriter(target, QUARANTINE, compression="zstd") as writer:
        for file in files:
            for batch in file.malformed.batches():
                name = batch[FILE_NAME] if file.several else pa.repeat(file.name, len(batch))
                columns = [name, *(batch[column] for column in MALFORMED.names), pa.nulls(len(batch), pa.string())]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=QUARANTINE))
                count += len(batch)
    return count
