"""A night's cells as a file, and the rows that were decided differently as the ledger keeps them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.judging.cells import Cells
from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
from ctr_retrain.models.ledger.ledger_documents import ChangedRows, LedgerNight
from ctr_retrain.models.ledger.pooled_nights import Night

if TYPE_CHECKING:
    from collections.abc import Collection

KEYS = ("user_bucket", "campaign", "day")


def write_cells(cells: Cells, path: Path) -> None:
    """Write cells into a Parquet file: a row a cell, its keys and then its sums."""
    keys = {name: pa.array(getattr(cells, name)) for name in KEYS}
    sums = {name: pa.array(cells.sums[:, place]) for place, name in enumerate(cells.names)}
    pq.write_table(pa.table(keys | sums), path, compression="zstd")


def read_cells(path: Path, without: Collection[str] = ()) -> Cells:
    """Read cells from a Parquet file, leaving out some of the sums."""
    table = pq.read_table(path)
    names = tuple(name for name in table.column_names if name not in {*KEYS, *without})
    user_bucket, campaign, day = (table[name].to_numpy().astype(np.int64) for name in KEYS)
    return Cells(names, user_bucket, campaign, day, np.stack([table[name].to_numpy() for name in names], axis=1))


def changed_rows(night: Night) -> dict[str, tuple[ChangedRows, ...]]:
    """Return the rows that were decided differently as the ledger keeps them."""
    return {
        figure: tuple(ChangedRows(day=date.fromordinal(day), **vars(group)) for day, group in groups if group.rows)
        for figure, groups in night.changed.items()
    }


def changed_decisions(night: LedgerNight) -> dict[str, list[tuple[int, ChangedDecisions]]]:
    """Return the rows that were decided differently as the gate counts them."""

    def counted(group: ChangedRows) -> ChangedDecisions:
        return ChangedDecisions(group.rows, group.positives, group.if_positive, group.if_negative, group.apart)

    return {
        figure: [(group.day.toordinal(), counted(group)) for group in groups]
        for figure, groups in night.changed.items()
    }
