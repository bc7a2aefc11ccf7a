"""Read what landed: Parquet, JSON lines or CSV, compressed or not, as staged Parquet whose rows keep their number.

The fast path lets DuckDB read a file; where it stumbles over a malformed line, the file is read again line by line,
and each line that can't be read is kept with its number and the reason. A file that can't be read at all (a
truncated gzip stream, no Parquet) is one unreadable file beside the rows of the others.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DataRejectedError, StorageError
from tasks import duck
from tasks.lines import MalformedRow, Rows, open_text, parse_csv, parse_json_lines, read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.schema import Column

ROW = "file_row_number"  # 0-based among the file's rows; DuckDB's own name of a Parquet row's number
STAGED = "staged"  # folder of Parquet written here, which holds ROW as a column of its own
SLOW_PATH_ROWS = 50_000  # rows of one batch on the slow path
TEXT_FORMATS = {".csv", ".tsv", ".jsonl", ".ndjson", ".json"}


@dataclass(frozen=True)
class LandedFile:
    """A readable file as staged Parquet, with the lines that were not."""

    name: str  # file name below the day's landing folder
    parquet: Path
    columns: dict[str, str]  # name → DuckDB type
    rows: int
    malformed: list[MalformedRow] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The rows as a table of a query, each with its number in the column ROW."""
        numbering = "" if self.parquet.parent.name == STAGED else ", file_row_number=true"
        return f"read_parquet({duck.path(self.parquet)}{numbering}, hive_partitioning=false)"


@dataclass(frozen=True)
class UnreadableFile:
    """A file of which nothing was kept, and why."""

    name: str
    reason: str


def fingerprint(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Name and SHA-256 of each file: what makes two landings equal."""
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
        except OSError as error:
            msg = f"landed file {path}: expected to read it, received: {error.strerror}. Mend its disk or its mode."
            raise StorageError(msg) from error
    return found


def read_file(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: tuple[Column, ...], staging: Path
) -> LandedFile | UnreadableFile:
    """One landed file, staged below `staging`; `wanted` names the columns to look for in JSON lines.

    Raises StorageError where the file is whole and staging it failed: a full disk must not look like a bad file.
    """
    target = staging / STAGED / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.parquet"
    target.parent.mkdir(exist_ok=True)
    try:
        if path.suffix == ".zst":
            read_whole(path)  # DuckDB takes a truncated zstd stream for a short file
        if ".parquet" in path.suffixes:
            return _read_parquet(connection, path)
        if {".csv", ".tsv"} & set(path.suffixes):
            return _read_csv(connection, path, target)
        if TEXT_FORMATS & set(path.suffixes):
            return _read_json_lines(connection, path, wanted, target)
    except (duckdb.Error, OSError, EOFError, zlib.error, UnicodeError) as error:
        return UnreadableFile(path.name, _damage(path, error))
    return UnreadableFile(path.name, "expected .parquet, .jsonl or .csv, with .gz, .zst or nothing behind it")


def _damage(path: Path, error: Exception) -> str:
    """What is wrong with a file that could not be staged; raises StorageError where nothing is."""
    first_line = str(error).split("\n", maxsplit=1)[0]
    if ".parquet" not in path.suffixes and TEXT_FORMATS & set(path.suffixes):
        try:
            read_whole(path)
        except (OSError, EOFError, zlib.error) as damage:
            return str(damage)
        if isinstance(error, (duckdb.IOException, OSError)):
            msg = (
                f"staging {path}: expected a disk with room, received: {first_line}. "
                "Nothing was published; free space or mend the disk and run again."
            )
            raise StorageError(msg) from error
    return first_line


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
        if isinstance(landed, LandedFile) and (missing := _missing_columns(landed, wanted)):
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


def damaged_files(connection: duckdb.DuckDBPyConnection, files: list[LandedFile]) -> dict[str, str]:
    """Parquet files whose footer can be read and whose rows can't, with what is wrong. Reads everything."""
    damaged = {}
    for file in files:
        try:
            connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM {file.table}").fetchall()
        except duckdb.Error as error:
            damaged[file.name] = str(error).split("\n", maxsplit=1)[0]
    return damaged


def _missing_columns(landed: LandedFile, wanted: tuple[Column, ...]) -> list[str]:
    return [column.source for column in wanted if column.required and column.source not in landed.columns]


def _read_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> LandedFile:
    file = LandedFile(path.name, path, {}, 0)
    described = connection.execute(f"DESCRIBE SELECT * EXCLUDE ({ROW}) FROM {file.table}").fetchall()
    rows = duck.scalar(connection, f"SELECT count(*) FROM {file.table}")
    return LandedFile(path.name, path, {row[0]: row[1] for row in described}, rows)


def _read_csv(connection: duckdb.DuckDBPyConnection, path: Path, target: Path) -> LandedFile:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    with open_text(path) as lines:
        names = _distinct_names(next(csv.reader(lines, delimiter=delimiter), ["no_header"]))
    source = (
        f"read_csv({duck.path(path)}, auto_detect=false, header=true, columns={_all_text(names)}, "
        f"delim={duck.text(delimiter)}, quote='\"', escape='\"', hive_partitioning=false)"
    )
    try:
        return _stage(connection, path, source, names, target)
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        with open_text(path) as lines:
            return _stage_rows(path, parse_csv(lines, names, delimiter), names, target)


def _read_json_lines(
    connection: duckdb.DuckDBPyConnection, path: Path, wanted: tuple[Column, ...], target: Path
) -> LandedFile:
    names = _json_names(path, wanted)
    source = (
        f"read_json({duck.path(path)}, format='newline_delimited', columns={_all_text(names)}, hive_partitioning=false)"
    )
    try:
        landed = _stage(connection, path, source, names, target)
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        with open_text(path) as lines:
            landed = _stage_rows(path, parse_json_lines(lines), names, target)
    if not landed.rows:
        return landed
    # JSON lines name their keys anew in each row: a key that no row has is a missing column.
    counts = ", ".join(f"count({duck.name(name)})" for name in names)
    (found,) = connection.execute(f"SELECT {counts} FROM {landed.table}").fetchall()
    columns = {name: "VARCHAR" for name, n in zip(names, found, strict=True) if n}
    return LandedFile(landed.name, landed.parquet, columns, landed.rows, landed.malformed)


def _all_text(names: list[str]) -> str:
    return "{" + ", ".join(f"{duck.text(name)}: 'VARCHAR'" for name in names) + "}"


def _stage(
    connection: duckdb.DuckDBPyConnection, path: Path, source: str, names: list[str], target: Path
) -> LandedFile:
    """Fast path: DuckDB reads every column as text and numbers the rows in the file's order."""
    query = f"SELECT *, row_number() OVER () - 1 AS {ROW} FROM {source}"
    rows = duck.scalar(connection, duck.copy_to(target, query))
    return LandedFile(path.name, target, dict.fromkeys(names, "VARCHAR"), rows)


def _stage_rows(path: Path, rows: Rows, names: list[str], target: Path) -> LandedFile:
    """Slow path: rows parsed one by one, the malformed ones kept apart."""
    schema = pa.schema([(name, pa.string()) for name in names] + [(ROW, pa.int64())])
    malformed: list[MalformedRow] = []
    batch: list[dict[str, Any]] = []
    count = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
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


def _json_names(path: Path, wanted: tuple[Column, ...]) -> list[str]:
    """The wanted columns and the keys of a file's first rows: enough to report columns that the recipe doesn't know.

    DuckDB's names don't tell case: of two keys that differ in case alone the wanted one, or the first, is read.
    """
    keys = [column.source for column in wanted]
    with open_text(path) as lines:
        for row, _ in zip(parse_json_lines(lines), range(100), strict=False):
            if isinstance(row, dict):
                keys += row.keys()
    names: dict[str, str] = {}
    for key in keys:
        if key and key.lower() != ROW and _is_text(key):
            names.setdefault(key.lower(), key)
    return list(names.values())


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _distinct_names(header: list[str]) -> list[str]:
    """Column names of a CSV header; one without a name, or with another's, is called after its position."""
    names: list[str] = []
    seen = {ROW}
    for position, name in enumerate(part.strip() for part in header):
        known = name and _is_text(name) and name.lower() not in seen
        names.append(name if known else f"column{position}")
        seen.add(names[-1].lower())
    return names
