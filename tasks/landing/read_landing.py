"""Reading of landed files, Parquet, JSON or CSV, compressed or not, as Parquet whose rows keep their numbers.

A file's bytes say how it is packed and what it holds, its name only what its bytes leave open. A file that can't be
read at all (another format, too large) is one unreadable file beside the rows of the others; of one that is torn, the
rows before the tear are kept, and it counts as unreadable all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.containers import HEAD_BYTES, PARQUET, Damage, packing_of, unpack_file, unread_kind
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_bytes import digest_of_file, open_landed, passing_error
from ctr_retrain.tasks.landing.landed_values import Footer, nested_value, read_footer
from ctr_retrain.tasks.landing.parse_lines import one_line
from ctr_retrain.tasks.landing.text_blocks import JSON, first_block, form_of, look_over
from ctr_retrain.tasks.landing.text_to_parquet import (
    ROW,
    HeaderError,
    Staged,
    stage_csv,
    stage_json_lines,
)

if TYPE_CHECKING:
    from ctr_retrain.models.data.schema import Column
    from ctr_retrain.models.recipe.landing_section import Landing
    from ctr_retrain.tasks.landing.text_blocks import Form, Look

MOST_PACKINGS = 3  # around one another: a transport may pack what was packed


# Writes the query that makes our columns of a file, and fails at the first row that can't be used.
CleanFile = Callable[[LandedFile], str]


def read_file(
    connection: duck.Connection,
    path: Path,
    wanted: tuple[Column, ...],
    staging: Path,
    landing: Landing,
    clean: CleanFile | None = None,
    name: str = "",
) -> LandedFile | UnreadableFile:
    """Read one landed file; a text is staged below `staging`.

    wanted: the columns to look for in JSON. landing: the recipe's rules for files. clean: with it a text file whose
    rows are all usable is cleaned at once. name: by which the file is told, if not its own. Raises StorageError where
    the file is whole and staging it failed.
    """
    task = _Task(connection, path, name or path.name, wanted, staging, landing, clean)
    if not path.is_file():
        return task.unreadable("expected a file, received none")
    try:
        with _naming_the_disk(path):
            return _read_by_content(task, path)
    except (duckdb.Error, UnicodeError, HeaderError) as error:
        return task.unreadable(first_line(error))


@dataclass(frozen=True)
class _Task:
    """All that reading one file needs."""

    connection: duck.Connection
    path: Path  # of the file
    name: str  # by which it is told
    wanted: tuple[Column, ...]
    staging: Path
    landing: Landing
    clean: CleanFile | None

    @property
    def max_bytes(self) -> int:
        """Return the size of the largest text, unpacked."""
        return self.landing.max_file_bytes

    def unreadable(self, reason: str) -> UnreadableFile:
        """Return the file as one that can't be read."""
        return UnreadableFile(self.name, one_line(reason))


def _read_by_content(task: _Task, source: Path, packings: int = 0) -> LandedFile | UnreadableFile:
    """Read a landed file by what its bytes are. source: where they lie, unpacked so many times."""
    with open_landed(source) as file:
        head = file.read(HEAD_BYTES)
    packing = packing_of(head)
    if head.startswith(PARQUET):
        return _read_parquet_twice(task, source)
    beginning = first_block(source, packing)
    if packing and (packing_of(beginning) or beginning.startswith(PARQUET)) and packings < MOST_PACKINGS:
        target = task.staging / f"{_digest(task.path)}-{packings}.unpacked"
        try:
            whole = unpack_file(source, packing, task.max_bytes, target)
        except Damage as error:
            return task.unreadable(str(error))
        return _read_by_content(task, target, packings + 1) if whole else task.unreadable(_too_large(task.max_bytes))
    if kind := unread_kind(beginning):
        return task.unreadable(f"expected Parquet, JSON or CSV, received what looks like {kind}")
    form, problem = form_of(task.name, beginning, task.landing.delimiter)
    return _read_text(task, source, packing, form) if form else task.unreadable(problem)


@contextmanager
def _naming_the_disk(path: Path) -> Iterator[None]:
    """Turn a failing disk into a StorageError: it must not look like a bad file."""
    try:
        yield
    except (duckdb.IOException, OSError) as error:
        msg = (
            f"staging {path}: expected a disk with room, received: {first_line(error)}. "
            "Nothing was published; free space or mend the disk and run again."
        )
        raise StorageError(msg) from error


def _too_large(max_bytes: int) -> str:
    """Return the reason of a file that is larger than the recipe allows."""
    return f"too large: expected at most {max_bytes:,} bytes unpacked (landing.max_file_gb), received more"


def _read_parquet_twice(task: _Task, source: Path) -> LandedFile | UnreadableFile:
    """Describe a landed Parquet file; once more where that fails, since an error that passes is one of the disk.

    Raises StorageError where the disk is damaged and not the file.
    """
    try:
        return _read_parquet(task, source)
    except duckdb.Error as error:  # an IOException too: a torn footer leads behind the file's end
        digest_of_file(source)
        try:
            _read_parquet(task, source)
        except duckdb.Error as again:
            return task.unreadable(first_line(again))
        raise passing_error(task.path, first_line(error)) from error


def _read_parquet(task: _Task, source: Path) -> LandedFile:
    """Describe a landed Parquet file, which is read where it lies."""
    table = _parquet_table(_plain_path(source, task.staging))
    described = task.connection.execute(f"DESCRIBE SELECT * EXCLUDE ({ROW}) FROM {table}").fetchall()
    rows = duck.scalar(task.connection, f"SELECT count(*) FROM {table}")
    columns = {row[0]: row[1] for row in described}
    nested = _nested_columns(task, table, columns)
    values = "".join(f", {value} AS {duck.name(name)}" for name, (value, _) in nested.items())
    return LandedFile(
        task.name,
        f"(SELECT *{values} FROM {table})" if nested else table,
        columns | {name: type_ for name, (_, type_) in nested.items()},
        rows,
        frozenset(columns),
        footer=read_footer(source),
    )


def _nested_columns(task: _Task, table: str, columns: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return SQL and type of the values that wanted names such as `user.id` mean within a column `user`."""
    found = {}
    for column in task.wanted:
        if value := nested_value(column.source, columns):
            with suppress(duckdb.BinderException):  # a struct without such a key
                described = task.connection.execute(f"DESCRIBE SELECT {value} FROM {table}").fetchall()
                found[column.source] = (value, described[0][1])
    return found


def _json_types(wanted: Iterable[Column]) -> dict[str, str]:
    """Return the keys to look for in JSON, those that hold nested ones too, and the type that each is read as."""
    types = {column.source: "DOUBLE" if column.kind == "number" else "VARCHAR" for column in wanted}
    nested = [name for name in types if "." in name]
    return types | dict.fromkeys([*nested, *(name.partition(".")[0] for name in nested)], "VARCHAR")


def _plain_path(path: Path, staging: Path) -> Path:
    """Return a file's path, or a link to it below `staging` where DuckDB would take its name for a pattern."""
    if not duck.needs_pattern(path):
        return path
    link = staging / f"{_digest(path)}-link"
    if not link.is_symlink():
        link.symlink_to(path.absolute())
    return link


def _digest(path: Path) -> str:
    """Name a staged file after its path: names alone may be equal in two folders."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _read_text(task: _Task, source: Path, packing: str, form: Form) -> LandedFile | UnreadableFile:
    """Look the file over, then stage it; a torn one line by line up to the tear."""
    target = task.staging / f"{_digest(task.path)}.parquet"
    plain = target.with_suffix(".txt")
    try:
        look = look_over(_plain_path(source, task.staging), packing, form, task.max_bytes, plain)
        if look.too_large:
            return task.unreadable(_too_large(task.max_bytes))
        staged = _stage(task, look, target)
    finally:
        plain.unlink(missing_ok=True)
    return LandedFile(
        task.name,
        _parquet_table(staged.parquet, numbered=staged.numbered),
        staged.columns,
        staged.rows,
        staged.names,
        staged.malformed,
        one_line(look.damage),
        Footer() if staged.cleaned else read_footer(staged.parquet),
        staged.parquet if staged.cleaned else None,
        staged=True,
    )


def _stage(task: _Task, look: Look, target: Path) -> Staged:
    """Stage a text that was looked over."""

    def clean_table(table: str, columns: dict[str, str]) -> str:
        assert task.clean is not None
        return task.clean(LandedFile(task.name, table, columns, 0, frozenset(columns)))

    clean = clean_table if task.clean else None
    if look.form == JSON:
        return stage_json_lines(task.connection, look, _json_types(task.wanted), target, clean)
    staged = stage_csv(task.connection, look, target, clean)
    # Without a row nothing fails that isn't there: a header that lacks a column would pass for a clean one.
    return stage_csv(task.connection, look, target, None) if staged.cleaned and not staged.rows else staged


def _parquet_table(path: Path, *, numbered: bool = False) -> str:
    """Return a file's rows as a table of a query, numbered in ROW; numbered: the file holds that column itself."""
    numbering = "" if numbered else ", file_row_number=true"
    return f"read_parquet({duck.path(path)}{numbering}, hive_partitioning=false)"


def first_line(error: Exception) -> str:
    """Return the first line of an error."""
    return str(error).split("\n", maxsplit=1)[0]
