"""Paired differences between strategies that were judged on identical rows, with several seeds, and several at once.

What is estimated is how much a model trained one way loses a row, less what one trained the other way loses, as a mean
over seeds: it is a single model that will be deployed, so losses are averaged, never predictions. Its variance has two
parts (the law of total variance): that of the rows, from draws by their two-way cluster-robust covariance, and that
of the seeds, s²/K over the K paired differences by seed. s² holds some of the rows' noise too, which only widens. With
one seed there is no second part, and the interval speaks of these very models.

Interval and p-value come from one and the same Student distribution, with degrees of freedom by Satterthwaite 1946
("An approximate distribution of estimates of variance components": infinite for the rows' part, K − 1 for the seeds').
Percentiles of the draws would be too coarse once a p-value is multiplied by the number of comparisons, and have no
place for the seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from ctr_retrain.models.documents.comparison_documents import DifferencePart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """The difference of two strategies' losses: the first one's less the second one's."""

    value: float
    low: float  # the interval of this comparison alone, not corrected for others
    high: float
    p: float  # two-sided, of the hypothesis that there is no difference

    def to_part(self) -> DifferencePart:
        """Return what a document says of it, where a bound that isn't finite is none."""
        return DifferencePart(value=self.value, low=self.low, high=self.high, p=self.p)


def paired_difference(
    by_seed: NDArray[np.float64], draws: NDArray[np.float64], confidence: float, least_error: float = 0.0
) -> Difference:
    """Estimate the mean difference over seeds, with its interval and p-value.

    by_seed: (seeds,) differences. draws: (draws,) the mean of these over resampled rows. least_error: the rows'
    standard error is never taken for less. Where nothing differs at all p is 1; where something does and no error is
    known, the bounds are infinite and p is 1.
    """
    value = float(by_seed.mean())
    rows = max(float(draws.std(ddof=1)), least_error) ** 2
    seeds = float(by_seed.var(ddof=1)) / len(by_seed) if len(by_seed) > 1 else 0.0
    error = sqrt(rows + seeds)
    if not np.isfinite(error) or error == 0:
        return Difference(value, value, value, 1.0) if value == 0 else Difference(value, -inf, inf, 1.0)
    freedom = (rows + seeds) ** 2 * (len(by_seed) - 1) / seeds**2 if seeds else inf
    half_width = _quantile((1 + confidence) / 2, freedom) * error
    p = 2 * _probability_below(-abs(value) / error, freedom)
    return Difference(value, value - half_width, value + half_width, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number; they keep their order.

    At most `alpha` is the chance that any true null hypothesis among them is rejected at alpha, whatever their
    dependence: the i-th smallest of m is multiplied by m − i + 1 and never less than the one before.
    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0  # so far
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _quantile(share: float, freedom: float) -> float:
    """Return a quantile of Student's distribution; of the normal one where the degrees of freedom are infinite."""
    return float(ndtri(share) if freedom == inf else stdtrit(freedom, share))


def _probability_below(t: float, freedom: float) -> float:
    """Return the probability of a value below t under Student's distribution, or the normal one."""
    found: Any = ndtr(t) if freedom == inf else stdtr(freedom, t)
    return float(found)
