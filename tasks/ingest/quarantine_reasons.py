"""Count why rows of a landed day can't be used, with an example of each reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.parse_lines import one_line
from ctr_retrain.tasks.store.layout import QUARANTINE
from ctr_retrain.tasks.store.shards import shard_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.documents.day_documents import Counts
    from ctr_retrain.tasks.store.protocol import Store

MOST_REASONS = 12  # shown of a stream; there are hardly more


@dataclass(frozen=True)
class QuarantinedRows:
    """Rows of a stream that can't be used for one reason, and the first of them as an example."""

    stream: str  # impressions or outcomes
    kind: str  # the reason's kind, such as ts_too_old
    rows: int
    reason: str  # the example's, with details where there are any
    file: str  # that the example landed in
    row: int  # its number there
    raw: str  # its beginning, as it landed
    value: str | None = None  # the example's value for which it can't be used; None where it has none

    @property
    def words(self) -> str:
        """Say for a person how many rows there are, why, and which value the example has."""
        example = "" if self.value is None else f", such as {self.value!r}"
        return f"{self.stream} {self.kind} {self.rows:,}{example}"


def quarantine_reasons(store: Store, path: str, scratch: Path) -> list[QuarantinedRows]:
    """List why rows of a landed day's object can't be used, for each stream the most frequent reason first."""
    found: list[QuarantinedRows] = []
    with duck.connect(scratch) as connection:
        for stream in ("impressions", "outcomes"):
            # Of a bucket the quarantine alone: a page isn't worth fetching a whole day for.
            files = shard_files(store, path, f"{QUARANTINE}/{stream}-")
            if not files:
                continue
            # An older version kept no value.
            value = "min_by(value, (file, row))" if "value" in pq.read_schema(files[0]).names else "NULL"
            # The example of a reason is the first by file and row, so that a page made again shows the same one.
            rows = connection.sql(
                "SELECT split_part(reason, ':', 1) AS kind, count(*), min_by(reason, (file, row)), "
                "min_by(file, (file, row)), min_by(row, (file, row)), left(min_by(raw, (file, row)), 160), "
                f"{value} "
                f"FROM {duck.parquet(*files)} GROUP BY kind ORDER BY 2 DESC, 1 LIMIT {MOST_REASONS}"
            ).fetchall()
            found += [QuarantinedRows(stream, *row) for row in rows]
    return found


def mostly_quarantined(files: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """Name the files of which over half of the rows can't be used, in words.

    files: quarantined rows and all rows of each.
    """
    return {
        name: f"{quarantined:,} of {rows:,} rows quarantined"
        for name, (quarantined, rows) in sorted(files.items())
        if 2 * quarantined > rows
    }


def nothing_usable(connection: duck.Connection, folders: list[Path], day: date, counts: Counts) -> DataRejectedError:
    """Return the error of a day that is empty or holds no usable row, with the commonest reason and an example."""
    if not counts.received:
        return DataRejectedError(
            f"impressions of {day} are empty: expected rows, received files without any. Check the export job."
        )
    quarantine = duck.parquet(*(folder / QUARANTINE / "*.parquet" for folder in folders))
    row = connection.execute(
        "SELECT split_part(reason, ':', 1) AS kind, count(*), min_by(file, (file, row)), min_by(raw, (file, row)), "
        f"min_by(value, (file, row)) FROM {quarantine} GROUP BY kind ORDER BY count(*) DESC, kind LIMIT 1"
    ).fetchone()
    reason, rows, file, raw, value = row or ("", 0, "", "", None)
    example = str(raw)[:200] if value is None else f"{value!r} in {str(raw)[:200]}"
    return DataRejectedError(
        f"impressions of {day}: expected usable rows, received none of {counts.received}; most often "
        f"{one_line(reason)} ({rows} rows, such as {one_line(example)} in {one_line(file)}). "
        "Mend the export or [landing] in the recipe.",
        reason=reason,
    )
