"""Impressions as numbers: hashed ids and raw numeric values, offline from Arrow and in the served graph alike.

A *field* is a feature with embedding rows: any but the plainly numeric. All fields share one fused embedding table:
field k owns the rows from its offset on, and its first row stands for a missing value. A field that shares another's
rows owns that first row only. Numbers stay raw; the network itself transforms, standardises and buckets them, so that
training and serving can't differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.features.hashing import hashed_rows, rows_of_pairs, rows_of_values
from ctr_retrain.models.recipe.feature_section import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSING_TIME = -(2**63)  # the int64 that stands for "no time" in the served graph
HOUR_MICROSECONDS = 3_600_000_000
HOUR_ROWS = 1 + 24
WEEKDAY_ROWS = 1 + 7
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday counts 0 here and 1 in the feature
ROWS_LIMIT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Encoded:
    """ids: (n, slots) int32, rows of the fused table. numeric: (n, numbers) float32, raw, NaN where missing."""

    ids: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]


def fields(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Features with embedding rows, in the recipe's order, bucketed numbers after all others."""
    return (*(feature for feature in features if feature.slots), *bucketed(features))


def bucketed(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Numbers whose rows the network finds itself, by edges that depend on the window."""
    return tuple(feature for feature in features if feature.kind == "bucketed")


def numbers(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Features that take a column of `numeric`, in the recipe's order, bucketed ones after all others."""
    return (*(feature for feature in features if feature.kind == "numeric"), *bucketed(features))


def slots(features: tuple[Feature, ...]) -> int:
    """Columns of `ids`."""
    return sum(feature.slots for feature in features)


def field_offsets(features: tuple[Feature, ...]) -> tuple[int, ...]:
    """First row of each field in the fused table, and after them the table's number of rows.

    Raises UsageError where the table would have more rows than an int32 can name.
    """
    offsets = [0]
    for feature in fields(features):
        offsets.append(offsets[-1] + _rows_of(feature))
    if offsets[-1] > ROWS_LIMIT:
        msg = f"features: expected at most {ROWS_LIMIT} buckets in all, received {offsets[-1]}. Lower buckets."
        raise UsageError(msg)
    return tuple(offsets)


def _rows_of(feature: Feature) -> int:
    """Table rows that a field owns, the first for missing values."""
    if feature.shares:
        return 1
    if feature.kind == "bucketed":
        return 1 + (len(feature.edges) + 1 if feature.edges else feature.quantiles)
    return {"hour": HOUR_ROWS, "weekday": WEEKDAY_ROWS}.get(feature.kind, feature.buckets)


def value_offsets(features: tuple[Feature, ...]) -> tuple[int, ...]:
    """For each field, where its values' rows are counted from: its own offset, or that of the field it shares with."""
    offsets = dict(zip([feature.name for feature in fields(features)], field_offsets(features), strict=False))
    return tuple(offsets[feature.owner] for feature in fields(features))


def raw_columns(features: tuple[Feature, ...]) -> dict[str, str]:
    """Columns that the served graph reads, and as what: "string", "float32", or "int64" (µs since the epoch).

    Raises UsageError where one column is wanted as two of these.
    """
    dtypes = {"text": "string", "number": "float32", "time": "int64"}
    columns: dict[str, str] = {}
    for feature in features:
        for source in feature.sources:
            if columns.setdefault(source, dtypes[feature.holds]) != dtypes[feature.holds]:
                msg = f"feature {feature.name!r}: expected one kind a column, received two for column {source!r}."
                raise UsageError(msg)
    return columns


def encode(table: pa.Table, features: tuple[Feature, ...]) -> Encoded:
    """Ids and raw numbers of a table's rows. An absent column is missing in each row; other columns don't matter.

    Raises DataRejectedError where a column can't be read as its feature's kind, UsageError for impossible features.
    """
    encoded = Encoded(
        np.empty((len(table), slots(features)), np.int32),
        np.empty((len(table), len(numbers(features))), np.float32),
    )
    first = 0
    for feature, *offsets in zip(fields(features), field_offsets(features), value_offsets(features), strict=False):
        if feature.slots:
            rows = _rows(table, feature).reshape(-1, feature.slots)
            encoded.ids[:, first : first + feature.slots] = np.where(rows == 0, *(offset + rows for offset in offsets))
            first += feature.slots
    for position, feature in enumerate(numbers(features)):
        encoded.numeric[:, position] = as_numbers(column_of(table, feature.source), feature.source)
    return encoded


def column_of(table: pa.Table, name: str) -> pa.Array:
    """One column as one array, all null where the table has none of that name."""
    if name not in table.column_names:
        return pa.nulls(len(table))
    column = table.column(name)
    return (column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column).combine_chunks()


def as_texts(column: pa.Array, name: str) -> npt.NDArray[np.object_]:
    """Values as bytes, (n,): b"" where missing; floats as DuckDB writes them at ingest, other types as Arrow does."""
    column = _plain(column)
    if pa.types.is_floating(column.type):
        return _float_texts(column)
    if not (_is_text(column) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = _cast(column, pa.string(), name, "values that can be written as text")
    return np.asarray(column.cast(pa.large_binary()).fill_null(b"").to_numpy(zero_copy_only=False), object)


def _float_texts(column: pa.Array) -> npt.NDArray[np.object_]:
    """The shortest texts that read back as the same floats, 1.0 with its ".0" (Arrow drops it); NaN is missing."""
    values = column.to_numpy(zero_copy_only=False)
    return np.array([b"" if np.isnan(value) else str(value).encode() for value in values], object)


def as_numbers(column: pa.Array, name: str) -> npt.NDArray[np.float32]:
    """Values as float32, (n,): NaN where missing, infinite or a blank text."""
    column = _plain(column)
    if _is_text(column):
        column = _without_blanks(column)
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values = np.asarray(_cast(column, pa.float64(), name, "numbers").to_numpy(zero_copy_only=False))
    with np.errstate(over="ignore"):  # finite but beyond float32 becomes infinite, which standardising clips
        return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def as_times(column: pa.Array, name: str) -> npt.NDArray[np.int64]:
    """Times as int64 µs since the epoch, (n,): MISSING_TIME where missing or a blank text.

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


def _plain(column: pa.Array) -> pa.Array:
    """The column without a dictionary or views, which many of Arrow's functions don't take."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _without_blanks(column: pa.Array) -> pa.Array:
    """Texts without space around them, null where nothing is left."""
    texts = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _cast(column: pa.Array, dtype: pa.DataType, name: str, expected: str) -> pa.Array:
    """The column as another type, rounding where it must; raises DataRejectedError where that is impossible."""
    try:
        return pc.cast(column, dtype, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = f"column {name!r}: expected {expected}, received {column.type}: {error}. Correct the column's type."
        raise DataRejectedError(msg) from error


def _rows(table: pa.Table, feature: Feature) -> npt.NDArray[np.int64]:
    """Row within the field, (n,) or (n, slots); each distinct text, or pair of them, is hashed once."""
    columns = [column_of(table, source) for source in feature.sources]
    if feature.holds == "time":
        times = as_times(columns[0], feature.source)
        return np.where(times == MISSING_TIME, 0, 1 + _clock(times, feature.kind))
    texts, codes = zip(*(_distinct(*column) for column in zip(columns, feature.sources, strict=True)), strict=True)
    if feature.kind == "crossed":
        pairs, code = np.unique(codes[0] * len(texts[1]) + codes[1], return_inverse=True)
        first, second = texts[0][pairs // len(texts[1])], texts[1][pairs % len(texts[1])]
        return np.asarray(rows_of_pairs(first, second, feature).numpy()[code])
    several = feature.kind == "multi_valued"
    hashed = rows_of_values(texts[0], feature) if several else hashed_rows(texts[0], feature.buckets)
    return np.asarray(hashed.numpy()[codes[0]])


def _distinct(column: pa.Array, name: str) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """The column's different texts, the last of them b"", and of each row which it is, (n,)."""
    if not pa.types.is_dictionary(column.type):
        if pa.types.is_nested(column.type):
            column = _cast(column, pa.string(), name, "single values")
        column = column.dictionary_encode()
    texts = np.append(as_texts(column.dictionary, name), b"").astype(object)
    codes = column.indices.cast(pa.int64()).fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return texts, np.asarray(codes)


def _clock(microseconds: Any, kind: str) -> Any:
    """Hour of the day (0 to 23) or day of the week (Monday 0), UTC; of NumPy arrays and tensors alike."""
    hours = microseconds // HOUR_MICROSECONDS
    return hours % 24 if kind == "hour" else (hours // 24 + EPOCH_WEEKDAY) % 7


@keras.saving.register_keras_serializable("ctr_retrain")
class FeatureEncoder(keras.layers.Layer):  # type: ignore[misc]
    """`encode` as part of the served graph: raw columns, each (n,), → ids (n, fields) and raw numbers (n, numbers).

    Columns have the types that `raw_columns` says; missing are "", NaN and MISSING_TIME.
    """

    def __init__(self, features: list[dict[str, Any]], **options: Any) -> None:
        """Take the recipe's features as Keras saves them."""
        super().__init__(**options)
        self.features = tuple(Feature.model_validate(dict(feature)) for feature in features)

    def call(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Ids and raw numbers."""
        of_fields = zip(fields(self.features), field_offsets(self.features), value_offsets(self.features), strict=False)
        ids = []
        for feature, missing, first in of_fields:
            if feature.slots:
                rows = self._rows([columns[source] for source in feature.sources], feature)
                ids.append(tf.cast(tf.where(tf.equal(rows, 0), missing + rows, first + rows), tf.int32))
        numeric = [columns[feature.source] for feature in numbers(self.features)]
        rows = tf.shape(next(iter(columns.values())))[0]
        return {
            "ids": tf.concat(ids, axis=1) if ids else tf.zeros((rows, 0), tf.int32),
            "numeric": tf.stack(numeric, axis=1) if numeric else tf.zeros((rows, 0), tf.float32),
        }

    def _rows(self, columns: list[Any], feature: Feature) -> Any:
        """Rows within the field, (n, slots) int64."""
        if feature.kind == "crossed":
            return rows_of_pairs(columns[0], columns[1], feature)[:, None]
        if feature.kind == "multi_valued":
            return rows_of_values(columns[0], feature)
        if feature.kind == "categorical":
            return hashed_rows(columns[0], feature.buckets)[:, None]
        time = columns[0]
        return tf.where(tf.equal(time, MISSING_TIME), tf.zeros_like(time), 1 + _clock(time, feature.kind))[:, None]

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "features": [feature.model_dump() for feature in self.features]}
