"""Small text files of one form staged as one Parquet file, in which each row says whose it is.

As with a single file, DuckDB reads them where each line is sure to hold one row; else they are read line by line.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.csv_records import read_header
from ctr_retrain.tasks.landing.file_parts import LandedFile, Member, UnreadableFile
from ctr_retrain.tasks.landing.json_rows import read_json_rows, with_nested
from ctr_retrain.tasks.landing.landed_bytes import open_landed
from ctr_retrain.tasks.landing.landed_values import read_footer
from ctr_retrain.tasks.landing.parse_lines import Lines, Malformed, one_line
from ctr_retrain.tasks.landing.read_landing import Reading, json_types, parquet_table
from ctr_retrain.tasks.landing.text_blocks import JSON
from ctr_retrain.tasks.landing.text_to_parquet import (
    FILE_NAME,
    FILE_NUMBER,
    PLACE,
    ROW,
    SCRATCH_COMPRESSION,
    UNEXPECTED_ROW,
    RowWriters,
    column_names,
    csv_table,
    distinct_names,
    json_table,
    write_records,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.landing.text_blocks import Look


@dataclass(frozen=True)
class SmallText:
    """A text that is staged with others."""

    number: int  # of its file among the day's
    name: str  # of its file
    look: Look  # the findings of looking it over

    @property
    def lines(self) -> int:
        """Return how many of its lines may hold a row."""
        return self.look.rows - (self.look.form != JSON)


@dataclass(frozen=True)
class _Counted:
    """Rows and malformed lines of each text."""

    rows: list[int]
    malformed: list[int]
    lines: Malformed = field(default_factory=Malformed)  # the malformed lines of all of them


def stage_texts(
    connection: duck.Connection, texts: list[SmallText], reading: Reading, target: Path
) -> list[LandedFile | UnreadableFile]:
    """Stage texts of one form at `target`; those that lack a required column are unreadable."""
    names = _names(texts, reading)
    if texts[0].look.form != JSON and (reason := missing_columns(names, reading)):
        return [UnreadableFile(text.name, one_line(text.look.damage or reason)) for text in texts]
    counted = _stage_fast(connection, texts, names, reading, target) or _stage_lines(
        connection, texts, names, reading, target
    )
    footer = read_footer(target)
    empty = footer.always_null.difference(*(text.look.keys for text in texts)) if any(counted.rows) else frozenset()
    columns = [name for name in names if name not in empty]
    filled = _filled(connection, texts, columns, target)
    lacking: list[LandedFile | UnreadableFile] = [
        UnreadableFile(text.name, one_line(text.look.damage or reason))
        for text in texts
        if text.number in filled and (reason := missing_columns(filled[text.number], reading))
    ]
    if lacking:
        told = {file.name for file in lacking}
        rest = [text for text in texts if text.name not in told]
        again = target.with_name(f"{target.stem}-complete.parquet")
        return lacking + (stage_texts(connection, rest, reading, again) if rest else [])
    members = tuple(
        Member(
            text.number, text.name, rows, malformed, frozenset(filled.get(text.number, ())), one_line(text.look.damage)
        )
        for text, rows, malformed in zip(texts, counted.rows, counted.malformed, strict=True)
    )
    together = LandedFile(
        members[0].name,
        parquet_table(target, numbered=True),
        dict.fromkeys(columns, "VARCHAR"),
        sum(counted.rows),
        frozenset[str]().union(*(member.names for member in members)),
        counted.lines,
        footer=footer,
        staged=True,
        number=members[0].number,
        several=members,
    )
    return [together]


def missing_columns(columns: list[str], reading: Reading) -> str:
    """Say which required columns a file with these lacks; empty where it has all."""
    missing = [column.source for column in reading.wanted if column.required and column.source not in columns]
    return f"column missing: expected {', '.join(missing)}, received {', '.join(columns)}" if missing else ""


def _names(texts: list[SmallText], reading: Reading) -> list[str]:
    """Return the columns of all texts."""
    first = texts[0].look
    if first.form != JSON:
        header = read_header(first.head, first.form.delimiter)
        assert isinstance(header, list)
        return distinct_names(header)
    return column_names([*json_types(reading.wanted), *(key for text in texts for key in text.look.keys)])


def _stage_fast(
    connection: duck.Connection, texts: list[SmallText], names: list[str], reading: Reading, target: Path
) -> _Counted | None:
    """Let DuckDB read the texts joined to one; None where a line of theirs may hold no row."""
    if not all(text.look.one_reading and not text.look.damage for text in texts):
        return None
    joined = target.with_suffix(".joined")
    _join(texts, joined)
    first = texts[0].look
    if first.form == JSON:
        source = with_nested(json_table(joined, dict.fromkeys(names, "VARCHAR")), names, json_types(reading.wanted))
    else:
        source = csv_table(joined, first, names)
    rows = [text.lines for text in texts]
    connection.register("whose", _whose(texts, rows))
    # Numbered as they are read: a file's name is known for each row only by how many rows came before it.
    # Joined on the left, rows that are too many or too few show in their number.
    query = (
        f"SELECT landed.* EXCLUDE ({PLACE}), {ROW}, {FILE_NUMBER}, {FILE_NAME} FROM "
        f"(SELECT *, row_number() OVER () - 1 AS {PLACE} FROM {source}) landed LEFT JOIN whose USING ({PLACE})"
    )
    try:
        with suppress(*UNEXPECTED_ROW):
            if duck.write(connection, target, query, target.parent, SCRATCH_COMPRESSION) == sum(rows):
                return _Counted(rows, [0] * len(rows))
        return None
    finally:
        connection.unregister("whose")
        joined.unlink()


def _whose(texts: list[SmallText], rows: list[int]) -> pa.Table:
    """Return for each row of the joined texts its place, its file and its number in it."""
    text = np.repeat(np.arange(len(rows)), rows)
    place = np.arange(len(text))
    begins = np.cumsum([0, *rows])[:-1]
    return pa.table(
        {
            PLACE: pa.array(place),
            ROW: pa.array(place - begins[text]),
            FILE_NUMBER: pa.array([one.number for one in texts], pa.int32()).take(pa.array(text)),
            FILE_NAME: pa.array([one.name for one in texts], pa.string()).take(pa.array(text)),
        }
    )


def _join(texts: list[SmallText], target: Path) -> None:
    """Write texts one behind the other; of CSV the line of column names once."""
    csv = texts[0].look.form != JSON
    header, _, _ = texts[0].look.head.partition(b"\n")
    line_end = b"\r\n" if csv and header.endswith(b"\r") else b"\n"
    with target.open("wb") as joined:
        for text in texts:
            with open_landed(text.look.plain) as file:
                content = file.read()
            if csv and text is not texts[0]:
                content = content.partition(b"\n")[2]
            joined.write(content)
            if content and not content.endswith(b"\n"):
                joined.write(line_end)


def _stage_lines(
    connection: duck.Connection, texts: list[SmallText], names: list[str], reading: Reading, target: Path
) -> _Counted:
    """Read texts line by line; malformed lines, and those at which a file is torn, are kept apart."""
    lines = [Lines(text.look.plain, torn=bool(text.look.damage)) for text in texts]
    wanted = list(json_types(reading.wanted))
    with RowWriters(target, names, [(text.number, text.name) for text in texts]) as writers:
        if texts[0].look.form == JSON:
            for rows, places, malformed in read_json_rows(connection, lines, names, wanted):
                writers.write(rows, places)
                writers.set_aside(malformed)
        else:
            write_records(writers, lines, texts[0].look, names)
        for number, text in enumerate(texts):
            writers.set_aside_torn(lines[number], text.look.damage, number)
    return _Counted(writers.rows, writers.malformed, writers.staged(names).malformed)


def _filled(
    connection: duck.Connection, texts: list[SmallText], columns: list[str], target: Path
) -> dict[int, list[str]]:
    """Return for each file that has rows, by its number, the columns that it has: of JSON its keys."""
    if texts[0].look.form != JSON:
        return {text.number: columns for text in texts}
    counts = "".join(f", count({duck.name(name)}) > 0" for name in columns)
    table = parquet_table(target, numbered=True)
    found = connection.execute(f"SELECT {FILE_NUMBER}{counts} FROM {table} GROUP BY {FILE_NUMBER}").fetchall()
    keys = {text.number: text.look.keys for text in texts}  # of the lines that were looked at, null or not
    return {
        number: [name for name, holds in zip(columns, held, strict=True) if holds or name in keys[number]]
        for number, *held in found
    }
