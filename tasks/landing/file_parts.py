"""Landed files cut into parts: what one thread reads, checks and writes as one Parquet file, in the files' own order.

So the work spreads over the cores, memory stays that of a few row groups, and what comes out doesn't depend on how many
cores there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.tasks.landing.read_landing import LandedFile


@dataclass(frozen=True)
class RowRange:
    """Rows of one landed file, by their numbers: from `first` up to, and without, `last`."""

    number: int  # among the slices of its day and stream
    file: LandedFile
    first: int
    last: int
    condition: str = ""  # SQL, on the landed columns and ROW

    @property
    def table(self) -> str:
        """The rows as a table of a query."""
        conditions = [self.condition] if self.condition else []
        if self.first > 0 or self.last < self.file.positions:
            conditions.append(f"{ROW} >= {self.first} AND {ROW} < {self.last}")
        return f"(SELECT * FROM {self.file.table} WHERE {' AND '.join(conditions)})" if conditions else self.file.table


@dataclass(frozen=True)
class Part:
    """Slices that are written to one file."""

    number: int
    row_ranges: tuple[RowRange, ...]


def whole(file: LandedFile) -> list[RowRange]:
    """A file's rows in one slice."""
    return [RowRange(0, file, 0, file.positions)]


def cut(files: Iterable[LandedFile]) -> list[Part]:
    """All files' rows in parts of about half a million rows; at least one part, also of no file.

    A file of about that size is a part of its own: no row group of it is read for two parts, and a cleaned one can be
    published as it is.
    """
    parts: list[list[RowRange]] = [[]]
    room, number = duck.PART_ROWS, 0
    for file in files:
        if duck.PART_ROWS // 4 <= file.positions <= 2 * duck.PART_ROWS:
            if parts[-1]:
                parts.append([])
            parts[-1].append(RowRange(number, file, 0, file.positions))
            room, number = 0, number + 1
            continue
        first = 0
        while first < file.positions:
            if not room:
                parts.append([])
                room = duck.PART_ROWS
            last = min(first + room, file.positions)
            parts[-1].append(RowRange(number, file, first, last))
            room -= last - first
            first, number = last, number + 1
    return [Part(number, tuple(row_ranges)) for number, row_ranges in enumerate(parts)]
