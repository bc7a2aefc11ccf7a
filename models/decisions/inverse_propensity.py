"""Weights that undo a policy's choice: a row that is seldom chosen counts for all those that were not.

Self-normalised inverse propensity (Hájek 1971; Swaminathan and Joachims 2015): Σ w·v / Σ w with w = π/π₀, the chance
with which the wanted policy would have chosen the row, over that with which the logging one did. A weight is bounded by
√n times the usual one (Ionides 2008, "Truncated importance sampling", section 4), which leaves an error that vanishes
with more rows and keeps one row from deciding everything. The usual one is the median, not the mean as there: one row
to which a broken logger gave a chance of a billionth would raise its own bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.clustered_ratio import Clusters


LEAST = 1e-9  # chance that a logged row can have had; what is smaller is a logger's way to write none


@dataclass(frozen=True, eq=False)
class PropensityWeights:
    """The weight of each row, (rows,), and how far they can be trusted."""

    weight: NDArray[np.float64]  # 0 where the propensity is missing, or none that a logged row can have had
    bound: float  # the largest weight allowed
    cut: int  # rows whose weight was larger
    known: float  # share of the rows that have a propensity

    @property
    def effective_size(self) -> float:
        """Return how many equally weighed rows the weighed ones are worth: Kish's (Σw)² / Σw²."""
        squares = float(np.square(self.weight).sum())
        return float(self.weight.sum()) ** 2 / squares if squares else 0.0

    def mean(self, value: NDArray[Any], clusters: Clusters, confidence: float) -> Interval:
        """Return the weighted mean of a value of each row with its interval, robust to the clusters."""
        return clusters.mean(value, self.weight, confidence)

    def ratio(self, top: NDArray[Any], bottom: NDArray[Any], clusters: Clusters, confidence: float) -> Interval:
        """Return the ratio of two weighted sums that can't be negative, such as predicted to seen positives."""
        return clusters.ratio(self.weight * top, self.weight * bottom, confidence, positive=True)


def weigh_by_propensity(propensity: NDArray[Any], wanted: NDArray[Any] | float = 1.0) -> PropensityWeights:
    """Weigh rows by the inverse of the chance with which they came into the log.

    propensity: (rows,) in (0, 1], NaN where it is missing. wanted: the chance with which another policy would choose
    each row, (rows,); 1: all that could have been chosen.
    """
    known = np.asarray((propensity >= LEAST) & (propensity <= 1))
    weight = np.where(known, wanted / np.where(known, propensity, 1.0), 0.0)
    usual = float(np.median(weight[weight > 0])) if (weight > 0).any() else 0.0
    bound = usual * sqrt(np.count_nonzero(known))
    share = float(known.mean()) if len(known) else 0.0
    return PropensityWeights(np.minimum(weight, bound), bound, int((weight > bound).sum()), share)
