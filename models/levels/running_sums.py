"""Running sums of one-step errors, which find what no single day shows: slides, and small steps that last.

CUSUM (Page 1954), one sum each way and series: it adds what each day lies beyond its allowance and never falls below
zero. Each remembers the level at which it last was zero, since the level has followed part of the change by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.evidence import ALLOWANCE, LARGEST_TERM, bounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UP, DOWN = 0, 1


class RunningSums:
    """Two sums a series; arrays of shape (2, series), upwards first."""

    def __init__(self, series: int) -> None:
        """Begin at zero."""
        self.sums: Floats = np.zeros((2, series))
        self.days: Floats = np.zeros((2, series))  # since the sum was zero
        self.anchor: Floats = np.zeros((2, series))  # the level then

    def after(self, errors: Floats) -> Floats:
        """Return the sums that a day's errors would lead to, (2, series); nothing is kept."""
        terms = bounded(errors, LARGEST_TERM)
        return np.asarray(np.maximum(self.sums + np.stack([terms, -terms]) - ALLOWANCE, 0.0))

    def add(self, errors: Floats, level: Floats, counts: NDArray[np.bool_]) -> None:
        """Add a day's errors where it counts; level: the one that the day was compared with."""
        begins = (self.sums == 0) & counts
        self.anchor = np.where(begins, level, self.anchor)
        self.sums = np.where(counts, self.after(errors), self.sums)
        self.days = np.where(counts, np.where(self.sums > 0, self.days + 1, 0), self.days)

    def reset(self, series: int) -> None:
        """Begin a series anew."""
        self.sums[:, series] = 0
        self.days[:, series] = 0
