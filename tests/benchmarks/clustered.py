"""Figures of predictions on test rows, with the spread that draws of whole clusters give them.

Rows of one user, hour or group booking resemble each other: each draw gives a whole cluster its Poisson(1) weight, the
same in every figure, so that differences are paired.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 1000


def losses(label, probability):
    """Log loss of each row."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return -np.where(label == 1, np.log(p), np.log1p(-p))


@dataclass(frozen=True)
class Drawn:
    """Draws of the test rows' clusters."""

    index: np.ndarray  # (rows,), the row's cluster
    weight: np.ndarray  # (draws, clusters)

    def sums(self, value):
        """The draws' totals of a value of each row."""
        return self.weight @ np.bincount(self.index, value, minlength=self.weight.shape[1])

    def error_of_mean(self, value):
        """Standard error of the mean over rows."""
        return float(np.std(self.sums(value) / self.sums(np.ones(len(value))), ddof=1))

    def interval_of_ratio(self, top, bottom):
        """95 % interval of the ratio of two totals."""
        below = self.sums(bottom)
        ratio = self.sums(top)[below > 0] / below[below > 0]
        return tuple(float(bound) for bound in np.quantile(ratio, (0.025, 0.975)))


def draw(cluster, seed=0):
    """Draw the clusters that the rows name."""
    names, index = np.unique(cluster, return_inverse=True)
    return Drawn(index, np.random.default_rng(seed).poisson(1.0, (DRAWS, len(names))).astype(np.float64))
