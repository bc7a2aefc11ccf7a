"""The choice of a seed and what it does to a cost difference: estimated from twins, added to two recipes' interval.

Two networks of one recipe and two seeds differ in cost by chance of the seeds beside chance of the rows. Whoever asks
if a changed recipe is better has one network of either, and so that chance on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from ctr_retrain.models.judging.cells import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.models.documents.training_documents import SeedTwin


@dataclass(frozen=True)
class SeedDeviation:
    """The standard deviation that two seeds add to a cost difference per 1,000."""

    value: float
    twins: int  # that it is estimated from


def seed_deviation(twins: Iterable[SeedTwin]) -> SeedDeviation | None:
    """Estimate the deviation from twins' cost differences d with standard errors e by chance of the rows.

    √ max(0, mean(d² − e²)): the method of moments for effects that differ by more than their errors (DerSimonian and
    Laird 1986, equation 8, with equal weights and a mean of 0, since no seed is better). None without twins.
    """
    excess = [
        twin.cost_difference.value**2 - twin.cost_standard_error**2
        for twin in twins
        if twin.cost_difference.value is not None and twin.cost_standard_error is not None
    ]
    return SeedDeviation(sqrt(max(0.0, sum(excess) / len(excess))), len(excess)) if excess else None


def standard_error(interval: Interval, confidence: float) -> float | None:
    """Return half of a bounded interval's width over the normal quantile of its confidence."""
    error = (interval.high - interval.low) / (2 * _quantile(confidence))
    return error if isfinite(error) else None


def seed_words(seeds: SeedDeviation, confidence: float) -> str:
    """Say how much of an interval is due to the choice of seeds."""
    own, twins = _quantile(confidence) * seeds.value, f"{seeds.twins} twin{'s' if seeds.twins > 1 else ''}"
    return f"The interval allows for another seed, which by {twins} moves it by ±{own:.2f}."


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
