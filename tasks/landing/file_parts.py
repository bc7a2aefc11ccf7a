"""Landed files as tables, and their parts, each read, checked and written as a file by one thread.

So the work spreads over the cores, memory stays that of a few row groups, and the result doesn't depend on how many
cores there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_values import Footer
from ctr_retrain.tasks.landing.parse_lines import Malformed
from ctr_retrain.tasks.landing.text_to_parquet import FILE_NAME, FILE_NUMBER, ROW

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


MOST_TABLES = 64  # of one part: each costs its queries a SELECT
ROW_BITS = 32  # of a place, behind the file's number


@dataclass(frozen=True)
class Member:
    """A landed file, whether its rows are a table of their own or stand in one with others'."""

    number: int  # among the day's files, in their order
    name: str  # file name below the day's landing folder
    rows: int
    malformed: int  # lines that hold no row
    names: frozenset[str]  # of the columns that landed with a value
    damage: str = ""  # the error at which the file is torn

    @property
    def positions(self) -> int:
        """Return one more than the greatest number of a row."""
        return self.rows + self.malformed


@dataclass(frozen=True)
class LandedFile:
    """A readable file as a table, with the lines that hold no row; or several small ones as one table."""

    name: str  # file name below the day's landing folder; of several the first one's
    table: str  # of a query; each row has its number in the column ROW
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    names: frozenset[str]  # of the columns that landed with a value
    malformed: Malformed = field(default_factory=Malformed)
    damage: str = ""  # the error at which the file is torn
    footer: Footer = field(default_factory=Footer)
    cleaned: Path | None = None  # Parquet of the rows in our columns, all usable; `table` then has these columns
    staged: bool = False  # the table's Parquet file is ours
    number: int = 0  # among the day's files, in their order; of several the first one's
    several: tuple[Member, ...] = ()  # of which each row says whose it is in FILE_NUMBER and FILE_NAME

    @property
    def positions(self) -> int:
        """Return one more than the greatest number of a row."""
        return self.rows + len(self.malformed)

    @property
    def members(self) -> tuple[Member, ...]:
        """Return the landed files that the table holds."""
        alone = Member(self.number, self.name, self.rows, len(self.malformed), self.names, self.damage)
        return self.several or (alone,)

    @property
    def number_sql(self) -> str:
        """Return the SQL of the number of a row's file."""
        return FILE_NUMBER if self.several else str(self.number)

    @property
    def name_sql(self) -> str:
        """Return the SQL of the name of a row's file."""
        return FILE_NAME if self.several else duck.text(self.name)

    @property
    def place_sql(self) -> str:
        """Return the SQL of a row's place within the table."""
        return f"({FILE_NUMBER}::BIGINT << {ROW_BITS}) + {ROW}" if self.several else ROW

    def places_in(self, table: str) -> str:
        """Return the query of the places of the file's rows in a table with `slice`, a file's number, and `row`."""
        if not self.several:
            return f"SELECT row FROM {table} WHERE slice = {self.number}"
        numbers = [member.number for member in self.several]
        place = f"(slice::BIGINT << {ROW_BITS}) + row"
        return f"SELECT {place} FROM {table} WHERE slice BETWEEN {min(numbers)} AND {max(numbers)}"


@dataclass(frozen=True)
class UnreadableFile:
    """A file of which nothing was kept."""

    name: str
    reason: str


@dataclass(frozen=True)
class RowRange:
    """Rows of one landed file, by their numbers, or all rows of several."""

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
    return [RowRange(file, 0, file.positions)]


def cut_into_parts(files: Iterable[LandedFile]) -> list[Part]:
    """Cut all files' rows into parts of about half a million rows; there is at least one part, also of no file.

    A file of about that size is a part of its own: no row group of it is read for two parts, and a cleaned one can be
    published as it is. Several files in one table are not cut.
    """
    parts: list[list[RowRange]] = [[]]
    room = duck.PART_ROWS
    for file in files:
        if duck.PART_ROWS // 4 <= file.positions <= 2 * duck.PART_ROWS:
            if parts[-1]:
                parts.append([])
            parts[-1].append(RowRange(file, 0, file.positions))
            room = 0
            continue
        first = 0
        while first < file.positions:
            if room <= 0 or len(parts[-1]) == MOST_TABLES:
                parts.append([])
                room = duck.PART_ROWS
            last = file.positions if file.several else min(first + room, file.positions)
            parts[-1].append(RowRange(file, first, last))
            room -= last - first
            first = last
    return [Part(number, tuple(row_ranges)) for number, row_ranges in enumerate(parts)]
