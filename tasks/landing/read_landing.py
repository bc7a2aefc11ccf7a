"""Reading of landed files, Parquet, JSON or CSV, compressed or not, as Parquet whose rows keep their numbers.

A file's bytes say how it is packed and what it holds, its name only what its bytes leave open. A file that can't be
read at all (another format, too large) is one unreadable file beside the rows of the others; of one that is torn, the
rows before the tear are kept, and it counts as unreadable all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.containers import HEAD_BYTES, PARQUET, Damage, packing_of, unpack_file, unread_kind
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_bytes import digest_of_file, open_landed, passing_error
from ctr_retrain.tasks.landing.landed_values import VALUE_BYTES, Footer, nested_value, read_footer
from ctr_retrain.tasks.landing.parse_lines import one_line
from ctr_retrain.tasks.landing.text_blocks import JSON, first_block, form_of, look_over
from ctr_retrain.tasks.landing.text_to_parquet import (
    OURS,
    HeaderError,
    Staged,
    stage_csv,
    stage_json_lines,
)

if TYPE_CHECKING:
    from ctr_retrain.models.data.schema import Column
    from ctr_retrain.models.recipe.landing_section import Landing
    from ctr_retrain.tasks.landing.text_blocks import Look

MOST_PACKINGS = 3  # around one another: a transport may pack what was packed


# Writes the query that makes our columns of a file, and fails at the first row that can't be used.
CleanFile = Callable[[LandedFile], str]


@dataclass(frozen=True)
class Reading:
    """Rules by which files are read, and where texts are staged."""

    wanted: tuple[Column, ...]  # the columns to look for in JSON
    staging: Path  # folder below which texts are staged
    landing: Landing  # the recipe's rules for files
    clean: CleanFile | None = None  # with it a text file whose rows are all usable is cleaned at once

    @property
    def max_bytes(self) -> int:
        """Return the size of the largest file, unpacked."""
        return self.landing.max_file_bytes


@dataclass(frozen=True)
class OpenedFile:
    """A landed file of which is known what it holds, before its rows are read."""

    path: Path  # where it landed
    name: str  # by which it is told
    source: Path  # where it stands unpacked
    look: Look | None  # the findings of looking it over, of a text; None for Parquet

    def unreadable(self, reason: str) -> UnreadableFile:
        """Return the file as one that can't be read."""
        return UnreadableFile(self.name, one_line(reason))


def read_file(connection: duck.Connection, path: Path, reading: Reading, name: str = "") -> LandedFile | UnreadableFile:
    """Read one landed file; name: by which it is told, if not its own.

    Raises StorageError where the file is whole and staging it failed.
    """
    opened = open_file(path, name or path.name, reading)
    return opened if isinstance(opened, UnreadableFile) else read_opened(connection, opened, reading)


def open_file(path: Path, name: str, reading: Reading) -> OpenedFile | UnreadableFile:
    """Find out what a landed file holds, by its bytes; a text is looked over to its end.

    Raises StorageError where the disk fails.
    """
    if not path.is_file():
        return UnreadableFile(name, "expected a file, received none")
    try:
        with naming_the_disk(path):
            return _open_by_content(OpenedFile(path, name, path, None), reading)
    except duck.OUT_OF_MEMORY:  # says nothing about the file
        raise
    except (duckdb.Error, UnicodeError) as error:
        return UnreadableFile(name, one_line(first_line(error)))


def read_opened(connection: duck.Connection, opened: OpenedFile, reading: Reading) -> LandedFile | UnreadableFile:
    """Read a file that was opened, by itself; raises StorageError where staging it failed."""
    try:
        with naming_the_disk(opened.path):
            if opened.look is None:
                return _read_parquet_twice(connection, opened, reading)
            return _read_text(connection, opened, opened.look, reading)
    except duck.OUT_OF_MEMORY:
        length = opened.look.plain.stat().st_size // max(1, opened.look.rows) if opened.look else 0
        if length < duck.LONG_ROW_BYTES:
            raise  # says nothing about the file
        return opened.unreadable(
            f"expected rows that fit into memory, 2,048 at a time, received {length:,} bytes a row"
        )
    except (duckdb.Error, UnicodeError, HeaderError) as error:
        return opened.unreadable(first_line(error))


def _open_by_content(file: OpenedFile, reading: Reading, packings: int = 0) -> OpenedFile | UnreadableFile:
    """Open a landed file by what its bytes are, which stand in its `source` unpacked so many times."""
    with open_landed(file.source) as opened:
        head = opened.read(HEAD_BYTES)
    if head.startswith(PARQUET):
        return file
    packing = packing_of(head)
    beginning = first_block(file.source, packing)
    if packing and (packing_of(beginning) or beginning.startswith(PARQUET)) and packings < MOST_PACKINGS:
        target = reading.staging / f"{digest_of_path(file.path)}-{packings}.unpacked"
        try:
            whole = unpack_file(file.source, packing, reading.max_bytes, target)
        except Damage as error:
            return file.unreadable(str(error))
        if whole:
            return _open_by_content(replace(file, source=target), reading, packings + 1)
        return file.unreadable(_too_large(reading.max_bytes))
    return _open_text(file, reading, packing, beginning)


def _open_text(file: OpenedFile, reading: Reading, packing: str, beginning: bytes) -> OpenedFile | UnreadableFile:
    """Look over a file that is no Parquet; beginning: its first block, unpacked."""
    if kind := unread_kind(beginning):
        return file.unreadable(f"expected Parquet, JSON or CSV, received what looks like {kind}")
    form, problem = form_of(file.name, beginning, reading.landing.delimiter)
    if not form:
        return file.unreadable(problem)
    source = plain_path(file.source, reading.staging)
    look = look_over(source, packing, form, reading.max_bytes, _plain_text(file, reading))
    if look.too_large:
        remove_plain(file, reading)
        return file.unreadable(_too_large(reading.max_bytes))
    return replace(file, look=look)


@contextmanager
def naming_the_disk(path: Path) -> Iterator[None]:
    """Turn a failing disk into a StorageError: it must not look like a bad file."""
    try:
        yield
    except (duckdb.IOException, OSError) as error:
        msg = (
            f"staging {path}: expected a disk with room, received: {first_line(error)}. "
            "Nothing was published; free space or mend the disk and run again."
        )
        raise StorageError(msg) from error


def _too_large(max_bytes: int, received: str = "more") -> str:
    """Return the reason of a file that is larger than the recipe allows."""
    return f"too large: expected at most {max_bytes:,} bytes unpacked (landing.max_file_gb), received {received}"


def _read_parquet_twice(
    connection: duck.Connection, opened: OpenedFile, reading: Reading
) -> LandedFile | UnreadableFile:
    """Describe a landed Parquet file; once more where that fails, since an error that passes is one of the disk.

    Raises StorageError where the disk is damaged and not the file.
    """
    try:
        return _read_parquet(connection, opened, reading)
    except duck.OUT_OF_MEMORY:  # says nothing about the file
        raise
    except duckdb.Error as error:  # an IOException too: a torn footer leads behind the file's end
        digest_of_file(opened.source)
        try:
            _read_parquet(connection, opened, reading)
        except duck.OUT_OF_MEMORY:
            raise
        except duckdb.Error as again:
            return opened.unreadable(first_line(again))
        raise passing_error(opened.path, first_line(error)) from error


def _read_parquet(connection: duck.Connection, opened: OpenedFile, reading: Reading) -> LandedFile | UnreadableFile:
    """Describe a landed Parquet file, which is read where it lies."""
    table = parquet_table(plain_path(opened.source, reading.staging))
    columns = described(connection, table)
    rows = duck.scalar(connection, f"SELECT count(*) FROM {table}")
    footer = read_footer(opened.source)
    size = max(footer.unpacked_bytes, VALUE_BYTES * rows * len(columns))
    if size > reading.max_bytes:
        received = f"{size:,}, at {VALUE_BYTES} or more a value: {rows:,} rows of {len(columns)} columns"
        return opened.unreadable(_too_large(reading.max_bytes, received))
    table, with_nested = with_nested_columns(connection, table, columns, reading)
    return LandedFile(opened.name, table, with_nested, rows, frozenset(columns), footer=footer)


def with_nested_columns(
    connection: duck.Connection, table: str, columns: dict[str, str], reading: Reading
) -> tuple[str, dict[str, str]]:
    """Return a table, and its columns, with those that wanted names such as `user.id` mean within a column `user`."""
    values, types = [], {}
    for column in reading.wanted:
        if value := nested_value(column.source, columns):
            with suppress(duckdb.BinderException):  # a struct without such a key
                found = connection.execute(f"DESCRIBE SELECT {value} FROM {table}").fetchall()
                types[column.source] = found[0][1]
                values.append(f", {value} AS {duck.name(column.source)}")
    return (f"(SELECT *{''.join(values)} FROM {table})" if values else table), columns | types


def json_types(wanted: Iterable[Column]) -> dict[str, str]:
    """Return the keys to look for in JSON, those that hold nested ones too, and the type that each is read as."""
    types = {column.source: "DOUBLE" if column.kind == "number" else "VARCHAR" for column in wanted}
    nested = [name for name in types if "." in name]
    return types | dict.fromkeys([*nested, *(name.partition(".")[0] for name in nested)], "VARCHAR")


def described(connection: duck.Connection, table: str) -> dict[str, str]:
    """Return a table's landed columns: name → DuckDB type."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    return {row[0]: row[1] for row in rows if row[0] not in OURS}


def plain_path(path: Path, staging: Path) -> Path:
    """Return a file's path, or a link to it below `staging` where DuckDB would take its name for a pattern."""
    if not duck.needs_pattern(path):
        return path
    link = staging / f"{digest_of_path(path)}-link"
    if not link.is_symlink():
        link.symlink_to(path.absolute())
    return link


def digest_of_path(path: Path) -> str:
    """Name a staged file after its path: names alone may be equal in two folders."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _read_text(
    connection: duck.Connection, opened: OpenedFile, look: Look, reading: Reading
) -> LandedFile | UnreadableFile:
    """Stage a text that was looked over; a torn one line by line up to the tear."""
    target = reading.staging / f"{digest_of_path(opened.path)}.parquet"
    try:
        staged = _stage(connection, opened, look, reading, target)
    finally:
        remove_plain(opened, reading)
    table, columns = parquet_table(staged.parquet, numbered=staged.numbered), staged.columns
    if look.form != JSON:  # of JSON they were staged
        table, columns = with_nested_columns(connection, table, columns, reading)
    return LandedFile(
        opened.name,
        table,
        columns,
        staged.rows,
        staged.names,
        staged.malformed,
        one_line(look.damage),
        Footer() if staged.cleaned else read_footer(staged.parquet),
        staged.parquet if staged.cleaned else None,
        staged=True,
    )


def remove_plain(opened: OpenedFile, reading: Reading) -> None:
    """Remove the plain text that was written in order to read a file, if there is one."""
    _plain_text(opened, reading).unlink(missing_ok=True)


def _plain_text(opened: OpenedFile, reading: Reading) -> Path:
    """Return the path at which a text comes to stand plain, where it landed otherwise."""
    return reading.staging / f"{digest_of_path(opened.path)}.txt"


def _stage(connection: duck.Connection, opened: OpenedFile, look: Look, reading: Reading, target: Path) -> Staged:
    """Stage a text that was looked over."""

    def clean_table(table: str, columns: dict[str, str]) -> str:
        assert reading.clean is not None
        return reading.clean(LandedFile(opened.name, table, columns, 0, frozenset(columns)))

    nested = look.form != JSON and any("." in column.source for column in reading.wanted)
    clean = clean_table if reading.clean and not nested else None
    if look.form == JSON:
        return stage_json_lines(connection, look, json_types(reading.wanted), target, clean)
    staged = stage_csv(connection, look, target, clean)
    # Without a row nothing fails that isn't there: a header that lacks a column would pass for a clean one.
    return stage_csv(connection, look, target, None) if staged.cleaned and not staged.rows else staged


def parquet_table(path: Path, *, numbered: bool = False) -> str:
    """Return a file's rows as a table of a query, numbered in ROW; numbered: the file holds that column itself."""
    numbering = "" if numbered else ", file_row_number=true"
    return f"read_parquet({duck.path(path)}{numbering}, hive_partitioning=false)"


def first_line(error: Exception) -> str:
    """Return the first line of an error."""
    return str(error).split("\n", maxsplit=1)[0]
