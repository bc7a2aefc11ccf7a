"""Landed files as tables, and their parts, each read, checked and written as a file by one thread, in the files' order.

So the work spreads over the cores, memory stays that of a few row groups, and the result doesn't depend on how many
cores there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_values import Footer
from ctr_retrain.tasks.landing.text_to_parquet import ROW, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class LandedFile:
    """A readable file as a table, with the lines that hold no row."""

    name: str  # file name below the day's landing folder
    table: str  # of a query; each row has its number in the column ROW
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    names: frozenset[str]  # of the columns that landed with a value
    malformed: Malformed = field(default_factory=Malformed)
    damage: str = ""  # the error at which the file is torn
    footer: Footer = field(default_factory=Footer)
    cleaned: Path | None = None  # Parquet of the rows in our columns, all usable; `table` then has these columns
    staged: bool = False  # the table's Parquet file is ours

    @property
    def positions(self) -> int:
        """Return one more than the greatest number of a row."""
        return self.rows + len(self.malformed)


@dataclass(frozen=True)
class UnreadableFile:
    """A file of which nothing was kept."""

    name: str
    reason: str


@dataclass(frozen=True)
class RowRange:
    """Rows of one landed file, by their numbers."""

    number: int  # among the row ranges of its day and stream
    file: LandedFile
    first: int
    last: int  # not included
    condition: str = ""  # SQL, on the landed columns and ROW

    @property
    def table(self) -> str:
        """Return the rows as a table of a query."""
        conditions = [self.condition] if self.condition else []
        if self.first > 0 or self.last < self.file.positions:
            conditions.append(f"{ROW} >= {self.first} AND {ROW} < {self.last}")
        return f"(SELECT * FROM {self.file.table} WHERE {' AND '.join(conditions)})" if conditions else self.file.table


@dataclass(frozen=True)
class Part:
    """Row ranges that are written to one file."""

    number: int
    row_ranges: tuple[RowRange, ...]


def whole_file(file: LandedFile) -> list[RowRange]:
    """Return all rows of a file as one row range."""
    return [RowRange(0, file, 0, file.positions)]


def cut_into_parts(files: Iterable[LandedFile]) -> list[Part]:
    """Cut all files' rows into parts of about half a million rows; there is at least one part, also of no file.

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
