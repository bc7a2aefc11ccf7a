"""Thrift's compact protocol without a schema: as much of it as the footer of a Parquet file is written in.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, _SET, _MAP, STRUCT = range(1, 13)
INTEGERS = (I16, I32, I64)
STOP = 0
NIBBLE = 15  # the most that half a byte holds: a longer step to a field's id, or as long a list, is written out


class Field(NamedTuple):
    """A value and its type: int, bool, float, bytes, Items or Struct; a byte as bytes."""

    type: int
    value: Any


class Items(NamedTuple):
    """A list's values and the type that they all have."""

    type: int
    values: list[Any]


Struct: TypeAlias = dict[int, Field]  # by field id


def read_struct(data: bytes) -> Struct:
    """The struct that `data` begins with. Raises ValueError where it has a type that Parquet doesn't use."""
    return _Reader(data).struct()


def write_struct(fields: Struct) -> bytes:
    """The struct as bytes; fields by their ids."""
    written = bytearray()
    _write_struct(written, fields)
    return bytes(written)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._readers: dict[int, Callable[[], Any]] = {
            **dict.fromkeys((TRUE, FALSE), lambda: self._byte() == TRUE),  # in a list
            **dict.fromkeys(INTEGERS, self._integer),
            BYTE: lambda: self._take(1),
            DOUBLE: lambda: struct.unpack("<d", self._take(8))[0],
            BINARY: lambda: self._take(self._varint()),
            LIST: self._items,
            STRUCT: self.struct,
        }

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while (header := self._byte()) != STOP:
            delta, type_ = header >> 4, header & 15
            number = number + delta if delta else self._integer()
            fields[number] = Field(type_, type_ == TRUE if type_ in (TRUE, FALSE) else self._value(type_))
        return fields

    def _value(self, type_: int) -> Any:
        read = self._readers.get(type_)
        if read is None:
            msg = f"Thrift struct at byte {self._at}: expected a type that Parquet uses, received number {type_}"
            raise ValueError(msg)
        return read()

    def _items(self) -> Items:
        header = self._byte()
        length, type_ = header >> 4, header & 15
        if length == NIBBLE:
            length = self._varint()
        return Items(type_, [self._value(type_) for _ in range(length)])

    def _integer(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            msg = f"Thrift struct: expected {count} bytes at {self._at}, received {len(found)}"
            raise ValueError(msg)
        self._at += count
        return found


def _write_struct(written: bytearray, fields: Struct) -> None:
    last = 0
    for number, (type_, value) in sorted(fields.items()):
        header = (TRUE if value else FALSE) if type_ in (TRUE, FALSE) else type_
        if 0 < number - last <= NIBBLE:
            written.append((number - last) << 4 | header)
        else:
            written.append(header)
            _write_integer(written, number)
        if type_ not in (TRUE, FALSE):
            _write_value(written, type_, value)
        last = number
    written.append(STOP)


def _write_value(written: bytearray, type_: int, value: Any) -> None:
    if type_ in INTEGERS:
        _write_integer(written, value)
    elif type_ == BINARY:
        _write_varint(written, len(value))
        written += value
    elif type_ == STRUCT:
        _write_struct(written, value)
    elif type_ == LIST:
        length = len(value.values)
        written.append(min(length, NIBBLE) << 4 | value.type)
        if length >= NIBBLE:
            _write_varint(written, length)
        for item in value.values:
            _write_value(written, value.type, item)
    elif type_ in (TRUE, FALSE):  # in a list
        written.append(TRUE if value else FALSE)
    elif type_ == BYTE:
        written += value
    else:
        written += struct.pack("<d", value)


def _write_integer(written: bytearray, value: int) -> None:
    _write_varint(written, (value << 1) ^ (value >> 63))


def _write_varint(written: bytearray, value: int) -> None:
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
