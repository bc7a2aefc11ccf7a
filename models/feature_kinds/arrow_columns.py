"""Columns of an Arrow table as texts, numbers and times, whatever types they came in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.errors import DataRejectedError

MISSING_TIME = -(2**63)  # the int64 that stands for "no time" in the served graph


def column_of(table: pa.Table, name: str) -> pa.Array:
    """Return one column as one array, all null where the table has none of that name."""
    if name not in table.column_names:
        return pa.nulls(len(table))
    column = table.column(name)
    return (column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column).combine_chunks()


def as_texts(column: pa.Array, name: str) -> npt.NDArray[np.object_]:
    """Return values as bytes, (n,): b"" where missing; floats as DuckDB writes them, other types as Arrow does."""
    column = _plain(column)
    if pa.types.is_floating(column.type):
        return _float_texts(column)
    if not (_is_text(column) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = _cast(column, pa.string(), name, "values that can be written as text")
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
    """Return values as float32, (n,): NaN where missing, infinite or a blank text."""
    column = _plain(column)
    if _is_text(column):
        column = _without_blanks(column)
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values = np.asarray(_cast(column, pa.float64(), name, "numbers").to_numpy(zero_copy_only=False))
    with np.errstate(over="ignore"):  # finite but beyond float32 becomes infinite, which standardising clips
        return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


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
    """Return the shortest texts that read back as the same floats; NaN is missing.

    1.0 keeps the ".0" that Arrow drops: the served graph gets the text that DuckDB wrote at ingest.
    """
    values = column.to_numpy(zero_copy_only=False)
    return np.array([b"" if np.isnan(value) else str(value).encode() for value in values], object)


def _plain(column: pa.Array) -> pa.Array:
    """Return the column without a dictionary or views, which many of Arrow's functions don't take."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


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
