"""Impressions as simple models read them: numbers, and how often and how well each id did on earlier days.

A row's columns hold nothing of its own day's labels, and nothing of a later day's: the days are gone through in their
order, and each reads what those before it left. The first day of a window therefore only gives history.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.features.table_layout import encoded_fields, numbers
from ctr_retrain.models.training.stacked_arrays import CHUNK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.encoder import Coded

    Ints = npt.NDArray[np.integer]
    Numbers = npt.NDArray[np.float32]

# A value's ratio is drawn towards that of all rows, as if it had been seen on so many more of the average kind: at
# least these rows, and so many that hold these positives.
PRIOR_ROWS, PRIOR_POSITIVES = 20.0, 2.0
STRETCHES = 4  # of a window's only day, in the order in which its rows landed, which take the place of days


def stretches(day: Coded, label: Ints) -> list[tuple[Coded, Ints]]:
    """Cut a day that is alone in its window into parts that take the place of days."""
    ends = np.linspace(0, len(label), STRETCHES + 1).astype(int)
    return [
        (replace(day, codes=day.codes[first:end], numeric=day.numeric[first:end]), label[first:end])
        for first, end in pairwise(ends)
    ]


class History:
    """Rows and positives of each value on the days that were added so far."""

    def __init__(self, days: Sequence[Coded], features: tuple[Feature, ...]) -> None:
        """Take all days whose values there will be; none is added yet."""
        self._whole = Dictionary.merged([day.dictionary for day in days], features)
        self._numbers = len(numbers(features))
        self._places = [columns for _, _, columns in encoded_fields(features)]  # of each feature's codes
        self._rows, self._positives = (np.zeros(self._whole.first_codes[-1], np.int64) for _ in range(2))
        self._days, self._all_rows, self._all_positives = 0, 0, 0

    @property
    def columns(self) -> int:
        """Return the number of columns: the numbers', then two for each feature of ids."""
        return self._numbers + 2 * len(self._places)

    def add(self, day: Coded, label: Ints) -> None:
        """Count a day's rows and positives; label: (rows,) of 0 and 1."""
        rows, positives = (np.zeros(day.dictionary.first_codes[-1], np.int64) for _ in range(2))
        for chunk in row_chunks(len(label)):
            positive = label[chunk] == 1
            for own, codes, there in self._coded(day, chunk):
                size = own.stop - own.start
                rows[own] += np.bincount(codes[there], minlength=size)
                positives[own] += np.bincount(codes[there & positive[:, None]], minlength=size)
        to_whole = day.dictionary.codes_in(self._whole)
        self._rows[to_whole] += rows
        self._positives[to_whole] += positives
        self._days, self._all_rows = self._days + 1, self._all_rows + len(label)
        self._all_positives += int(np.count_nonzero(label))

    def read(self, day: Coded, rows: Ints) -> Numbers:
        """Return the columns of a day's rows of these numbers, by the days added so far: (n, columns), NaN is missing.

        Of each feature of ids: by how much the log-odds of its value's ratio exceed those of all rows, and the
        logarithm of 1 and the value's rows a day; of several values in a row, their means. Neither drifts as days are
        added.
        """
        found = np.empty((len(rows), self.columns), np.float32)
        numeric = day.numeric[rows]
        found[:, : self._numbers] = np.where(np.isfinite(numeric), numeric, np.nan)
        known, column = self._of_values(day.dictionary.codes_in(self._whole)), self._numbers
        for own, codes, there in self._coded(day, rows):
            total = np.where(there[:, :, None], known[own][codes], 0).sum(axis=1)
            found[:, column : column + 2] = total / there.sum(axis=1, keepdims=True)
            column += 2
        return found

    def _coded(self, day: Coded, rows: Ints) -> Iterator[tuple[slice, Ints, npt.NDArray[np.bool_]]]:
        """Yield of each feature its codes among the day's, the rows' codes from its first on, and which of them count.

        Of a feature with several values in a row the places behind the last one are empty: (n, slots) both.
        """
        chunk = day.codes[rows]
        for (first, end), columns in zip(pairwise(day.dictionary.first_codes), self._places, strict=True):
            codes = chunk[:, columns] - first
            there = codes > 0
            there[:, 0] = True  # there a missing value is a value like others
            yield slice(first, end), codes, there

    def _of_values(self, codes: Ints) -> Numbers:
        """Return excess and rows a day, as `read` has them, of the values of these codes: (codes, 2)."""
        rows, positives = self._rows[codes], self._positives[codes]
        # Half a positive and half a negative more, so that the ratio is neither 0 nor 1.
        ratio = (self._all_positives + 0.5) / (self._all_rows + 1)
        prior = max(PRIOR_ROWS, PRIOR_POSITIVES / ratio)
        own = (positives + prior * ratio) / (rows + prior)
        excess = np.log(own / (1 - own)) - np.log(ratio / (1 - ratio))
        return np.stack([excess, np.log1p(rows / max(1, self._days))], axis=1).astype(np.float32)


def row_chunks(rows: int) -> Iterator[Ints]:
    """Yield the numbers of all rows in their order, some at a time."""
    return (np.arange(first, min(first + CHUNK_ROWS, rows)) for first in range(0, rows, CHUNK_ROWS))
