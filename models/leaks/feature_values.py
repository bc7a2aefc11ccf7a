"""Values of a feature as codes that can be counted, from the landed columns that it reads."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.feature_kinds.arrow_columns import (
    MISSING_TIME,
    as_numbers,
    as_times,
    column_of,
    distinct_texts,
)
from ctr_retrain.models.feature_kinds.bucketed import quantile_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.leaks.own_figures import CodesOf

BINS = 64  # of a number, of about equal mass
MOST_VALUES = 16  # of a text that holds several, from the first
DATE = re.compile(r"\d{4}-\d\d-\d\d")
DAY_MICROSECONDS = 86_400_000_000


def codes_of_feature(feature: Feature, table: pa.Table, label: NDArray[np.uint8]) -> CodesOf:
    """Return the codes of a feature of any kind but a clock's; label: (rows,), read on rows to fit alone."""
    columns = [column_of(table, source) for source in feature.sources]
    if feature.holds == "number":
        codes = number_codes(as_numbers(columns[0], feature.sources[0]))
    elif feature.list_delimiter:
        return _most_telling(*_listed(columns[0], feature), label)
    else:
        codes = reduce(_paired, map(_text_codes, columns, feature.sources))
    return lambda _fit: codes


def number_codes(numbers: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return 0 for NaN, else 1 + the number's bin."""
    values = numbers.astype(np.float32)
    edges = np.array(quantile_edges(values, BINS), np.float32)
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, side="right"))


def numbers_of_feature(feature: Feature, table: pa.Table) -> NDArray[np.float64] | None:
    """Return a column's numbers, or its dates and times in days since 1970, (rows,), NaN where missing; else None."""
    if len(feature.sources) != 1 or feature.holds == "time":
        return None
    (source,) = feature.sources
    column = column_of(table, source)
    if feature.holds == "number":
        return as_numbers(column, source).astype(np.float64)
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column.drop_null()
    # The first text says enough to leave all others unread, which would take longer than all the rest.
    if not len(texts) or not DATE.match(str(texts[0])):
        return None
    try:
        return time_numbers(column, source)
    except DataRejectedError:  # texts, and no dates
        return None


def time_numbers(column: pa.Array, name: str) -> NDArray[np.float64]:
    """Return times as days since 1970, (rows,), NaN where missing."""
    times = as_times(column, name)
    return np.where(times == MISSING_TIME, np.nan, times / DAY_MICROSECONDS)


def _text_codes(column: pa.Array, name: str) -> NDArray[np.int64]:
    """Return 0 for a missing or empty text, else a code of its own."""
    texts, codes = distinct_texts(column, name)
    number = np.arange(1, len(texts) + 1)
    number[texts == b""] = 0
    return np.asarray(number[codes])


def _paired(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a code of each pair; 0 where either is missing."""
    _, codes = np.unique(first * (second.max() + 1) + second, return_inverse=True)
    return np.where((first == 0) | (second == 0), 0, 1 + codes)


def _listed(column: pa.Array, feature: Feature) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the values' codes of each different text, (texts, values), 0 behind them; and each row's text, (rows,)."""
    texts, rows = distinct_texts(column, feature.sources[0])
    split = [[value for value in text.decode().split(feature.list_delimiter) if value][:MOST_VALUES] for text in texts]
    numbers: dict[str, int] = {}
    values = np.zeros((len(texts), max(1, *map(len, split))), np.int64)
    for place, found in enumerate(split):
        values[place, : len(found)] = [numbers.setdefault(value, len(numbers) + 1) for value in found]
    return values, rows


def _most_telling(values: NDArray[np.int64], rows: NDArray[np.int64], label: NDArray[np.uint8]) -> CodesOf:
    """Return as a row's code that of its values whose ratio is the furthest from the average, on the rows to fit."""

    def codes(fit: NDArray[np.bool_]) -> NDArray[np.int64]:
        size = int(values.max()) + 1
        seen, positives = np.zeros(size), np.zeros(size)
        for one in values.T:
            seen += np.bincount(one[rows[fit]], minlength=size)
            positives += np.bincount(one[rows[fit]], weights=label[fit], minlength=size)
        ratio = label[fit].mean()
        strength = np.abs(positives - ratio * seen) / np.sqrt(seen + 1)
        strength[0] = -1
        return np.asarray(values[np.arange(len(values)), strength[values].argmax(axis=1)][rows])

    return codes
