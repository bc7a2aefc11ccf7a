"""Values of features on later days beside the training window: missing and unseen ones, and how far they moved.

The change of a distribution is the population stability index, Σ (p − q) ln(p / q) over bins, of the window's shares p
and a later day's q (Lin 2017, equation 1; Kullback's symmetric divergence), less what chance alone would show, so that
many values on few rows are no change. Below 0.1 is commonly called stable, above 0.25 changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.drift_documents import FeatureDay
from ctr_retrain.models.feature_kinds.fingerprints import SHARED_ROW, TextFeature
from ctr_retrain.models.features.table_layout import encoded_fields, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from ctr_retrain.models.feature_kinds.feature import Feature

    Codes = NDArray[np.int64]  # of rows' values, (rows, slots), 0 where missing

LEAST_SHARE = 0.01  # of the window's rows, for a value to have a bin of its own; the others have one together
NUMBER_BINS = 10  # of equal mass on the window
HALF = 0.5  # a row more in each bin, so that an empty one has a logarithm
MISSING = 0


@dataclass(frozen=True, eq=False)
class EncodedSample:
    """Rows of some day as a network reads them, each of which stands for the same number of rows."""

    ids: NDArray[np.int32]  # (n, slots), rows of the table
    numeric: NDArray[np.float32]  # (n, numbers), NaN where missing


@dataclass(frozen=True)
class LaterValues:
    """Values of a feature, missing and others."""

    window_missing: float  # share of the window's rows
    days: tuple[FeatureDay, ...]  # the later ones


def later_values(
    window: EncodedSample, later: Sequence[tuple[date, EncodedSample]], features: tuple[Feature, ...]
) -> dict[str, LaterValues]:
    """Compare each feature's values on later days with those of the window; features: as fitted on the window."""
    samples = [window, *(sample for _, sample in later)]
    found = {}
    for feature, all_codes in _codes(samples, features):
        of_window, *of_days = (codes[_counts(codes)] for codes in all_codes)
        missing = [_share((codes == MISSING).all(axis=1)) for codes in all_codes]
        unseen = [_share((codes == SHARED_ROW).any(axis=1)) for codes in all_codes]
        days = tuple(
            FeatureDay(
                day=day,
                rows=len(codes),
                missing=missing[number],
                unseen=unseen[number] if isinstance(feature, TextFeature) else None,
                moved=None if feature.holds == "time" else stability_index(of_window, of_days[number - 1]),
            )
            for number, ((day, _), codes) in enumerate(zip(later, all_codes[1:], strict=True), 1)
        )
        found[feature.name] = LaterValues(missing[0], days)
    return found


def stability_index(window: NDArray[np.int64], later: NDArray[np.int64]) -> float | None:
    """Return how far the shares of values moved, at least 0; window, later: values' codes; None without rows of one."""
    if not len(window) or not len(later):
        return None
    values, inverse = np.unique(np.concatenate([window, later]), return_inverse=True)
    rows = np.stack([np.bincount(part, minlength=len(values)) for part in np.split(inverse, [len(window)])])
    frequent = rows[0] >= LEAST_SHARE * len(window)
    rare = rows[:, ~frequent].sum(axis=1, keepdims=True)
    bins = np.concatenate([rows[:, frequent], rare[:, rare.any(axis=0)]], axis=1) + HALF
    p, q = bins / bins.sum(axis=1, keepdims=True)
    by_chance = (bins.shape[1] - 1) * (1 / len(window) + 1 / len(later))
    return float(max(0.0, ((p - q) * np.log(p / q)).sum() - by_chance))


def _codes(samples: Sequence[EncodedSample], features: tuple[Feature, ...]) -> Iterator[tuple[Feature, list[Codes]]]:
    """Yield each feature with its codes in each sample, in the recipe's order of ids, then numbers."""
    for feature, field, columns in encoded_fields(features):
        # Rows from a field's own first on; those that it shares with another lie elsewhere, after the missing row.
        own = [sample.ids[:, columns].astype(np.int64) for sample in samples]
        yield feature, [np.where(ids == field.offset, MISSING, ids - field.values_offset) for ids in own]
    for column, number in enumerate(numbers(features)):
        values = [sample.numeric[:, column] for sample in samples]
        there = values[0][~np.isnan(values[0])]
        edges = np.quantile(there, np.arange(1, NUMBER_BINS) / NUMBER_BINS) if len(there) else np.empty(0)
        # Codes from 2 on: 1 is a shared row's.
        yield (
            number,
            [np.where(np.isnan(v), MISSING, 2 + np.searchsorted(np.unique(edges), v))[:, None] for v in values],
        )


def _counts(codes: Codes) -> NDArray[np.bool_]:
    """Return which of the places of a feature's values count: filled ones, and the first of rows without any."""
    there = np.asarray(codes != MISSING)
    there[:, 0] = True
    return there


def _share(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean()) if len(rows) else 0.0
