"""Read an event day's impressions with their labels: the landed days' own files and the files of labels, by position.

Whoever reads labelled rows reads them here. Each landed file is compared with what the label object recorded of it, so
labels never come to stand beside other rows than their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import LANDED_LATE
from ctr_retrain.tasks.label.join_outcomes import ELSEWHERE
from ctr_retrain.tasks.label.label_summary import LabelPart, LabelSummary
from ctr_retrain.tasks.store.layout import SUMMARY_FILE
from ctr_retrain.tasks.store.shards import open_existing, open_shards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.store.protocol import Store


@dataclass(frozen=True)
class LabelledFile:
    """A landed file and the file of labels that belongs to it, row for row."""

    impressions: Path  # the landed file
    labels: Path  # as many rows, in the same order
    days_late: int  # from the event day to the landing day
    landed_rows: int  # of either file
    rows: int  # how many of these are the label object's; the others count elsewhere

    def counted(self) -> NDArray[np.bool_]:
        """Return for each landed row whether it is one of the label object's, (landed_rows,)."""
        if self.rows == self.landed_rows:
            return np.ones(self.landed_rows, bool)
        elsewhere: NDArray[np.bool_] = pq.read_table(self.labels, columns=[ELSEWHERE])[ELSEWHERE].to_numpy()
        return ~elsewhere


def labelled_rows(store: Store, day: LabelledDay) -> str:
    """Return the query of a label object's rows, each with its landed columns, LANDED_LATE and its labels, in order.

    Order holds on connections of one thread. Raises StorageError where a file is missing or has another number of rows
    than when it was labelled.
    """
    landings = groupby(labelled_files(store, day), key=lambda file: file.days_late)
    return " UNION ALL BY NAME ".join(_of_one_landing(days_late, list(files)) for days_late, files in landings)


def labelled_files(store: Store, day: LabelledDay) -> list[LabelledFile]:
    """Return the files of a label object's rows, in their order, each pair checked; raises StorageError."""
    found = list(_recorded(store, day))
    folders = {path: open_existing(store, path) for path in dict.fromkeys(part.object for _, part in found)}
    files = []
    for folder, part in found:
        file = LabelledFile(
            folders[part.object] / part.impressions, folder / part.labels, part.days_late, part.landed_rows, part.rows
        )
        for path, what in ((file.impressions, part.object), (file.labels, day.path)):
            _check_rows(path, f"{path.name} of {what} under {store.root}", part.landed_rows)
        files.append(file)
    return files


def _recorded(store: Store, day: LabelledDay) -> Iterator[tuple[Path, LabelPart]]:
    """Yield each part that a label object's summaries describe, with the folder that holds its labels."""
    for folder in open_shards(store, day.path):
        for part in LabelSummary.read(folder / SUMMARY_FILE).parts:
            yield folder, part


def _check_rows(path: Path, what: str, expected: int) -> None:
    """Raise StorageError where a Parquet file is gone or has not the expected number of rows."""
    received = f"{pq.read_metadata(path).num_rows:,}" if path.is_file() else "no file"
    if received != f"{expected:,}":
        msg = (
            f"{what}: expected the {expected:,} rows that were labelled, received {received}. It was changed where it "
            "lies: restore it from a backup, or remove these labels and what landed, run `ingest`, and run again."
        )
        raise StorageError(msg)


def _of_one_landing(days_late: int, files: list[LabelledFile]) -> str:
    """Return the query of rows that landed on one day: one scan of all its files, far cheaper than one of each."""
    impressions, labels = (duck.parquet(*(getattr(file, side) for file in files)) for side in ("impressions", "labels"))
    counted = f" WHERE NOT {ELSEWHERE}" if any(file.rows < file.landed_rows for file in files) else ""
    return (
        f"SELECT i.*, {days_late}::SMALLINT AS {LANDED_LATE}, l.* EXCLUDE ({ELSEWHERE}) "
        f"FROM {impressions} i POSITIONAL JOIN {labels} l{counted}"
    )
