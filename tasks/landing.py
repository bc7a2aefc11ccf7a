"""Read what landed: Parquet, JSON lines or CSV, compressed or not, as staged Parquet whose rows keep their number.

The fast path lets DuckDB read a file; where it stumbles over a malformed line, the file is read again line by line,
and each line that can't be read is kept with its number and the reason. A file that can't be read at all (a
truncated gzip stream, no Parquet) is one unreadable file beside the rows of the others.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DataRejectedError, UsageError
from tasks import duck

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from models.schema import Column

ROW = "file_row_number"  # 0-based among the file's rows; DuckDB's own name of a Parquet row's number
SLOW_PATH_ROWS = 50_000  # rows of one batch on the slow path


@dataclass(frozen=True)
class MalformedRow:
    """A line that holds no row: its 1-based number, why, and its beginning."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class LandedFile:
    """A readable file as staged Parquet, with the lines that were not."""

    name: str  # file name below the day's landing folder
    parquet: Path
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    malformed: list[MalformedRow] = field(default_factory=list)


@dataclass(frozen=True)
class UnreadableFile:
    """A file of which nothing was kept, and why."""

    name: str
    reason: str


def landed_files(landing: Path, stream: str, day: date) -> list[Path]:
    """The files that landed on a day, sorted; names that begin with . or _ don't count."""
    folder = landing / stream / f"dt={day}"
    if not landing.is_dir():
        msg = f"landing zone {landing}: expected a folder, received none. Set --landing."
        raise UsageError(msg)
    return sorted(path for path in folder.glob("*") if path.is_file() and path.name[0] not in "._")


def fingerprint(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Name and SHA-256 of each file: what makes two landings equal."""
    found = []
    for path in paths:
        with path.open("rb") as file:
            found.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return found


def read_file(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: tuple[Column, ...], staging: Path
) -> LandedFile | UnreadableFile:
    """One landed file, staged; `wanted` names the columns to look for in JSON lines."""
    target = staging / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.parquet"
    try:
        if ".parquet" in path.suffixes:
            return _read_parquet(connection, path)
        if {".csv", ".tsv"} & set(path.suffixes):
            return _read_csv(connection, path, target)
        if {".jsonl", ".ndjson", ".json"} & set(path.suffixes):
            return _read_json_lines(connection, path, wanted, target)
    except (duckdb.IOException, duckdb.InvalidInputException, OSError, EOFError, zlib.error, UnicodeError) as error:
        return UnreadableFile(path.name, str(error).split("\n", maxsplit=1)[0])
    return UnreadableFile(path.name, "expected .parquet, .jsonl or .csv, with .gz, .zst or nothing behind it")


def read_day(
    connection: duckdb.DuckDBPyConnection, paths: list[Path], wanted: tuple[Column, ...], staging: Path
) -> tuple[list[LandedFile], list[UnreadableFile]]:
    """All files of one stream and day; a file without a required column is unreadable.

    Raises DataRejectedError where files landed and none of them could be read.
    """
    files: list[LandedFile] = []
    unreadable: list[UnreadableFile] = []
    for path in paths:
        landed = read_file(connection, path, wanted, staging)
        if isinstance(landed, LandedFile) and (missing := _missing_columns(connection, landed, wanted)):
            landed = UnreadableFile(
                path.name, f"column missing: expected {', '.join(missing)}, received {', '.join(landed.columns)}"
            )
        if isinstance(landed, LandedFile):
            files.append(landed)
        else:
            unreadable.append(landed)
    if unreadable and not files:
        first = unreadable[0]
        msg = (
            f"{paths[0].parent}: expected at least one readable file, received {len(unreadable)} unreadable; "
            f"{first.name}: {first.reason}. Mend the export, or map your column names under [landing.columns]."
        )
        raise DataRejectedError(msg, unreadable={file.name: file.reason for file in unreadable})
    return files, unreadable


def _missing_columns(
    connection: duckdb.DuckDBPyConnection, landed: LandedFile, wanted: tuple[Column, ...]
) -> list[str]:
    required = [column.source for column in wanted if column.required]
    missing = [source for source in required if source not in landed.columns]
    present = [source for source in required if source in landed.columns]
    if missing or not landed.rows or not present:
        return missing
    # JSON lines name their keys anew in each row: a key that no row has is a missing column.
    counts = ", ".join(f"count({duck.name(source)})" for source in present)
    row = connection.execute(f"SELECT {counts} FROM read_parquet({duck.text(landed.parquet)})").fetchone()
    return [source for source, n in zip(present, row or (), strict=True) if n == 0]


def _read_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> LandedFile:
    source = f"read_parquet({duck.text(path)}, hive_partitioning=false)"
    columns = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    return LandedFile(path.name, path, columns, duck.scalar(connection, f"SELECT count(*) FROM {source}"))


def _read_csv(connection: duckdb.DuckDBPyConnection, path: Path, target: Path) -> LandedFile:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    with _open_text(path) as lines:
        header = next(csv.reader(lines, delimiter=delimiter), [])
    names = _distinct_names(header)
    types = "{" + ", ".join(f"{duck.text(name)}: 'VARCHAR'" for name in names) + "}"
    source = (
        f"read_csv({duck.text(path)}, auto_detect=false, header=true, columns={types}, "
        f"delim={duck.text(delimiter)}, quote='\"', escape='\"', hive_partitioning=false)"
    )
    try:
        return _stage(connection, path, source, names, target)
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        with _open_text(path) as lines:
            return _stage_rows(path, _parse_csv(lines, names, delimiter), names, target)


def _read_json_lines(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: tuple[Column, ...], target: Path
) -> LandedFile:
    names = sorted({column.source for column in wanted} | _json_keys(path))
    types = "{" + ", ".join(f"{duck.text(name)}: 'VARCHAR'" for name in names) + "}"
    source = f"read_json({duck.text(path)}, format='newline_delimited', columns={types}, hive_partitioning=false)"
    try:
        return _stage(connection, path, source, names, target)
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        with _open_text(path) as lines:
            return _stage_rows(path, _parse_json_lines(lines), names, target)


def _stage(
    connection: duckdb.DuckDBPyConnection, path: Path, source: str, names: list[str], target: Path
) -> LandedFile:
    """Fast path: DuckDB reads every column as text and numbers the rows in the file's order."""
    query = f"SELECT *, row_number() OVER () - 1 AS {ROW} FROM {source}"
    rows = duck.scalar(connection, duck.copy_to(target, query))
    return LandedFile(path.name, target, dict.fromkeys(names, "VARCHAR"), rows)


def _stage_rows(
    path: Path, rows: Iterator[dict[str, str | None] | MalformedRow], names: list[str], target: Path
) -> LandedFile:
    """Slow path: rows parsed one by one, the malformed ones kept apart."""
    schema = pa.schema([(name, pa.string()) for name in names] + [(ROW, pa.int64())])
    malformed: list[MalformedRow] = []
    batch: list[dict[str, Any]] = []
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        count = 0
        for position, row in enumerate(rows):
            if isinstance(row, MalformedRow):
                malformed.append(row)
                continue
            batch.append({**row, ROW: position})
            count += 1
            if len(batch) == SLOW_PATH_ROWS:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch.clear()
        writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
    return LandedFile(path.name, target, dict.fromkeys(names, "VARCHAR"), count, malformed)


def _parse_json_lines(lines: IO[str]) -> Iterator[dict[str, str | None] | MalformedRow]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            yield MalformedRow(number, f"malformed_json: {error}", line[:2000].rstrip("\n"))
            continue
        if isinstance(value, dict):
            yield {key: _as_text(item) for key, item in value.items()}
        else:
            yield MalformedRow(number, "malformed_json: expected an object", line[:2000].rstrip("\n"))


def _parse_csv(lines: IO[str], names: list[str], delimiter: str) -> Iterator[dict[str, str | None] | MalformedRow]:
    reader = csv.reader(lines, delimiter=delimiter)
    next(reader, None)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield MalformedRow(line, f"malformed_csv: {error}", "")
            continue
        if len(values) == len(names):
            yield {name: value or None for name, value in zip(names, values, strict=True)}
        elif values:
            reason = f"malformed_csv: expected {len(names)} fields, received {len(values)}"
            yield MalformedRow(line, reason, delimiter.join(values)[:2000])


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _json_keys(path: Path) -> set[str]:
    """The keys of a file's first rows: enough to report columns that the recipe doesn't know."""
    keys: set[str] = set()
    with _open_text(path) as lines:
        for row, _ in zip(_parse_json_lines(lines), range(100), strict=False):
            if isinstance(row, dict):
                keys |= row.keys()
    return keys


def _distinct_names(header: list[str]) -> list[str]:
    """Column names of a CSV header; one without a name, or with another's, is called after its position."""
    names: list[str] = []
    for position, name in enumerate(part.strip() for part in header):
        names.append(name if name and name not in names else f"column{position}")
    return names


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    if path.suffix == ".zst":
        return io.TextIOWrapper(pa.input_stream(str(path), compression="zstd"), "utf-8", "replace", newline="")
    return path.open("r", encoding="utf-8", errors="replace", newline="")
