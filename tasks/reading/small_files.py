"""Small landed files read together: files of one form become one table, in which each row says whose it is.

A file that is read by itself costs a query of its own, and a SELECT in each query that follows: 60 ms, in which DuckDB
reads some 20,000 rows. Together, thousands of files cost what their rows do. What the bytes of a file mean doesn't
depend on its neighbours: a file that differs from them, or can't be read, is read by itself.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.csv_records import read_header
from ctr_retrain.tasks.landing.file_parts import LandedFile, Member, UnreadableFile
from ctr_retrain.tasks.landing.landed_bytes import open_landed, passing_error
from ctr_retrain.tasks.landing.landed_values import nested_value, read_footer, unpacked_bytes
from ctr_retrain.tasks.landing.read_landing import (
    OpenedFile,
    Reading,
    described,
    first_line,
    naming_the_disk,
    parquet_table,
    plain_path,
    read_opened,
    remove_plain,
    with_nested_columns,
)
from ctr_retrain.tasks.landing.text_blocks import JSON, MAX_KEYS
from ctr_retrain.tasks.landing.text_to_parquet import FILE_NAME, FILE_NUMBER, OURS, PLACE, SCRATCH_COMPRESSION
from ctr_retrain.tasks.reading.small_texts import SmallText, missing_columns, stage_texts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ctr_retrain.tasks.landing.text_blocks import Look

SMALL_BYTES, SMALL_UNPACKED, SMALL_ROWS = 1 << 20, 1 << 23, 50_000  # beyond, a file is read by itself
# Of one table: it is read by one thread, and where it is damaged it is read anew in halves.
MOST_FILES, MOST_ROWS, MOST_BYTES = 10000, duck.PART_ROWS // 2, 1 << 26
# Columns of which DuckDB has some of its own while it reads files.
TAKEN = OURS | {"filename", "file_index"}


@dataclass(frozen=True)
class SmallFile:
    """A small file, before its rows are read."""

    number: int  # among the day's files, in their order
    opened: OpenedFile
    form: object  # files of one form may be read together
    rows: int
    bytes: int
    keys: frozenset[str] = field(default_factory=frozenset)  # of JSON objects


def look_at(number: int, opened: OpenedFile, reading: Reading) -> SmallFile | None:
    """Find out the form of a file that was opened; None where it is read by itself, or is not small, unpacked."""
    look = opened.look
    found = _look_at_parquet(number, opened) if look is None else _look_at_text(number, opened, look, reading)
    most_bytes = min(SMALL_UNPACKED, reading.max_bytes)
    return found if found and found.rows <= SMALL_ROWS and found.bytes <= most_bytes else None


def groups_of(files: Iterable[SmallFile | None]) -> list[list[SmallFile]]:
    """Return the files that are read together, two or more in each group, each in the files' order."""
    forms: dict[object, list[SmallFile]] = {}
    for file in files:
        if file:
            forms.setdefault(file.form, []).append(file)
    return [group for alike in forms.values() for group in _cut(alike) if len(group) > 1]


def read_together(
    connection: duck.Connection, group: list[SmallFile], reading: Reading
) -> list[LandedFile | UnreadableFile]:
    """Read files of one form; those that can't be read, or lack a required column, are unreadable.

    Raises StorageError where the disk fails.
    """
    target = reading.staging / f"{uuid.uuid4().hex}.parquet"
    if group[0].opened.look is None:
        return _read_parquet(connection, group, reading, target)
    texts = [SmallText(file.number, file.opened.name, look) for file in group if (look := file.opened.look)]
    try:
        with naming_the_disk(group[0].opened.path):
            return stage_texts(connection, texts, reading, target)
    except (duckdb.Error, UnicodeError):
        return _each_alone(connection, group, reading)
    finally:
        for file in group:
            remove_plain(file.opened, reading)


def _look_at_parquet(number: int, opened: OpenedFile) -> SmallFile | None:
    """Take a Parquet file's form from its footer: its columns with all that their types say."""
    with open_landed(opened.source) as file:
        content = file.read(SMALL_BYTES + 1)
    if len(content) > SMALL_BYTES:
        return None
    try:
        metadata = pq.read_metadata(pa.BufferReader(content))
    except (OSError, pa.ArrowException):
        return None
    # Types in DuckDB's words would cost a query a file; the footer's own words for them tell them apart as well.
    _, _, columns = str(metadata.schema).partition("\n")  # behind the name of a Python object
    if TAKEN & {name.lower() for name in metadata.schema.to_arrow_schema().names}:
        return None
    return SmallFile(number, opened, columns, metadata.num_rows, unpacked_bytes(metadata))


def _look_at_text(number: int, opened: OpenedFile, look: Look, reading: Reading) -> SmallFile | None:
    """Take a text's form from how it was found: of CSV the line of column names, and whether DuckDB reads it right."""
    regular = look.one_reading and not look.damage
    if look.form == JSON:
        size = look.plain.stat().st_size
        return SmallFile(number, opened, (JSON, regular), look.rows, size, frozenset(look.keys))
    names = read_header(look.head, look.form.delimiter)
    if look.head.startswith((b"\r", b"\n")) or isinstance(names, str):
        return None
    if any(nested_value(column.source, dict.fromkeys(names, "VARCHAR")) for column in reading.wanted):
        return None  # JSON in a field of CSV
    header = look.head.partition(b"\n")[0]
    return SmallFile(number, opened, (look.form, regular, header), look.rows - 1, look.plain.stat().st_size)


def _cut(files: list[SmallFile]) -> list[list[SmallFile]]:
    """Cut files of one form into groups whose tables are bounded."""
    groups: list[list[SmallFile]] = [[]]
    rows, size, keys = 0, 0, frozenset[str]()
    for file in files:
        rows, size, keys = rows + file.rows, size + file.bytes, keys | file.keys
        if len(groups[-1]) == MOST_FILES or rows > MOST_ROWS or size > MOST_BYTES or len(keys) > MAX_KEYS:
            groups.append([])
            rows, size, keys = file.rows, file.bytes, file.keys
        groups[-1].append(file)
    return groups


def _read_parquet(
    connection: duck.Connection, group: list[SmallFile], reading: Reading, target: Path
) -> list[LandedFile | UnreadableFile]:
    """Copy Parquet files into one; where some are damaged, those by themselves.

    Raises StorageError where all of them can be read once more: the disk is damaged then, and no file.
    """
    try:
        return _copy_parquet(connection, group, reading, target)
    except duck.OUT_OF_MEMORY:  # says nothing about the disk, and perhaps something about one of them
        return _each_alone(connection, group, reading)
    except duckdb.Error as error:
        if len(group) == 1:
            return _each_alone(connection, group, reading)
        found = []
        for half in (group[: len(group) // 2], group[len(group) // 2 :]):
            part = reading.staging / f"{uuid.uuid4().hex}.parquet"
            found += _read_parquet(connection, half, reading, part)
        if all(isinstance(file, LandedFile) and file.several for file in found):
            raise passing_error(group[0].opened.path, first_line(error)) from error
        return found


def _copy_parquet(
    connection: duck.Connection, group: list[SmallFile], reading: Reading, target: Path
) -> list[LandedFile | UnreadableFile]:
    """Copy the rows of Parquet files, with whose they are, into one file; raises duckdb.Error where one is damaged."""
    paths = [plain_path(file.opened.source, reading.staging) for file in group]
    source = f"read_parquet([{', '.join(map(duck.path, paths))}], file_row_number=true, hive_partitioning=false)"
    columns = described(connection, source)
    _, with_nested = with_nested_columns(connection, source, columns, reading)
    if reason := missing_columns(list(with_nested), reading):
        return [file.opened.unreadable(reason) for file in group]
    whose = pa.table(
        {
            PLACE: pa.array(range(len(group)), pa.uint64()),
            FILE_NUMBER: pa.array([file.number for file in group], pa.int32()),
            FILE_NAME: pa.array([file.opened.name for file in group], pa.string()),
        }
    )
    connection.register("whose", whose)
    try:
        rows = duck.write(
            connection,
            target,
            f"SELECT landed.* EXCLUDE ({PLACE}), {FILE_NUMBER}, {FILE_NAME} FROM (SELECT *, file_index AS {PLACE} FROM "
            f"{source}) landed JOIN whose USING ({PLACE})",
            reading.staging,
            SCRATCH_COMPRESSION,
        )
    finally:
        connection.unregister("whose")
    table = parquet_table(target, numbered=True)
    # A type that a copy changes, or a footer that is wrong about its rows, would change what rows mean.
    if described(connection, table) != columns or rows != sum(file.rows for file in group):
        return _each_alone(connection, group, reading)
    table, with_nested = with_nested_columns(connection, table, columns, reading)
    names = frozenset(columns)
    members = tuple(Member(file.number, file.opened.name, file.rows, 0, names) for file in group)
    first = members[0]
    return [
        LandedFile(
            first.name,
            table,
            with_nested,
            rows,
            names,
            footer=read_footer(target),
            staged=True,
            number=first.number,
            several=members,
        )
    ]


def _each_alone(
    connection: duck.Connection, group: list[SmallFile], reading: Reading
) -> list[LandedFile | UnreadableFile]:
    """Read files one by one."""
    found = ((file.number, read_opened(connection, file.opened, reading)) for file in group)
    return [replace(file, number=number) if isinstance(file, LandedFile) else file for number, file in found]
