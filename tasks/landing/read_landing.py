"""Reading of landed files, Parquet, JSON lines or CSV, compressed or not, as Parquet whose rows keep their numbers.

A file that can't be read at all (no Parquet, too large) is one unreadable file beside the rows of the others; of one
that is torn, the rows before the tear are kept, and it counts as unreadable all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_bytes import digest_of_file, passing_error
from ctr_retrain.tasks.landing.parquet_statistics import Footer, read_footer
from ctr_retrain.tasks.landing.parse_lines import is_text, printable
from ctr_retrain.tasks.landing.text_blocks import PACKINGS, look_over
from ctr_retrain.tasks.landing.text_to_parquet import ROW, Malformed, stage_csv, stage_json_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.models.data.schema import Column

CSV_FORMATS = (".csv", ".tsv")
JSON_FORMATS = (".jsonl", ".ndjson", ".json")


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

    @property
    def positions(self) -> int:
        """Return one more than the greatest number of a row."""
        return self.rows + len(self.malformed)


@dataclass(frozen=True)
class UnreadableFile:
    """A file of which nothing was kept."""

    name: str
    reason: str


def fingerprint(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each file: landings with equal ones are equal."""
    return [(path.name, _link_problem(path) or digest_of_file(path)) for path in paths]


# Writes the query that makes our columns of a file, and fails at the first row that can't be used.
CleanFile = Callable[[LandedFile], str]


def read_file(
    connection: duck.Connection,
    path: Path,
    wanted: tuple[Column, ...],
    staging: Path,
    max_bytes: int,
    clean: CleanFile | None = None,
) -> LandedFile | UnreadableFile:
    """Read one landed file; a text is staged below `staging`.

    wanted: the columns to look for in JSON lines. max_bytes: of the file, unpacked. clean: with it JSON's numbers are
    read as such, without it as they are written,
    and a text file whose rows are all usable is cleaned at once. Raises StorageError where the file is whole and
    staging it failed: a full disk must not look like a bad file.
    """
    try:
        if path.suffix == ".parquet":
            return _read_parquet_twice(connection, path, staging)
        if _format_of(path) in (*CSV_FORMATS, *JSON_FORMATS):
            return _read_text(connection, path, wanted, staging, max_bytes, clean)
    except (duckdb.Error, UnicodeError) as error:
        return UnreadableFile(path.name, _first_line(error))
    return UnreadableFile(path.name, "expected .parquet, .jsonl or .csv, with .gz, .zst or nothing behind it")


def read_day(
    connection: duck.Connection,
    paths: list[Path],
    wanted: tuple[Column, ...],
    staging: Path,
    max_bytes: int,
    clean: CleanFile,
) -> tuple[list[LandedFile], list[UnreadableFile]]:
    """Read all files of one stream and day, a core each; a file without a required column is unreadable.

    Raises DataRejectedError where files landed and none of them could be read.
    """
    read = partial(_read_complete, wanted=wanted, staging=staging, max_bytes=max_bytes, clean=clean)
    landed = duck.in_parallel(connection, read, paths)
    files = [file for file in landed if isinstance(file, LandedFile)]
    unreadable = [file for file in landed if isinstance(file, UnreadableFile)]
    if unreadable and not files:
        first = unreadable[0]
        msg = (
            f"{paths[0].parent}: expected at least one readable file, received {len(unreadable)} unreadable; "
            f"{first.name}: {first.reason}. Mend the export, or map your column names under [landing.columns]."
        )
        raise DataRejectedError(msg, unreadable={file.name: file.reason for file in unreadable})
    return files, unreadable


def damaged_files(files: list[LandedFile], cleaned: Callable[[LandedFile], str], scratch: Path) -> dict[str, str]:
    """Find landed Parquet files whose footer can be read and whose rows can't: name → the error, and its column.

    cleaned: writes the query that makes our columns of a file's rows. Reads everything, and what is damaged twice:
    raises StorageError where the second reading differs, since then it is the disk that is damaged.
    """
    damaged = {}
    for file in files:
        # Others we staged ourselves: if such a one can't be read, our disk is damaged.
        if file.name.endswith(".parquet") and (found := _damage_of(file, cleaned(file), scratch)):
            again = _damage_of(file, cleaned(file), scratch)
            if again != found:
                raise passing_error(file.name, found, again)
            damaged[file.name] = found
    return damaged


def _damage_of(file: LandedFile, cleaned: str, scratch: Path) -> str:
    """Return the first error of a Parquet file's columns, or of the query `cleaned`; empty where all can be read."""
    columns = [(f"SELECT {duck.name(name)} FROM {file.table}", f"column {name}: ") for name in file.columns]
    for query, where in (*columns, (cleaned, "")):
        with duck.connect(scratch, threads=1) as connection:  # one each, since some errors leave a connection useless
            try:
                connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM ({query})").fetchall()
            except duckdb.OutOfMemoryException:  # says nothing about the file
                raise
            except duckdb.Error as error:
                return f"{where}{_first_line(error)}"
    return ""


def _read_complete(
    connection: duck.Connection,
    path: Path,
    wanted: tuple[Column, ...],
    staging: Path,
    max_bytes: int,
    clean: CleanFile,
) -> LandedFile | UnreadableFile:
    """Read a file; one with a bad name or link, or without a required column, is unreadable."""
    if problem := _name_problem(path) or _link_problem(path):
        return UnreadableFile(printable(path.name), problem)
    landed = read_file(connection, path, wanted, staging, max_bytes, clean)
    if isinstance(landed, UnreadableFile) or landed.cleaned:
        return landed
    missing = [column.source for column in wanted if column.required and column.source not in landed.columns]
    if missing:
        reason = f"column missing: expected {', '.join(missing)}, received {', '.join(landed.columns)}"
        return UnreadableFile(path.name, landed.damage or reason)
    return landed


def _name_problem(path: Path) -> str:
    """Say why a landed file can't be told from others by its name, whose bytes are no text; empty where it can."""
    return "" if is_text(path.name) else "expected a name in UTF-8, received other bytes"


def _link_problem(path: Path) -> str:
    """Say why a file is not read: it, or a folder that it lies in, is a symbolic link out of the landing zone.

    So is a link to no file. Empty where the file is read.
    """
    zone = path.absolute().parents[2]  # below which streams have days, and days have files
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # to nothing, or to itself; a file that isn't there is told by whoever opens it
        return "expected a file, received a symbolic link to none" if path.is_symlink() else ""
    if not target.is_relative_to(zone.resolve()):
        link = "a symbolic link" if path.is_symlink() else "one in a folder that is a symbolic link and"
        return f"expected a file of the landing zone, received {link} that leads out of it"
    return "" if target.is_file() else "expected a file, received a symbolic link to none"


def _read_parquet_twice(connection: duck.Connection, path: Path, staging: Path) -> LandedFile:
    """Describe a landed Parquet file; once more where that fails, since an error that passes is one of the disk.

    Raises duckdb.Error where the file is damaged, StorageError where its disk is.
    """
    try:
        return _read_parquet(connection, path, staging)
    except duckdb.Error as error:
        digest_of_file(path)
        _read_parquet(connection, path, staging)
        raise passing_error(path, _first_line(error)) from error


def _read_parquet(connection: duck.Connection, path: Path, staging: Path) -> LandedFile:
    """Describe a landed Parquet file, which is read where it lies."""
    table = _parquet_table(_plain_path(path, staging))
    described = connection.execute(f"DESCRIBE SELECT * EXCLUDE ({ROW}) FROM {table}").fetchall()
    columns = {row[0]: row[1] for row in described}
    rows = duck.scalar(connection, f"SELECT count(*) FROM {table}")
    return LandedFile(path.name, table, columns, rows, frozenset(columns), footer=read_footer(path))


def _plain_path(path: Path, staging: Path) -> Path:
    """Return a file's path, or a link to it below `staging` where DuckDB would take its name for a pattern."""
    if not duck.needs_pattern(path):
        return path
    packing = path.suffix if path.suffix in PACKINGS else ""
    link = staging / f"{_digest(path)}-link{_format_of(path)}{packing}"
    if not link.is_symlink():
        link.symlink_to(path.absolute())
    return link


def _digest(path: Path) -> str:
    """Name a staged file after its path: names alone may be equal in two folders."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _read_text(
    connection: duck.Connection,
    path: Path,
    wanted: tuple[Column, ...],
    staging: Path,
    max_bytes: int,
    clean: CleanFile | None,
) -> LandedFile | UnreadableFile:
    """Look the file over, then stage it; a torn one line by line up to the tear."""
    json_lines = _format_of(path) in JSON_FORMATS
    target, source = staging / f"{_digest(path)}.parquet", _plain_path(path, staging)
    unpacked = target.with_suffix(".txt")

    def clean_table(table: str, columns: dict[str, str]) -> str:
        assert clean is not None
        return clean(LandedFile(path.name, table, columns, 0, frozenset(columns)))

    try:
        look = look_over(source, max_bytes, unpacked, json_keys=json_lines)
        if look.too_large:
            reason = f"too large: expected at most {max_bytes:,} bytes unpacked (landing.max_file_gb), received more"
            return UnreadableFile(path.name, reason)
        if json_lines:
            types = {c.source: "DOUBLE" if clean and c.kind == "number" else "VARCHAR" for c in wanted}
            staged = stage_json_lines(connection, source, look, types, target, clean_table if clean else None)
        else:
            staged = stage_csv(connection, source, look, target, clean_table if clean else None)
    except (duckdb.IOException, OSError) as error:
        msg = (
            f"staging {path}: expected a disk with room, received: {_first_line(error)}. "
            "Nothing was published; free space or mend the disk and run again."
        )
        raise StorageError(msg) from error
    finally:
        unpacked.unlink(missing_ok=True)
    return LandedFile(
        path.name,
        _parquet_table(staged.parquet, numbered=staged.numbered),
        staged.columns,
        staged.rows,
        staged.names,
        staged.malformed,
        look.damage or "",
        Footer() if staged.cleaned else read_footer(staged.parquet),
        staged.parquet if staged.cleaned else None,
    )


def _parquet_table(path: Path, *, numbered: bool = False) -> str:
    """Return a file's rows as a table of a query, numbered in ROW; numbered: the file holds that column itself."""
    numbering = "" if numbered else ", file_row_number=true"
    return f"read_parquet({duck.path(path)}{numbering}, hive_partitioning=false)"


def _format_of(path: Path) -> str:
    """Return the ending of a file's name that tells its format, without that of its compression."""
    return Path(path.stem).suffix if path.suffix in PACKINGS else path.suffix


def _first_line(error: Exception) -> str:
    """Return the first line of an error."""
    return str(error).split("\n", maxsplit=1)[0]
