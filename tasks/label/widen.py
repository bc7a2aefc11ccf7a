"""Columns more for a Parquet file, without decoding and encoding those that it has.

A Parquet file is column chunks and, behind them, a footer that says where each begins. So a copy whose bytes stay where
they are, the new columns' chunks behind them, and one footer for both, is a file like any other.
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.tasks.label.thrift import I32, I64, Field, Items, Struct, read_struct, write_struct

if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC = b"PAR1"
TAIL = struct.Struct("<I4s")  # the footer's length, and the magic again
# Ids of the fields that are read or changed, by struct.
SCHEMA, ROW_GROUPS, COLUMN_ORDERS = 2, 4, 7
CHILDREN = 5  # of the schema's root
COLUMNS, GROUP_SIZES = 1, (2, 6)  # in bytes, unpacked and packed
CHUNK_OFFSETS, CHUNK_META = (2, 4, 6), 3  # of the chunk, its offset index and its column index
META_OFFSETS = (9, 10, 11, 14)  # of data pages, index pages, dictionary page, Bloom filter


def widen(source: Path, columns: pa.Table, target: Path) -> None:
    """Write `source` with the columns (rows,) behind its own to `target`; row groups stay as they are.

    Raises ValueError where the numbers of rows differ, or a column's name is there already.
    """
    has = pq.read_metadata(source)
    if columns.num_rows != has.num_rows or not set(columns.column_names).isdisjoint(has.schema.to_arrow_schema().names):
        msg = (
            f"{source}: expected {has.num_rows} rows of columns that it doesn't have, received {columns.num_rows} rows "
            f"of {', '.join(columns.column_names)}"
        )
        raise ValueError(msg)
    packed, first = pa.BufferOutputStream(), 0
    with pq.ParquetWriter(packed, columns.schema, compression="zstd", compression_level=1) as writer:
        for number in range(has.num_row_groups):
            rows = has.row_group(number).num_rows
            writer.write_table(columns.slice(first, rows), row_group_size=max(1, rows))
            first += rows
    with target.open("wb") as written, source.open("rb") as own, pa.BufferReader(packed.getvalue()) as more:
        footer, end = _footer(own)
        added, added_end = _footer(more)
        _copy(own, written, 0, end)
        _copy(more, written, len(MAGIC), added_end)
        joined = write_struct(_joined(footer, added, end - len(MAGIC)))
        written.write(joined + TAIL.pack(len(joined), MAGIC))


def _footer(file: BinaryIO) -> tuple[Struct, int]:
    """A Parquet file's footer, and where it begins."""
    tail = file.seek(-TAIL.size, 2)
    length, _ = TAIL.unpack(file.read(TAIL.size))
    file.seek(tail - length)
    return read_struct(file.read(length)), tail - length


def _copy(source: BinaryIO, target: BinaryIO, first: int, last: int) -> None:
    source.seek(first)
    left = last - first
    while left and (part := source.read(min(left, 1 << 20))):
        target.write(part)
        left -= len(part)


def _joined(footer: Struct, added: Struct, shift: int) -> Struct:
    """The footer with the columns of another, whose chunks lie `shift` bytes further on than it says."""
    root, *own = footer[SCHEMA].value.values
    new_root, *new = added[SCHEMA].value.values
    children = root[CHILDREN].value + new_root[CHILDREN].value
    schema = [{**root, CHILDREN: Field(I32, children)}, *own, *new]
    groups = [
        _joined_group(mine, theirs, shift)
        for mine, theirs in zip(footer[ROW_GROUPS].value.values, added[ROW_GROUPS].value.values, strict=True)
    ]
    joined = {
        **footer,
        SCHEMA: _like(footer[SCHEMA], schema),
        ROW_GROUPS: _like(footer[ROW_GROUPS], groups),
    }
    if COLUMN_ORDERS in footer and COLUMN_ORDERS in added:
        orders = [*footer[COLUMN_ORDERS].value.values, *added[COLUMN_ORDERS].value.values]
        joined[COLUMN_ORDERS] = _like(footer[COLUMN_ORDERS], orders)
    else:  # one for each column, or none
        joined.pop(COLUMN_ORDERS, None)
    return joined


def _joined_group(mine: Struct, theirs: Struct, shift: int) -> Struct:
    columns = [*mine[COLUMNS].value.values, *(_moved(chunk, shift) for chunk in theirs[COLUMNS].value.values)]
    joined = {**mine, COLUMNS: _like(mine[COLUMNS], columns)}
    for size in GROUP_SIZES:
        if size in mine:
            joined[size] = Field(I64, mine[size].value + theirs[size].value)
    return joined


def _moved(chunk: Struct, shift: int) -> Struct:
    meta = chunk[CHUNK_META]
    return {
        **_shifted(chunk, CHUNK_OFFSETS, shift),
        CHUNK_META: Field(meta.type, _shifted(meta.value, META_OFFSETS, shift)),
    }


def _shifted(fields: Struct, offsets: tuple[int, ...], shift: int) -> Struct:
    """0 stands for no offset."""
    moved = {n: Field(I64, fields[n].value + shift) for n in offsets if n in fields and fields[n].value}
    return {**fields, **moved}


def _like(field: Field, values: list[Struct]) -> Field:
    return Field(field.type, Items(field.value.type, values))
