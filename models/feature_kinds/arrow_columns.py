"""Columns of an Arrow table as texts, numbers and times, whatever types they came in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.errors import DataRejectedError

LARGEST_WRITTEN = 1e18  # a float from here on is no integer that anybody counted
MISSING_TIME = -(2**63)  # the int64 that stands for "no time" in the served graph
# 1971 and 2262 in microseconds. What lies outside are seconds or milliseconds, or nanoseconds of these years.
FIRST_TIME, END_OF_TIME = 31_536_000_000_000, 9_214_646_400_000_000


def column_of(table: pa.Table, name: str) -> pa.Array:
    """Return one column as one array, all null where the table has none of that name."""
    if name not in table.column_names:
        return pa.nulls(len(table))
    column = table.column(name)
    return (column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column).combine_chunks()


def as_texts(column: pa.Array, name: str) -> npt.NDArray[np.object_]:
    """Return values as bytes, (n,), as ingest writes them: b"" where missing, an integer without a decimal point.

    Sixteen bytes of a UUID are that UUID, other bytes are as they are.
    """
    column = _plain(column)
    if pa.types.is_floating(column.type):
        return _float_texts(column)
    if pa.types.is_decimal(column.type):
        return _decimal_texts(column)
    if _is_bytes(column):
        return np.array([_text_of_bytes(value) for value in column.to_pylist()], object)
    if not _is_text(column):
        column = _cast(column, pa.string(), name, "values that can be written as text")
    elif pc.any(pc.match_substring(column, ".0")).as_py():
        column = pc.replace_substring_regex(column, r"^([+-]?[0-9]+)[.]0+$", r"\1")
    return np.asarray(column.cast(pa.large_binary()).fill_null(b"").to_numpy(zero_copy_only=False), object)


def distinct_texts(column: pa.Array, name: str) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Return the column's different texts, the last of them b"", and for each row which of them it has, (n,).

    Texts repeat, so that hashing each of them once is what makes encoding fast.
    """
    if not pa.types.is_dictionary(column.type):
        if pa.types.is_nested(column.type):
            column = _cast(column, pa.string(), name, "single values")
        column = column.dictionary_encode()
    texts = np.append(as_texts(column.dictionary, name), b"").astype(object)
    codes = column.indices.cast(pa.int64()).fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return texts, np.asarray(codes)


def as_numbers(column: pa.Array, name: str) -> npt.NDArray[np.float32]:
    """Return values as float32, (n,): NaN where missing, a blank text, or no finite number that float32 holds."""
    column = _plain(column)
    if _is_text(column):
        column = _without_blanks(column)
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values = np.asarray(_cast(column, pa.float64(), name, "numbers").to_numpy(zero_copy_only=False))
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite
        single = values.astype(np.float32)
    return np.where(np.isfinite(single), single, np.float32(np.nan))


def as_times(column: pa.Array, name: str) -> npt.NDArray[np.int64]:
    """Return times as int64 µs since the epoch, (n,): MISSING_TIME where missing or a blank text.

    Times and texts without a zone are UTC; integers are µs since the epoch already.
    """
    column = _plain(column)
    if _is_text(column):
        column = _without_blanks(column)
        try:
            column = column.cast(pa.timestamp("us", "UTC"))
        except pa.ArrowInvalid:
            column = _cast(column, pa.timestamp("us"), name, "ISO 8601 times, all with a zone or all without")
    elif not pa.types.is_integer(column.type):
        column = _cast(column, pa.timestamp("us"), name, "times")
    values = _cast(column, pa.int64(), name, "times").fill_null(MISSING_TIME)
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _float_texts(column: pa.Array) -> npt.NDArray[np.object_]:
    """Return the shortest texts that read back as the same floats, integers as such; NaN is missing."""
    return np.array([_float_text(value) for value in column.to_numpy(zero_copy_only=False)], object)


def _float_text(value: Any) -> bytes:
    """Write a float as DuckDB does at ingest; see `landed_values.value_text`."""
    if np.isnan(value):
        return b""
    return str(int(value) if abs(value) < LARGEST_WRITTEN and value == int(value) else value).encode()


def _decimal_texts(column: pa.Array) -> npt.NDArray[np.object_]:
    """Return decimals without zeros at the end, and without a decimal point where nothing is left behind it."""
    texts = ("" if value is None else f"{value:f}" for value in column.to_pylist())
    return np.array([(text.rstrip("0").rstrip(".") if "." in text else text).encode() for text in texts], object)


def _text_of_bytes(value: bytes | None) -> bytes:
    """Return bytes that are UTF-8 as they are, sixteen of a UUID written as one."""
    if value is None:
        return b""
    if len(value) == 16 and (_says_uuid(value) or not _is_utf8(value)):
        return str(UUID(bytes=value)).encode()
    return value


def _says_uuid(value: bytes) -> bool:
    """Return True where version and variant of RFC 9562 stand in their places."""
    return 1 <= value[6] >> 4 <= 7 and value[8] >> 6 == 0b10


def _is_utf8(value: bytes) -> bool:
    """Return True for bytes that are a text."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(column: pa.Array) -> pa.Array:
    """Return the column without a dictionary or views, which many of Arrow's functions don't take."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _is_bytes(column: pa.Array) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(is_kind(column.type) for is_kind in kinds)


def _without_blanks(column: pa.Array) -> pa.Array:
    """Return the texts without space around them, null where nothing is left."""
    texts = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _cast(column: pa.Array, dtype: pa.DataType, name: str, expected: str) -> pa.Array:
    """Return the column as another type, rounding where it must; raise DataRejectedError where that is impossible."""
    try:
        return pc.cast(column, dtype, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = f"column {name!r}: expected {expected}, received {column.type}: {error}. Correct the column's type."
        raise DataRejectedError(msg) from error
