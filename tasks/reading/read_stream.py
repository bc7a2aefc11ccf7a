"""Read all landed files of one stream and day; a file that can't be read stands beside the rows of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_bytes import landed_name, link_problem, name_problem, passing_error, printable
from ctr_retrain.tasks.landing.parse_lines import one_line
from ctr_retrain.tasks.landing.read_landing import OpenedFile, Reading, first_line, open_file, read_opened
from ctr_retrain.tasks.reading.small_files import SMALL_BYTES, SmallFile, groups_of, look_at, read_together
from ctr_retrain.tasks.reading.small_texts import missing_columns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_day(
    connection: duck.Connection, paths: list[Path], reading: Reading
) -> tuple[list[LandedFile], list[UnreadableFile]]:
    """Read all files of one stream and day, a core each; a file without a required column is unreadable.

    Small files of one form are read together. Raises DataRejectedError where files landed and none of them could be
    read.
    """
    # Small ones one after the other: what is done to them holds Python's lock, and threads would only take turns.
    small = {number: _open(path, reading) for number, path in enumerate(paths) if _is_small(path)}
    groups = groups_of(look_at(number, file, reading) for number, file in small.items() if isinstance(file, OpenedFile))
    together = {file.number for group in groups for file in group}

    def read_alone(cursor: duck.Connection, number: int) -> LandedFile | UnreadableFile:
        file = small.get(number) or _open(paths[number], reading)
        landed = file if isinstance(file, UnreadableFile) else read_opened(cursor, file, reading)
        return replace(landed, number=number) if isinstance(landed, LandedFile) else landed

    def read_group(cursor: duck.Connection, group: list[SmallFile]) -> list[LandedFile | UnreadableFile]:
        return read_together(cursor, group, reading)

    landed = duck.in_parallel(connection, read_alone, [n for n in range(len(paths)) if n not in together])
    landed += [file for found in duck.in_parallel(connection, read_group, groups) for file in found]
    landed = [_without_column(file, reading) for file in landed]
    files = sorted((file for file in landed if isinstance(file, LandedFile)), key=lambda file: file.number)
    unreadable = sorted((file for file in landed if isinstance(file, UnreadableFile)), key=lambda file: file.name)
    if unreadable and not files:
        first = unreadable[0]
        msg = (
            f"{paths[0].parent}: expected at least one readable file, received {len(unreadable)} unreadable; "
            f"{first.name}: {first.reason}. Mend the export, or map your column names under [landing.columns]."
        )
        raise DataRejectedError(msg, unreadable={file.name: file.reason for file in unreadable})
    return files, unreadable


def _without_column(file: LandedFile | UnreadableFile, reading: Reading) -> LandedFile | UnreadableFile:
    """Return a file as it is, or as unreadable where it was read by itself and lacks a required column."""
    if isinstance(file, UnreadableFile) or file.cleaned or file.several:
        return file
    missing = missing_columns(list(file.columns), reading)
    return UnreadableFile(file.name, one_line(file.damage or missing)) if missing else file


def _is_small(path: Path) -> bool:
    """Return True for a file that is small as it lies."""
    try:
        return path.stat().st_size <= SMALL_BYTES
    except OSError:
        return False


def _open(path: Path, reading: Reading) -> OpenedFile | UnreadableFile:
    """Open a file; one with a bad name or link is unreadable."""
    name = landed_name(path)
    if problem := name_problem(path) or link_problem(path):
        return UnreadableFile(printable(name), problem)
    return open_file(path, name, reading)


def damaged_files(files: list[LandedFile], cleaned: Callable[[LandedFile], str], scratch: Path) -> dict[str, str]:
    """Find landed Parquet files whose footer can be read and whose rows can't: name → the error, and its column.

    cleaned: writes the query that makes our columns of a file's rows. Reads everything, and what is damaged twice:
    raises StorageError where the second reading differs, since then it is the disk that is damaged.
    """
    damaged = {}
    for file in files:
        # Others we staged ourselves: if such a one can't be read, our disk is damaged.
        if not file.staged and (found := _damage_of(file, cleaned(file), scratch)):
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
            except duck.OUT_OF_MEMORY:  # says nothing about the file
                raise
            except duckdb.Error as error:
                return one_line(f"{where}{first_line(error)}")
    return ""


def files_too_long(files: list[LandedFile], scratch: Path) -> dict[str, str]:
    """Find landed Parquet files with texts too long for memory, of which a small file may have millions: name → column.

    Raises duckdb.Error where a file is damaged.
    """
    return {file.name: reason for file in files if not file.staged and (reason := _long_texts(file, scratch))}


def _long_texts(file: LandedFile, scratch: Path) -> str:
    """Name a column of texts too long for memory; empty where the file has none."""
    length_of = {"VARCHAR": "strlen", "BLOB": "octet_length"}
    for name, type_ in file.columns.items():
        if type_ not in length_of:
            continue
        with duck.connect(scratch, threads=1) as connection:
            query = f"SELECT max({length_of[type_]}({duck.name(name)})) FROM {file.table}"
            length = duck.scalar(connection, query)
        if length >= duck.LONG_ROW_BYTES:
            reason = f"expected values that fit into memory, 2,048 at a time, received one of {length:,} bytes"
            return one_line(f"column {name}: {reason}")
    return ""
