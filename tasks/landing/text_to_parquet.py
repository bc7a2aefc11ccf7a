"""Staging of text files as Parquet, rows in the file's order, malformed lines apart.

There are three ways, each for files on which the one before fails. DuckDB reads the file and makes our columns of it at
once, which goes well where every row is usable. DuckDB reads it as it landed, all columns as texts. A torn file, or one
with malformed lines, is read line by line, and each line that can't be read is kept with its number and the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.parquet_statistics import read_footer
from ctr_retrain.tasks.landing.parse_lines import MalformedRow, Rows, is_text, parse_csv, parse_json_lines, printable
from ctr_retrain.tasks.landing.text_blocks import Lines, Look

if TYPE_CHECKING:
    from pathlib import Path

# Makes a query of our columns, which fails at the first row that can't be used, from a table with ROW and the types of
# its columns by name.
Clean = Callable[[str, dict[str, str]], str]

ROW = "file_row_number"  # 0-based among the file's rows; DuckDB's own name of a Parquet row's number
SLOW_PATH_ROWS = 50_000  # rows of one batch on the slow path
SCRATCH_COMPRESSION = "lz4_raw"  # of files that live for minutes
MALFORMED = pa.schema([("row", pa.int64()), ("line", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])
# Raised by DuckDB where a row isn't as the way of reading expects it; anything else is a failure of the machine.
UNEXPECTED_ROW = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.NotSupportedError)


@dataclass(frozen=True)
class Malformed:
    """A file's malformed lines, kept on disk: a day's worth need not fit into memory."""

    count: int = 0
    path: Path | None = None  # of a Parquet file with the columns of MALFORMED; None where there are none

    def __len__(self) -> int:
        """Return the number of malformed lines."""
        return self.count

    def __iter__(self) -> Iterator[MalformedRow]:
        """Read one malformed line after the other, in the file's order."""
        for batch in self.batches():
            yield from (MalformedRow(**row) for row in batch.to_pylist())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read many malformed lines at a time, with the columns of MALFORMED."""
        if self.path is not None and self.count:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches()


@dataclass(frozen=True)
class Staged:
    """A text file staged as Parquet."""

    parquet: Path
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    names: frozenset[str]  # of the columns that landed with a value
    numbered: bool = False  # the Parquet holds ROW as a column, since malformed lines are missing among its rows
    cleaned: bool = False  # it holds our columns and no others, each row usable
    malformed: Malformed = Malformed()


def stage_csv(connection: duck.Connection, path: Path, look: Look, target: Path, clean: Clean | None) -> Staged:
    """Stage a CSV file with a header, or a TSV file, as Parquet at `target`.

    look: the result of looking the file over. clean: makes our columns at once, where given.
    """
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    names = _distinct_names(next(csv.reader(Lines(path), delimiter=delimiter), ["no_header"]))
    columns = dict.fromkeys(names, "VARCHAR")
    source = (
        f"read_csv({duck.path(look.plain)}, auto_detect=false, header=true, columns={_typed(columns)}, "
        f"delim={duck.text(delimiter)}, quote='\"', escape='\"', hive_partitioning=false)"
    )
    for way in () if look.damage else (clean, None):
        with suppress(*UNEXPECTED_ROW):
            return _stage_fast(connection, source, columns, target, frozenset(names), way)
    return _stage_lines(path, lambda lines: parse_csv(lines, names, delimiter), names, target)


def stage_json_lines(
    connection: duck.Connection,
    path: Path,
    look: Look,
    wanted: dict[str, str],
    target: Path,
    clean: Clean | None,
) -> Staged:
    """Stage a file of JSON lines as Parquet at `target`, with a column for each key that a row has.

    wanted: key → DuckDB type, in which it is read where all rows allow that; where one row doesn't, all are texts.
    look: the result of looking the file over. clean: makes our columns at once, where given.
    """
    names = _column_names([*wanted, *look.keys])
    staged = None if look.damage else _stage_json_fast(connection, look, wanted, names, target, clean)
    staged = staged or _stage_lines(path, parse_json_lines, names, target)
    if staged.cleaned or not staged.rows:
        return staged
    empty = read_footer(staged.parquet).always_null
    columns = {name: type_ for name, type_ in staged.columns.items() if name not in empty}
    return replace(staged, columns=columns, names=frozenset(columns))


def _stage_json_fast(
    connection: duck.Connection, look: Look, wanted: dict[str, str], names: list[str], target: Path, clean: Clean | None
) -> Staged | None:
    """Stage a file as DuckDB reads it: cleaned, else typed, else as texts; None where a line is malformed."""
    known = {name: wanted[name] for name in names if name in wanted}
    typed = {name: wanted.get(name, "VARCHAR") for name in names}
    seen = frozenset(look.keys) & frozenset(names)
    ways: list[tuple[dict[str, str], Clean | None]] = [(known, clean)] if clean and known else []
    ways += [(columns, None) for columns in (typed, dict.fromkeys(names, "VARCHAR"))]
    for columns, way in ways:
        source = (
            f"read_json({duck.path(look.plain)}, format='newline_delimited', columns={_typed(columns)}, "
            "hive_partitioning=false)"
        )
        try:
            return _stage_fast(connection, source, columns, target, seen, way)
        except UNEXPECTED_ROW as error:
            if "Malformed JSON" in str(error):
                return None
    return None


def _stage_fast(
    connection: duck.Connection,
    source: str,
    columns: dict[str, str],
    target: Path,
    names: frozenset[str],
    clean: Clean | None,
) -> Staged:
    """Let DuckDB read the file in its order; raises one of UNEXPECTED_ROW where it can't read a line or clean a row."""
    if clean is None:
        rows = duck.write(connection, target, f"SELECT * FROM {source}", target.parent, SCRATCH_COMPRESSION)
        return Staged(target, columns, rows, names)
    numbered = f"(SELECT *, row_number() OVER () - 1 AS {ROW} FROM {source})"
    rows = duck.write(connection, target, clean(numbered, columns), target.parent)
    return Staged(target, {}, rows, names, cleaned=True)


def _stage_lines(path: Path, parse: Callable[[Iterator[str]], Rows], names: list[str], target: Path) -> Staged:
    """Parse rows one by one; malformed ones, and the line at which a file is torn, are kept apart."""
    lines, position = Lines(path), -1
    schema = pa.schema([(name, pa.string()) for name in names] + [(ROW, pa.int64())])
    aside = target.with_suffix(".malformed.parquet")
    with _RowWriter(target, schema) as rows, _RowWriter(aside, MALFORMED) as malformed:
        for position, row in enumerate(parse(lines)):
            if isinstance(row, MalformedRow):
                malformed.write(asdict(row))
            else:
                rows.write({**row, ROW: position})
        if lines.damage and lines.torn.strip():
            reason = f"torn: {lines.damage}"
            malformed.write(asdict(MalformedRow(position + 2, lines.count + 1, reason, printable(lines.torn))))
    columns = dict.fromkeys(names, "VARCHAR")
    names_seen = frozenset(names)
    return Staged(target, columns, rows.count, names_seen, numbered=True, malformed=Malformed(malformed.count, aside))


class _RowWriter:
    """A Parquet file that is written row by row."""

    def __init__(self, target: Path, schema: pa.Schema) -> None:
        """Open the file."""
        self.count = 0
        self._batch: list[dict[str, Any]] = []
        self._file = pq.ParquetWriter(target, schema, compression="zstd")
        self._schema = schema

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._file.close()

    def write(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self._batch.append(row)
        self.count += 1
        if len(self._batch) == SLOW_PATH_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._file.write_batch(pa.RecordBatch.from_pylist(self._batch, schema=self._schema))
        self._batch.clear()


def _typed(columns: dict[str, str]) -> str:
    """Write columns and their types as an SQL struct, which DuckDB's readers take."""
    return "{" + ", ".join(f"{duck.text(name)}: '{type_}'" for name, type_ in columns.items()) + "}"


def _column_names(keys: Iterable[str]) -> list[str]:
    """Return JSON's keys as column names: of two that differ in case alone the first, since DuckDB ignores case."""
    names: dict[str, str] = {}
    for key in keys:
        if key and key.lower() != ROW and is_text(key):
            names.setdefault(key.lower(), key)
    return list(names.values())


def _distinct_names(header: list[str]) -> list[str]:
    """Return the column names of a CSV header; one without a name, or with another's, is called after its position."""
    names: list[str] = []
    seen = {ROW}
    for position, name in enumerate(part.strip() for part in header):
        known = name and is_text(name) and name.lower() not in seen
        names.append(name if known else f"column{position}")
        seen.add(names[-1].lower())
    return names
