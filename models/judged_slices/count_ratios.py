"""Predicted to seen positives of many slices at once: sums, exact intervals, and estimates shrunk towards the whole.

A slice's positives are a count. Given its rows they spread at most as a Poisson count does, so the exact limits of one
(Garwood 1936) hold at the far tails too, where a year's error over all slices lies and where no normal interval can be
trusted with 60 positives. Users who click in rows of their own spread the counts further: limits are those of a count
of 1/φ as many, φ being the dispersion within a family (McCullagh and Nelder 1989, section 4.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv

from ctr_retrain.models.judging.cells import USER_BUCKETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_DISPERSED = 200  # positives of a family, below which its dispersion is no more than noise


@dataclass(frozen=True, eq=False)
class SliceSums:
    """Sums over the slices of one family, (slices,) each."""

    rows: NDArray[np.float64]
    positives: NDArray[np.float64]
    predicted: NDArray[np.float64]  # by the challenger
    before: NDArray[np.float64]  # by the champion or the constant rate; NaN where neither scored
    dispersion: float  # of the counts, 1 or more

    @property
    def weight(self) -> NDArray[np.float64]:
        """Return the positives that a slice is judged by: those seen or, where they are more, those predicted."""
        return np.maximum(self.positives, self.predicted)


def sum_slices(
    code: NDArray[Any],
    slices: int,
    label: NDArray[Any],
    challenger: NDArray[Any],
    baseline: NDArray[Any],
    user_bucket: NDArray[Any] | None,
) -> SliceSums:
    """Add up the rows of each slice; code (rows,) from 0 to slices − 1, or below 0 for a row that is in none.

    user_bucket: (rows,) in 0..255, by which the dispersion is measured; None: a Poisson count's, which is 1.
    """
    inside = code >= 0
    own, y, p = code[inside], label[inside].astype(np.float64), challenger[inside]
    rows, positives, predicted, before = (
        np.bincount(own, values, minlength=slices).astype(np.float64) for values in (None, y, p, baseline[inside])
    )
    dispersion = 1.0
    if user_bucket is not None and positives.sum() >= MIN_DISPERSED:
        # Expected counts at each slice's own level: what is left is the spread within it, not its miscalibration.
        level = np.divide(positives, predicted, out=np.zeros(slices), where=predicted > 0)
        rest = np.bincount(own.astype(np.int64) * USER_BUCKETS + user_bucket[inside], y - p * level[own])
        dispersion = max(1.0, float(np.square(rest).sum() / positives.sum()))
    return SliceSums(rows, positives, predicted, before, dispersion)


def ratio_limits(sums: SliceSums, tail: float | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return limits of predicted to expected positives, (slices,) each, outside of which each tail has that chance.

    tail: one chance for all slices, or (slices,) one for each.
    """
    count = sums.positives / sums.dispersion
    most = sums.dispersion * gammainccinv(count + 1, tail)
    least = sums.dispersion * np.where(count > 0, gammaincinv(np.maximum(count, 1e-9), tail), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums.predicted / most, np.where(least > 0, sums.predicted / least, np.inf)


def surprise(sums: SliceSums, ratio: float) -> NDArray[np.float64]:
    """Return for each slice the two-sided chance of a count as far off, if its true ratio were `ratio`: (slices,)."""
    return chance_of_count(sums.positives / sums.dispersion, sums.predicted / ratio / sums.dispersion)


def chance_of_count(count: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided chance of Poisson counts as far from the expected ones as these, (slices,) each."""
    fewer = gammaincc(count + 1, expected)
    more = np.where(count > 0, gammainc(np.maximum(count, 1e-9), expected), 1.0)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(fewer, more)))


def shrink(sums: SliceSums, whole: float) -> NDArray[np.float64]:
    """Return the slices' ratios, (slices,), drawn towards the whole's by τ²/(τ² + v) on the logarithm.

    v is the variance of a slice's own logarithm, τ² that of the true ones around the whole's by the method of moments
    (DerSimonian and Laird 1986, with a known mean).
    """
    # Half a positive more on both sides keeps a slice that saw none finite.
    apart = np.log((sums.predicted + 0.5) / (sums.positives + 0.5)) - np.log(whole)
    precision = (sums.positives + 0.5) / sums.dispersion
    there = sums.rows > 0
    excess = float((precision * apart**2)[there].sum()) - int(there.sum())
    between = max(0.0, excess / float(precision[there].sum())) if there.any() else 0.0
    return np.asarray(whole * np.exp(apart * between / (between + 1 / precision)))
