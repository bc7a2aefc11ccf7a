"""Columns of encoded days, and the rows that each feature owns of the fused embedding table.

A *field* is a feature with rows in the table. The fields share one table: each owns the rows from its offset on, the
first of them for a missing value. A field that shares another's rows owns that first row only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.feature_kinds.feature import Feature, IdFeature, NumberFeature

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_LIMIT = 2**31 - 1  # an id is an int32
DTYPES = {"text": "string", "number": "float32", "time": "int64"}  # of the served graph's inputs


@dataclass(frozen=True)
class TableField:
    """A feature's part of the fused table."""

    feature: Feature
    offset: int  # its first row, which a missing value has
    end: int  # its last row + 1
    values_offset: int  # row 1 + k of the feature is this + 1 + k; another field's offset where rows are shared


def fields(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Return the features with table rows: those of ids in the recipe's order, then numbers."""
    # Ids come first, so that the network can append the numbers' rows to the encoded ids.
    return (*id_features(features), *numbers_with_rows(features))


def id_features(features: tuple[Feature, ...]) -> tuple[IdFeature, ...]:
    """Return the features that are encoded as ids, in the recipe's order."""
    return tuple(feature for feature in features if isinstance(feature, IdFeature))


def plain_numbers(features: tuple[Feature, ...]) -> tuple[NumberFeature, ...]:
    """Return the numbers without rows in the table, which the network standardises or cuts into pieces."""
    return tuple(f for f in features if isinstance(f, NumberFeature) and not f.table_rows)


def numbers_with_rows(features: tuple[Feature, ...]) -> tuple[NumberFeature, ...]:
    """Return the numbers whose rows the network finds itself, by edges that depend on the window."""
    return tuple(f for f in features if isinstance(f, NumberFeature) and f.table_rows)


def numbers(features: tuple[Feature, ...]) -> tuple[NumberFeature, ...]:
    """Return the features of the columns of `numeric`: those without rows first, each in the recipe's order."""
    return (*plain_numbers(features), *numbers_with_rows(features))


def slots(features: tuple[Feature, ...]) -> int:
    """Return the number of columns of `ids`."""
    return sum(feature.slots for feature in id_features(features))


def field_offsets(features: tuple[Feature, ...]) -> tuple[int, ...]:
    """Return each field's first row in the fused table, and after them the table's number of rows.

    Raises UsageError where the table would have more rows than an int32 can name.
    """
    offsets = [0]
    for feature in fields(features):
        offsets.append(offsets[-1] + (1 if feature.owner != feature.name else feature.table_rows))
    if offsets[-1] > ROWS_LIMIT:
        msg = f"features: expected at most {ROWS_LIMIT} embedding rows in all, received {offsets[-1]}. Set buckets."
        raise UsageError(msg)
    return tuple(offsets)


def table_fields(features: tuple[Feature, ...]) -> tuple[TableField, ...]:
    """Return each field's part of the table, in the order of `fields`."""
    rows = field_offsets(features)
    offsets = dict(zip([feature.name for feature in fields(features)], rows, strict=False))
    ends = zip(fields(features), rows[1:], strict=True)
    return tuple(TableField(f, offsets[f.name], end, offsets[f.owner]) for f, end in ends)


def encoded_fields(features: tuple[Feature, ...]) -> Iterator[tuple[IdFeature, TableField, slice]]:
    """Yield each feature of ids with its part of the table and its columns of `ids`."""
    first = 0
    for feature, field in zip(id_features(features), table_fields(features), strict=False):
        yield feature, field, slice(first, first + feature.slots)
        first += feature.slots


def raw_columns(features: tuple[Feature, ...]) -> dict[str, str]:
    """Return the columns that the served graph reads, and as what: "string", "float32", or "int64" (µs since 1970).

    Raises UsageError where one column is wanted as two of these.
    """
    columns: dict[str, str] = {}
    for feature in features:
        for source in feature.sources:
            if columns.setdefault(source, DTYPES[feature.holds]) != DTYPES[feature.holds]:
                msg = f"feature {feature.name!r}: expected one kind a column, received two for column {source!r}."
                raise UsageError(msg)
    return columns
