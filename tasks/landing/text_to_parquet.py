"""Staging of text files as Parquet, rows in the file's order, malformed lines apart.

Every value is read as a text, by one reader, so that a row means the same whatever stands beside it. There are three
ways, each for files on which the one before fails. DuckDB reads the file and makes our columns of it at once, which
goes well where every row is usable. DuckDB reads it as it landed. A torn file, or one in which a line holds no row, is
read line by line, and each such line is kept with its number and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.csv_records import Values, parse_csv, read_header
from ctr_retrain.tasks.landing.json_rows import Place, read_json_rows, with_nested
from ctr_retrain.tasks.landing.landed_bytes import is_text, printable
from ctr_retrain.tasks.landing.landed_values import read_footer
from ctr_retrain.tasks.landing.parse_lines import MALFORMED, Lines, Malformed, MalformedRow

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.landing.text_blocks import Look

# Makes a query of our columns, which fails at the first row that can't be used, from a table with ROW and the types of
# its columns by name.
Clean = Callable[[str, dict[str, str]], str]

ROW = "file_row_number"  # 0-based among the file's rows; DuckDB's own name of a Parquet row's number
# Of a table that holds several files' rows: each row's file, by its number among the day's files and by its name.
FILE_NUMBER, FILE_NAME = "landed_file_number", "landed_file_name"
PLACE = "landed_file_place"  # of a row or file, by which it finds its file's number and name
OURS = frozenset({ROW, FILE_NUMBER, FILE_NAME, PLACE})  # no landed column is called so
SLOW_PATH_ROWS = 50_000  # rows of one batch of CSV records
SCRATCH_COMPRESSION = "lz4_raw"  # of files that live for minutes
# Raised by DuckDB where a row isn't as the way of reading expects it; anything else is a failure of the machine.
UNEXPECTED_ROW = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.NotSupportedError)


@dataclass(frozen=True)
class Staged:
    """A text file staged as Parquet."""

    parquet: Path
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    names: frozenset[str]  # of the columns that landed with a value
    numbered: bool = False  # the Parquet holds ROW as a column, since malformed lines are missing among its rows
    cleaned: bool = False  # it holds our columns and no others, each row usable
    malformed: Malformed = field(default_factory=Malformed)


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
    names = distinct_names(header)
    columns = dict.fromkeys(names, "VARCHAR")
    source = csv_table(look.plain, look, names)
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

    A key that is null wherever it stands is one too: its rows are quarantined one by one where it is required.

    wanted: key → DuckDB type in which a file of usable rows is read; its values are those that the texts' rules make.
    look: the result of looking the file over. clean: makes our columns at once, where given.
    """
    names = column_names([*wanted, *look.keys])
    staged = _stage_json_fast(connection, look, wanted, names, target, clean) if look.one_reading else None
    staged = staged or _stage_objects(connection, look, list(wanted), names, target)
    if staged.cleaned or not staged.rows:
        return staged
    empty = read_footer(staged.parquet).always_null - look.keys.keys()
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
        try:
            table = with_nested(json_table(look.plain, typed), typed, wanted)
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
    with RowWriters(target, names) as writers:
        for rows, places, malformed in read_json_rows(connection, [lines], names, wanted):
            writers.write(rows, places)
            writers.set_aside(malformed)
        writers.set_aside_torn(lines, look.damage)
    return writers.staged(names)


def _stage_records(look: Look, names: list[str], target: Path) -> Staged:
    """Stage the records of CSV one by one; malformed ones, and the line at which a file is torn, are kept apart."""
    lines = Lines(look.plain, torn=bool(look.damage))
    with RowWriters(target, names) as writers:
        write_records(writers, [lines], look, names)
        writers.set_aside_torn(lines, look.damage)
    return writers.staged(names)


def write_records(writers: RowWriters, texts: Sequence[Lines], look: Look, names: list[str]) -> None:
    """Write the records of CSV texts whose headers give these names, and set malformed ones aside."""
    records: list[Values] = []
    places: list[Place] = []

    def flush() -> None:
        columns = zip(*records, strict=True) if records else ([] for _ in names)
        writers.write(pa.table([pa.array(column, pa.string()) for column in columns], names=names), places)
        records.clear()
        places.clear()

    for text, lines in enumerate(texts):
        for number, record in enumerate(parse_csv(lines, len(names), look.form.delimiter)):
            if isinstance(record, MalformedRow):
                writers.set_aside([(text, record)])
                continue
            records.append(record)
            places.append((text, number))
            if len(records) == SLOW_PATH_ROWS:
                flush()
    flush()


class RowWriters:
    """Two Parquet files that are written as rows come: of the rows with their places, and of malformed lines."""

    def __init__(self, target: Path, names: list[str], files: Sequence[tuple[int, str]] = ()) -> None:
        """Open both files, the second beside `target`.

        files: numbers and names of those whose rows come, where they are several.
        """
        self._target, self._aside = target, target.with_suffix(".malformed.parquet")
        self._numbers = pa.array([number for number, _ in files], pa.int32())
        self._names = pa.array([name for _, name in files], pa.string())
        ours = [(ROW, pa.int64()), *([(FILE_NUMBER, pa.int32()), (FILE_NAME, pa.string())] if files else [])]
        self._schema = pa.schema([*((name, pa.string()) for name in names), *ours])
        self._aside_schema = pa.schema([*MALFORMED, *([(FILE_NAME, pa.string())] if files else [])])
        self._rows = pq.ParquetWriter(target, self._schema, compression="zstd")
        self._malformed = pq.ParquetWriter(self._aside, self._aside_schema, compression="zstd")
        self.rows = [0] * max(1, len(files))  # of each file
        self.malformed = [0] * max(1, len(files))

    def __enter__(self) -> Self:
        """Return the writers."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close both files."""
        self._rows.close()
        self._malformed.close()

    def write(self, rows: pa.Table, places: list[Place]) -> None:
        """Add rows; places: each one's file, among those that come, and its number in it, from 0."""
        file, row = np.array(places, np.int64).reshape(-1, 2).T
        rows = rows.append_column(ROW, pa.array(row, pa.int64()))
        if len(self._names):
            rows = rows.append_column(FILE_NUMBER, self._numbers.take(pa.array(file)))
            rows = rows.append_column(FILE_NAME, self._names.take(pa.array(file)))
        self._rows.write_table(rows.cast(self._schema))
        for one, count in enumerate(np.bincount(file, minlength=len(self.rows)).tolist()):
            self.rows[one] += count

    def set_aside(self, malformed: list[tuple[int, MalformedRow]]) -> None:
        """Add malformed lines, each with its file among those that come."""
        if malformed:
            lines = pa.Table.from_pylist([asdict(row) for _, row in malformed], schema=MALFORMED)
            if len(self._names):
                lines = lines.append_column(FILE_NAME, self._names.take(pa.array([file for file, _ in malformed])))
            self._malformed.write_table(lines.cast(self._aside_schema))
        for file, _ in malformed:
            self.malformed[file] += 1

    def set_aside_torn(self, lines: Lines, damage: str, file: int = 0) -> None:
        """Add the line at which a file is torn, if anything stands in it, behind all others."""
        if lines.torn.strip():
            row = self.rows[file] + self.malformed[file] + 1
            torn = MalformedRow(row, lines.count + 1, f"torn: {damage}", printable(lines.torn))
            self.set_aside([(file, torn)])

    def staged(self, names: list[str]) -> Staged:
        """Return what was staged, once both files are closed."""
        columns = dict.fromkeys(names, "VARCHAR")
        malformed = Malformed(sum(self.malformed), self._aside)
        return Staged(self._target, columns, sum(self.rows), frozenset(names), numbered=True, malformed=malformed)


def csv_table(path: Path, look: Look, names: list[str]) -> str:
    """Return a CSV text as a table of a query; look: of it, or of one that is written alike."""
    columns = _typed(dict.fromkeys(names, "VARCHAR"))
    return (
        f"read_csv({duck.path(path)}, auto_detect=false, header=true, columns={columns}, "
        f"delim={duck.text(look.form.delimiter)}, quote='\"', escape='\"', compression='none', "
        "hive_partitioning=false)"
    )


def json_table(path: Path, columns: dict[str, str]) -> str:
    """Return a text of JSON lines as a table of a query; columns: key → DuckDB type."""
    return (
        f"read_json({duck.path(path)}, format='newline_delimited', columns={_typed(columns)}, "
        "compression='none', hive_partitioning=false)"
    )


def _typed(columns: dict[str, str]) -> str:
    """Write columns and their types as an SQL struct, which DuckDB's readers take."""
    return "{" + ", ".join(f"{duck.text(name)}: '{type_}'" for name, type_ in columns.items()) + "}"


def column_names(keys: Iterable[str]) -> list[str]:
    """Return JSON's keys as column names: of two that differ in case alone the first, since DuckDB ignores case."""
    names: dict[str, str] = {}
    for key in keys:
        if key and key.lower() not in OURS and is_text(key):
            names.setdefault(key.lower(), key)
    return list(names.values())


def distinct_names(header: list[str]) -> list[str]:
    """Return the column names of a CSV header; one without a name, or with another's, is called after its position."""
    names: list[str] = []
    seen = set(OURS)
    for position, name in enumerate(part.strip() for part in header):
        known = name and is_text(name) and name.lower() not in seen
        names.append(name if known else f"column{position}")
        seen.add(names[-1].lower())
    return names
