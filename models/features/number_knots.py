"""Bounds of a number's values in the training window, and knots where they are dense, by which a network reads it.

Numbers are read within the bounds, so that no value of another day is extrapolated. Between two knots a function of the
number is straight, so they stand where its values are: about as many rows between any two of them, and a frequent
value, such as 0, on a knot of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BINS = 16  # pieces of a number at most; docs/training.md has 8 to 64 beside it
OUTER_SHARE = 0.001  # of the rows at either end may be left out of the bounds: typing errors are no scale
RECURRING = 10  # but no value that stands on so many of them
LARGEST = 1e37  # of bounds and knots, so that no difference of two leaves float32


def fit_bounds(sample: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the least and the largest value of a sample of the training window, without its outliers.

    Values that aren't finite are left out; (0, 0) where none is.
    """
    values, rows = _counted(sample)
    if not len(values):
        return 0.0, 0.0
    allowed = int(OUTER_SHARE * rows.sum())
    first, last = (_outliers(counts, allowed) for counts in (rows, rows[::-1]))
    return float(values[first]), float(values[len(values) - 1 - last])


def fit_knots(sample: npt.NDArray[np.float32], bounds: tuple[float, float], bins: int = BINS) -> tuple[float, ...]:
    """Return at most bins + 1 rising values of the sample, the bounds among them; no knot where it has no values.

    All different values where they are so few; else the frequent ones, and quantiles of the rest.
    """
    values, rows = _counted(np.clip(sample[np.isfinite(sample)], *bounds))
    if len(values) > bins + 1:
        own = _frequent(rows, bins + 1)
        own[[0, -1]] = True
        rest, weights = values[~own], np.cumsum(rows[~own])
        places = np.arange(1, bins + 2 - own.sum()) / (bins + 2 - own.sum())
        between = rest[np.searchsorted(weights, places * weights[-1])]
        values = np.unique(np.concatenate([values[own], between]))
    return tuple(float(value) for value in values)


def still_fit(knots: tuple[float, ...], fitted: tuple[float, ...]) -> bool:
    """Tell whether a window with these fitted knots is read well by the knots of an earlier one.

    At most one of the fitted knots lies beyond either end, and no piece holds more than half of them: about a
    sixteenth and half of the rows.
    """
    if not knots:
        return not fitted
    own, new = np.array(knots), np.array(fitted)
    inside = np.searchsorted(own, new)[~np.isin(new, own) & (new > own[0]) & (new < own[-1])]
    most = int(np.bincount(inside).max()) if len(inside) else 0
    beyond = max(np.count_nonzero(new < own[0]), np.count_nonzero(new > own[-1]))
    return bool(beyond <= 1 and most <= len(new) / 2)


def _counted(sample: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the finite values of a sample, rising, none beyond LARGEST, and the rows of each."""
    # The sum makes a zero of a negative one, which is the same number.
    return np.unique(np.clip(sample[np.isfinite(sample)], -LARGEST, LARGEST) + np.float32(0), return_counts=True)


def _outliers(rows: npt.NDArray[np.int64], allowed: int) -> int:
    """Return how many values, from the first on, stand on so few rows together that they are left out."""
    outliers = (np.cumsum(rows) <= allowed) & (rows < RECURRING)
    return int(np.argmin(np.append(outliers, False)))


def _frequent(rows: npt.NDArray[np.int64], knots: int) -> npt.NDArray[np.bool_]:
    """Mark the values that have more rows than a piece between two knots would have of the others: (values,)."""
    found = np.zeros(len(rows), bool)
    while True:
        left = knots - 2 - int(np.count_nonzero(found))  # two are for the bounds
        more = ~found & (rows * max(1, left) > rows[~found].sum())
        if left <= 0 or not more.any():
            return found
        found |= more
