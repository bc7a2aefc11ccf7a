"""Statistics in a Parquet file's footer: what they promise of a column needn't be checked value by value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

FIRST_VISIBLE = "!"  # a text that is empty or begins with a blank sorts before it


@dataclass(frozen=True)
class Footer:
    """The columns of which a footer promises something."""

    never_null: frozenset[str] = frozenset()  # without a null
    always_null: frozenset[str] = frozenset()  # of nulls alone
    never_blank: frozenset[str] = frozenset()  # of texts, none of which is empty or begins with a blank


def read_footer(path: Path) -> Footer:
    """Read the promises of all row groups together; a column without statistics promises nothing."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException):  # DuckDB may read what Arrow doesn't, and looks at the values then
        return Footer()
    names = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    never_null, always_null, never_blank = set(names), set(names), set(names)
    for group in range(metadata.num_row_groups):
        for index, name in enumerate(names):
            column = metadata.row_group(group).column(index)
            statistics = column.statistics
            nulls = statistics.null_count if statistics is not None and statistics.has_null_count else None
            if nulls != 0:
                never_null.discard(name)
            if nulls != column.num_values:
                always_null.discard(name)
            if statistics is None or not _visible(statistics):
                never_blank.discard(name)
    return Footer(frozenset(never_null), frozenset(always_null), frozenset(never_blank))


def _visible(statistics: pq.Statistics) -> bool:
    """Return True if even the smallest of a column's texts has something to be seen."""
    # Other types are not looked at: reading the minimum of dates fails where it lies before the year 1.
    if statistics.physical_type != "BYTE_ARRAY" or not statistics.has_min_max:
        return False
    return isinstance(statistics.min, str) and statistics.min >= FIRST_VISIBLE
