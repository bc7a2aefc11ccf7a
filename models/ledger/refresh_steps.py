"""Steps: what each refresh in service costs more than the champion before it, measured on nights after its promotion.

A step is known better than how far a chain's end is from its beginning, since two models in a row decide nearly all
rows alike, and it isn't flattered by the luck that let the refresh pass. The sum of the steps says how far a chain has
gone downhill; their spread says what the next refresh will be like.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from ctr_retrain.models.judging.cells import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_STEPS = 5  # of which a spread is told
MOST_STEPS = 56  # of the newest: what refreshes were like before says little of the next
# A refresh that decided every row as the one before it took no step at all, for sure: of what the next one will be like
# it says no more than so many others.
_MOST_WEIGHT = 10.0
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Step:
    """The difference in cost per 1,000 between a champion and the one before it."""

    estimate: float
    standard_error: float


def sum_of_steps(steps: Sequence[Step], freedom: float, confidence: float) -> Interval:
    """Return what the last of a chain costs more than its first.

    freedom: degrees of freedom of a step's variance.
    """
    variance = sum(step.standard_error**2 for step in steps)
    return _around(sum(step.estimate for step in steps), sqrt(variance), freedom, confidence)


def next_step(steps: Sequence[Step], confidence: float) -> Interval | None:
    """Return between which bounds the next step is expected; None where steps are too few to tell.

    The prediction interval of a random-effects mean (Higgins, Thompson and Spiegelhalter 2009), whose variance between
    steps is that of DerSimonian and Laird (1986).
    """
    newest = steps[-MOST_STEPS:]
    if len(newest) < FEWEST_STEPS:
        return None
    estimate = np.array([step.estimate for step in newest])
    own = np.array([step.standard_error**2 for step in newest])
    own = np.maximum(own, max(float(np.median(own)) / _MOST_WEIGHT, _LEAST_VARIANCE))
    between = _variance_between(estimate, own)
    weight = 1 / (own + between)
    mean = float((weight * estimate).sum() / weight.sum())
    return _around(mean, sqrt(between + 1 / float(weight.sum())), len(newest) - 1, confidence)


def _variance_between(estimate: Floats, own: Floats) -> float:
    """Return how far steps truly differ, beyond the variance of each that its rows account for."""
    weight = 1 / own
    mean = (weight * estimate).sum() / weight.sum()
    excess = (weight * (estimate - mean) ** 2).sum() - (len(own) - 1)
    return max(0.0, float(excess / (weight.sum() - (weight**2).sum() / weight.sum())))


def _around(estimate: float, deviation: float, freedom: float, confidence: float) -> Interval:
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * deviation
    return Interval(estimate, estimate - half, estimate + half)
