"""Text files staged as Parquet, rows in the file's order, malformed lines apart.

Three ways, each for what the one before stumbles over. DuckDB reads the file and makes our columns of it at once, which
goes well where every row is usable. DuckDB reads it as it landed, all columns as texts. A torn file, or one with
malformed lines, is read line by line, and each line that can't be read is kept with its number and the reason.
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

Clean = Callable[[str, dict[str, str]], str]
"""Makes of a table with ROW, whose columns are named with their types, a query of our columns that fails at the first
row that can't be used."""

ROW = "file_row_number"  # 0-based among the file's rows; DuckDB's own name of a Parquet row's number
SLOW_PATH_ROWS = 50_000  # rows of one batch on the slow path
SCRATCH_COMPRESSION = "lz4_raw"  # of files that live for minutes
MALFORMED = pa.schema([("row", pa.int64()), ("line", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])
STUMBLES = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.NotSupportedError)


@dataclass(frozen=True)
class Malformed:
    """A file's malformed lines: how many, and where they are kept; a day's worth need not fit into memory."""

    count: int = 0
    path: Path | None = None

    def __len__(self) -> int:
        """How many."""
        return self.count

    def __iter__(self) -> Iterator[MalformedRow]:
        """Each of them, in the file's order."""
        for batch in self.batches():
            yield from (MalformedRow(**row) for row in batch.to_pylist())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The same, many at a time: columns as MALFORMED says."""
        if self.path is not None and self.count:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches()


@dataclass(frozen=True)
class Staged:
    """A staged file.

    names: that landed, of columns with a value. numbered: whether the Parquet holds ROW as a column, since malformed
    lines are missing among its rows. cleaned: whether it holds our columns and no others, each row of them usable.
    """

    parquet: Path
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    names: frozenset[str]
    numbered: bool = False
    cleaned: bool = False
    malformed: Malformed = Malformed()


def stage_csv(connection: duck.Connection, path: Path, look: Look, target: Path, clean: Clean | None) -> Staged:
    """A CSV file with a header, or a TSV file, as Parquet at `target`."""
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    names = _distinct_names(next(csv.reader(Lines(path), delimiter=delimiter), ["no_header"]))
    columns = dict.fromkeys(names, "VARCHAR")
    source = (
        f"read_csv({duck.path(look.plain)}, auto_detect=false, header=true, columns={_typed(columns)}, "
        f"delim={duck.text(delimiter)}, quote='\"', escape='\"', hive_partitioning=false)"
    )
    for way in () if look.damage else (clean, None):
        with suppress(*STUMBLES):
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
    """A file of JSON lines as Parquet at `target`, with the wanted keys and others; one that no row has is no column.

    wanted: key → DuckDB type, in which it is read where the whole file lets it; where one doesn't, all are texts.
    """
    names = _different_names([*wanted, *look.keys])
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
    """As DuckDB reads it, cleaned, typed or as texts; None where a line is malformed."""
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
        except STUMBLES as error:
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
    """DuckDB reads the file in its order; raises one of STUMBLES where it can't read a line, or not clean a row."""
    if clean is None:
        rows = duck.write(connection, target, f"SELECT * FROM {source}", target.parent, SCRATCH_COMPRESSION)
        return Staged(target, columns, rows, names)
    numbered = f"(SELECT *, row_number() OVER () - 1 AS {ROW} FROM {source})"
    rows = duck.write(connection, target, clean(numbered, columns), target.parent)
    return Staged(target, {}, rows, names, cleaned=True)


def _stage_lines(path: Path, parse: Callable[[Iterator[str]], Rows], names: list[str], target: Path) -> Staged:
    """Rows parsed one by one, the malformed ones, and the line at which a file is torn, kept apart."""
    lines, position = Lines(path), -1
    schema = pa.schema([(name, pa.string()) for name in names] + [(ROW, pa.int64())])
    aside = target.with_suffix(".malformed.parquet")
    with _Writer(target, schema) as rows, _Writer(aside, MALFORMED) as malformed:
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


class _Writer:
    """A Parquet file that takes rows one by one."""

    def __init__(self, target: Path, schema: pa.Schema) -> None:
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
        """Take a row."""
        self._batch.append(row)
        self.count += 1
        if len(self._batch) == SLOW_PATH_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._file.write_batch(pa.RecordBatch.from_pylist(self._batch, schema=self._schema))
        self._batch.clear()


def _typed(columns: dict[str, str]) -> str:
    return "{" + ", ".join(f"{duck.text(name)}: '{type_}'" for name, type_ in columns.items()) + "}"


def _different_names(keys: Iterable[str]) -> list[str]:
    """The keys as column names. DuckDB's don't tell case: of two keys that differ in case alone the first is read."""
    names: dict[str, str] = {}
    for key in keys:
        if key and key.lower() != ROW and is_text(key):
            names.setdefault(key.lower(), key)
    return list(names.values())


def _distinct_names(header: list[str]) -> list[str]:
    """Column names of a CSV header; one without a name, or with another's, is called after its position."""
    names: list[str] = []
    seen = {ROW}
    for position, name in enumerate(part.strip() for part in header):
        known = name and is_text(name) and name.lower() not in seen
        names.append(name if known else f"column{position}")
        seen.add(names[-1].lower())
    return names
