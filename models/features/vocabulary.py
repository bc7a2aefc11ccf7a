"""The values that get a row of their own in the embedding table, by how often the training rows hold them.

All of them do, as long as a field has no more than OWN_ROWS; of larger fields those with the most rows, until at most
SHARED_SHARE of the rows is left. The recipe's `min_rows` and `buckets` set narrower bounds. Values without a row of
their own share one, which values that training never saw take too. So that it has been trained where hardly any row
reaches it, UNSEEN_SHARE of the training rows take it in place of their value's (`unseen_rows`), if they hold positives
enough to tell it from nothing; where they don't, it stays as it began, near 0, which is the mean of all values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.training_documents import FieldValues
from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW, SHARED_ROW, TextFeature
from ctr_retrain.models.features.table_layout import encoded_fields, id_features, table_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Self

    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.dictionary import Dictionary

    Values = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # values, rising, and the rows of each

OWN_ROWS = 100_000  # so many values of a field always get a row of their own
SHARED_SHARE = 0.01  # of the rows of a field with more values, at most so many lie on its shared row
UNSEEN_SHARE = 0.01  # of the training rows whose value counts as unseen
# Among these rows: of fewer, the shared row's log-odds would be off by more than a tenth by chance alone. On a log with
# 900 positives, a row trained on nine cost the linear network 0.007 of log loss and a quarter of the level.
UNSEEN_POSITIVES = 100

NEVER = np.iinfo(np.int16).max  # a day that doesn't come


@dataclass(frozen=True, eq=False)
class ValueCounts:
    """Counts of the training rows that hold the value of each row of the embedding table, and the first day of each.

    Both are of the table's rows from the first to the last that any training row names.
    """

    rows: npt.NDArray[np.int64]  # (table rows,)
    first_day: npt.NDArray[np.int16]  # (table rows,), the day's place in the window; NEVER without a row

    @classmethod
    def of_days(cls, days: Sequence[npt.NDArray[Any]]) -> Self:
        """Sum up the counts of each day, (table rows,) each, the earliest first."""
        rows, first_day = np.zeros(len(days[0]), np.int64), np.full(len(days[0]), NEVER, np.int16)
        for day, count in enumerate(days):
            first_day[(rows == 0) & (count > 0)] = day
            rows += count.astype(np.int64)
        return cls(rows, first_day)


def count_codes(chunks: Iterable[npt.NDArray[np.int32]], dictionary: Dictionary) -> npt.NDArray[np.int64]:
    """Return how often each code of the dictionary stands in chunks of ids, (n, slots) each: (codes,)."""
    count = np.zeros(dictionary.first_codes[-1], np.int64)
    for chunk in chunks:
        count += np.bincount(chunk.ravel(), minlength=len(count))
    return count


def fit_values(
    features: tuple[Feature, ...], counted: Sequence[tuple[Dictionary, npt.NDArray[np.int64]]]
) -> tuple[tuple[Feature, ...], tuple[FieldValues, ...]]:
    """Return the features as fitted on counted days, and what is to be said of each field of texts.

    counted: each day's dictionary with the counts of its codes.
    """
    known: dict[str, npt.NDArray[np.int64]] = {}
    told = []
    for feature in features:
        if isinstance(feature, TextFeature) and feature.owner == feature.name:
            known[feature.name], of_field = _chosen(feature, _values_of(feature, features, counted))
            told.append(of_field)
    return with_values(features, known), tuple(told)


def with_values(features: tuple[Feature, ...], known: dict[str, npt.NDArray[np.int64]]) -> tuple[Feature, ...]:
    """Return the features with these known values, by the name of the feature that owns the rows."""
    return tuple(
        feature.knowing(known[feature.owner])
        if isinstance(feature, TextFeature) and feature.owner in known
        else feature
        for feature in features
    )


def known_values(features: tuple[Feature, ...]) -> dict[str, npt.NDArray[np.int64]]:
    """Return what `with_values` takes."""
    return {f.name: f.known for f in features if isinstance(f, TextFeature) and f.owner == f.name}


def unseen_rows(
    features: tuple[Feature, ...], told: Sequence[FieldValues], positives: int
) -> npt.NDArray[np.int32] | None:
    """Return for each row of the table the one that stands for it where its value counts as unseen: (table rows,).

    None where no value does, since the training rows have too few positives. It is the field's shared row for a known
    value, else the row itself; so too where the rows of rare values train the shared row as well.
    """
    if UNSEEN_SHARE * positives < UNSEEN_POSITIVES:
        return None
    return shared_rows(features, {field.name for field in told if field.shared_share >= UNSEEN_SHARE})


def shared_rows(features: tuple[Feature, ...], but: Collection[str] = ()) -> npt.NDArray[np.int32]:
    """Return for each row of the table its field's shared row for a known value of texts, else itself: (table rows,).

    but: names of fields whose rows are all returned as they are.
    """
    fields = table_fields(features)
    rows = np.arange(max((field.end for field in fields), default=0), dtype=np.int32)
    for field in fields:
        if isinstance(field.feature, TextFeature) and field.feature.owner == field.feature.name not in but:
            rows[field.offset + FIRST_KNOWN_ROW : field.end] = field.offset + SHARED_ROW
    return rows


def count_unseen(chunks: Iterable[npt.NDArray[np.int32]], features: tuple[Feature, ...]) -> dict[str, int]:
    """Return for each feature of texts how many rows hold a value without a row of its own, in chunks of ids."""
    shared = {
        feature.name: (columns, field.values_offset + SHARED_ROW)
        for feature, field, columns in encoded_fields(features)
        if isinstance(feature, TextFeature)
    }
    count = dict.fromkeys(shared, 0)
    for ids in chunks:
        for name, (columns, row) in shared.items():
            count[name] += int((ids[:, columns] == row).any(axis=1).sum())
    return count


def _values_of(
    owner: TextFeature, features: tuple[Feature, ...], counted: Sequence[tuple[Dictionary, npt.NDArray[np.int64]]]
) -> Values:
    """Return the values of a field and of those that share its rows, and on how many rows each stands, all above 0."""
    parts = [
        (dictionary.values[place], count[first + 1 : first + 1 + len(dictionary.values[place])])
        for dictionary, count in counted
        for place, first in enumerate(dictionary.first_codes[:-1])
        if id_features(features)[place].owner == owner.name
    ]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    values, inverse = np.unique(np.concatenate([values for values, _ in parts]), return_inverse=True)
    rows = np.bincount(inverse, np.concatenate([count for _, count in parts]), len(values)).astype(np.int64)
    return values[rows > 0], rows[rows > 0]


def _chosen(feature: TextFeature, found: Values) -> tuple[npt.NDArray[np.int64], FieldValues]:
    """Return the values of a field that get a row of their own, and what is to be said of it."""
    values, rows = found
    total = int(rows.sum())
    by_rows = np.lexsort((values, -rows))  # equally frequent ones by their fingerprints: by chance, and repeatably
    frequent = by_rows[rows[by_rows] >= feature.min_rows]
    cut = frequent[feature.buckets :] if feature.buckets else frequent[:0]
    if feature.buckets:
        own = frequent[: feature.buckets]
    else:
        enough = int(np.searchsorted(np.cumsum(rows[by_rows]), (1 - SHARED_SHARE) * total)) + 1
        own = frequent[: max(OWN_ROWS, enough)]

    def share(part: npt.NDArray[np.int64]) -> float:
        return float(part.sum()) / total if total else 0.0

    told = FieldValues(
        name=feature.name,
        values=len(values),
        own_rows=len(own),
        shared_share=1 - share(rows[own]) if total else 0.0,
        cut_values=len(cut),
        cut_share=share(rows[cut]),
    )
    return values[own], told
