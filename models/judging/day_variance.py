"""Variance between days: what a figure moves from one validation day to the next beyond what its rows account for.

An interval from one day's rows speaks of that day. Past nights tell how far days differ: the variance of their
estimates less the mean of their own variances (method of moments, DerSimonian and Laird 1986, equation 8).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

FEWEST_NIGHTS = 7  # degrees of freedom: with fewer the quantile would widen every interval by a third and more


@dataclass(frozen=True)
class PastEstimate:
    """A figure of one night."""

    group: str  # nights of one group have the same mean; of what is compared with a champion: the champion
    estimate: float
    standard_error: float  # by the night's rows alone


@dataclass(frozen=True)
class DayVariance:
    """The variance of a figure between days, beyond what rows account for."""

    value: float  # variance between days, at least 0
    observed: float  # variance of the nights' estimates, from which that of their rows was taken off
    freedom: float  # degrees of freedom of `observed`

    def add_to(self, variance: float, freedom: float, days: int = 1) -> tuple[float, float]:
        """Return the variance of a mean over days and its degrees of freedom (Satterthwaite 1946).

        variance: by rows alone, with its degrees of freedom.
        """
        if not self.value:
            return variance, freedom
        total = variance + self.value / days
        return total, total**2 / (variance**2 / freedom + (self.observed / days) ** 2 / self.freedom)


def estimate_day_variance(nights: Iterable[PastEstimate]) -> DayVariance | None:
    """Estimate the variance between days from past nights, within their groups; None where nights are too few."""
    groups: dict[str, list[PastEstimate]] = defaultdict(list)
    for night in nights:
        groups[night.group].append(night)
    several = [group for group in groups.values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if freedom < FEWEST_NIGHTS:
        return None
    squares = sum(float(np.var([night.estimate for night in group])) * len(group) for group in several)
    observed = squares / freedom
    of_rows = float(np.mean([night.standard_error**2 for group in several for night in group]))
    return DayVariance(max(0.0, observed - of_rows), observed, float(freedom))
