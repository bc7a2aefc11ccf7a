"""Staging of text files as Parquet, rows in the file's order, malformed lines apart.

Every value is read as a text, by one reader, so that a row means the same whatever stands beside it. There are three
ways, each for files on which the one before fails. DuckDB reads the file and makes our columns of it at once, which
goes well where every row is usable. DuckDB reads it as it landed. A torn file, or one in which a line holds no row, is
read line by line, and each such line is kept with its number and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.csv_records import Values, parse_csv, read_header
from ctr_retrain.tasks.landing.json_rows import read_json_rows, with_nested
from ctr_retrain.tasks.landing.landed_bytes import is_text
from ctr_retrain.tasks.landing.landed_values import read_footer
from ctr_retrain.tasks.landing.parse_lines import Lines, MalformedRow, printable

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.landing.text_blocks import Look

# Makes a query of our columns, which fails at the first row that can't be used, from a table with ROW and the types of
# its columns by name.
Clean = Callable[[str, dict[str, str]], str]

ROW = "file_row_number"  # 0-based among the file's rows; DuckDB's own name of a Parquet row's number
SLOW_PATH_ROWS = 50_000  # rows of one batch of CSV records
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


class HeaderError(ValueError):
    """A CSV file whose first line gives no column names."""


def stage_csv(connection: duck.Connection, look: Look, target: Path, clean: Clean | None) -> Staged:
    """Stage a CSV file as Parquet at `target`; raises HeaderError where it has no line of column names.

    look: the result of looking the file over. clean: makes our columns at once, where given.
    """
    delimiter = look.form.delimiter
    header = read_header(look.head, delimiter)
    if isinstance(header, str):
        raise HeaderError(header)
    names = _distinct_names(header)
    columns = dict.fromkeys(names, "VARCHAR")
    source = (
        f"read_csv({duck.path(look.plain)}, auto_detect=false, header=true, columns={_typed(columns)}, "
        f"delim={duck.text(delimiter)}, quote='\"', escape='\"', compression='none', "
        "hive_partitioning=false)"
    )
    fast = look.one_reading and not look.head.startswith((b"\r", b"\n"))
    for way in (clean, None) if fast else ():
        with suppress(*UNEXPECTED_ROW):
            staged = _stage_fast(connection, source, columns, target, frozenset(names), way)
            if staged.rows == look.rows - 1:
                return staged
    return _stage_records(look, names, target)


def stage_json_lines(
    connection: duck.Connection, look: Look, wanted: dict[str, str], target: Path, clean: Clean | None
) -> Staged:
    """Stage a file of JSON lines as Parquet at `target`, with a column of texts for each key that a row has.

    wanted: key → DuckDB type in which a file of usable rows is read; its values are those that the texts' rules make.
    look: the result of looking the file over. clean: makes our columns at once, where given.
    """
    names = _column_names([*wanted, *look.keys])
    staged = _stage_json_fast(connection, look, wanted, names, target, clean) if look.one_reading else None
    staged = staged or _stage_objects(connection, look, list(wanted), names, target)
    if staged.cleaned or not staged.rows:
        return staged
    empty = read_footer(staged.parquet).always_null
    columns = {name: type_ for name, type_ in staged.columns.items() if name not in empty}
    return replace(staged, columns=columns, names=frozenset(columns))


def _stage_json_fast(
    connection: duck.Connection, look: Look, wanted: dict[str, str], names: list[str], target: Path, clean: Clean | None
) -> Staged | None:
    """Stage a file as DuckDB reads it, cleaned or as it landed; None where a line of it holds no row."""
    seen = look.keys.keys() & set(names)
    ways: list[tuple[dict[str, str], Clean | None]] = [(dict.fromkeys(names, "VARCHAR"), None)]
    # Typed numbers are those that the texts' rules make, and spare a text each: a twelfth of the time.
    if clean and (known := {name: wanted[name] for name in names if name in wanted}):
        ways.insert(0, (known, clean))
    for typed, way in ways:
        source = (
            f"read_json({duck.path(look.plain)}, format='newline_delimited', columns={_typed(typed)}, "
            "compression='none', hive_partitioning=false)"
        )
        try:
            table = with_nested(source, typed, wanted)
            staged = _stage_fast(connection, table, typed, target, frozenset(seen), way)
        except UNEXPECTED_ROW as error:
            if "Malformed JSON" in str(error):
                return None
            continue
        return staged if staged.rows == look.rows else None
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


def _stage_objects(
    connection: duck.Connection, look: Look, wanted: list[str], names: list[str], target: Path
) -> Staged:
    """Stage the lines that are JSON objects; malformed ones, and the line at which a file is torn, are kept apart."""
    lines = Lines(look.plain, torn=bool(look.damage))
    with _Writers(target, names) as writers:
        for rows, numbers, malformed in read_json_rows(connection, lines, names, wanted):
            writers.write(rows, numbers)
            writers.set_aside(malformed)
        writers.set_aside_torn(lines, look.damage)
    return writers.staged(names)


def _stage_records(look: Look, names: list[str], target: Path) -> Staged:
    """Stage the records of CSV one by one; malformed ones, and the line at which a file is torn, are kept apart."""
    lines = Lines(look.plain, torn=bool(look.damage))
    records: list[Values] = []
    numbers: list[int] = []
    with _Writers(target, names) as writers:

        def flush() -> None:
            columns = zip(*records, strict=True) if records else ([] for _ in names)
            table = pa.table([pa.array(column, pa.string()) for column in columns], names=names)
            writers.write(table, numbers)
            records.clear()
            numbers.clear()

        for number, record in enumerate(parse_csv(lines, len(names), look.form.delimiter)):
            if isinstance(record, MalformedRow):
                writers.set_aside([record])
                continue
            records.append(record)
            numbers.append(number)
            if len(records) == SLOW_PATH_ROWS:
                flush()
        flush()
        writers.set_aside_torn(lines, look.damage)
    return writers.staged(names)


class _Writers:
    """Two Parquet files that are written as rows come: of the rows with their numbers, and of malformed lines."""

    def __init__(self, target: Path, names: list[str]) -> None:
        """Open both files, the second beside `target`."""
        self._target, self._aside = target, target.with_suffix(".malformed.parquet")
        self._schema = pa.schema([(name, pa.string()) for name in names] + [(ROW, pa.int64())])
        self._rows = pq.ParquetWriter(target, self._schema, compression="zstd")
        self._malformed = pq.ParquetWriter(self._aside, MALFORMED, compression="zstd")
        self._counts = {"rows": 0, "malformed": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._malformed.close()

    def write(self, rows: pa.Table, numbers: list[int]) -> None:
        """Add rows; numbers: theirs among the file's rows, from 0."""
        self._rows.write_table(rows.append_column(ROW, pa.array(numbers, pa.int64())).cast(self._schema))
        self._counts["rows"] += len(numbers)

    def set_aside(self, malformed: list[MalformedRow]) -> None:
        """Add malformed lines."""
        if malformed:
            self._malformed.write_table(pa.Table.from_pylist([asdict(row) for row in malformed], schema=MALFORMED))
        self._counts["malformed"] += len(malformed)

    def set_aside_torn(self, lines: Lines, damage: str) -> None:
        """Add the line at which the file is torn, if anything stands in it, behind all others."""
        if lines.torn.strip():
            row = sum(self._counts.values()) + 1
            self.set_aside([MalformedRow(row, lines.count + 1, f"torn: {damage}", printable(lines.torn))])

    def staged(self, names: list[str]) -> Staged:
        """Return what was staged, once both files are closed."""
        columns = dict.fromkeys(names, "VARCHAR")
        malformed = Malformed(self._counts["malformed"], self._aside)
        rows = self._counts["rows"]
        return Staged(self._target, columns, rows, frozenset(names), numbered=True, malformed=malformed)


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
