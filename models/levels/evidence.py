"""Evidence: standard errors of changes of many series, and how often chance alone goes as far.

The budget of false alarms is a year's, over all series together: from it and from the number of series follow the
standard errors that one day must show, and the height that a running sum must reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DAYS_A_YEAR = 365
SPREAD_DAYS = 40  # degrees of freedom of a spread that has been learnt for long
LEAST_LEARNT = 0.05  # of a variance: with less the tails are normal anyway
ALLOWANCE = 0.5  # standard errors a day that a running sum forgives: it is best at changes twice as large
LARGEST_TERM = 3.0  # standard errors of one day in a running sum, which is about many days


def log_odds(positives: Floats, rows: Floats) -> Floats:
    """Return ln((k + ½) / (n − k + ½)): finite for no positives too, nearly unbiased. Source: Haldane 1955."""
    return np.asarray(np.log((positives + 0.5) / (rows - positives + 0.5)))


def counting_variance(expected_log_odds: Floats, rows: Floats) -> Floats:
    """Return the variance of log-odds from counting alone, by the expected ratio.

    By the received one, days that chance made poor would weigh less than those that it made rich, and levels rise.
    """
    ratio = probability(expected_log_odds)
    return np.asarray(1 / np.maximum(rows * ratio * (1 - ratio), 0.5))


def probability(values: Floats) -> Floats:
    """Turn log-odds into probabilities; beyond ±35 nothing moves any more."""
    return np.asarray(1 / (1 + np.exp(-bounded(values, 35.0))))


def bounded(values: Floats, most: float | Floats) -> Floats:
    """Return values kept within ± most: np.clip takes three times as long on a few values, and days have hundreds."""
    return np.asarray(np.minimum(np.maximum(values, -most), most))


def standard_errors(change: Floats, expected: Floats, deviation2: Floats, rows: Floats) -> Floats:
    """Express changes of log-odds in standard errors, z with the change's sign: 1/z² = deviation² / change² + 1/D.

    D is the binomial deviance of the received against the expected count, which stays honest for very few positives,
    where the log-odds' own standard error is not (none of 100 expected would seem 4 standard errors, and is 14).
    Source: signed root of the deviance, McCullagh and Nelder 1989, section 2.4.3.
    """
    received, p0 = probability(expected + change), probability(expected)
    divergence = received * change + np.log((1 - received) / (1 - p0))
    deviance = 2 * (rows + 1) * np.maximum(divergence, 1e-300)  # half a positive and half a negative more
    with np.errstate(divide="ignore", over="ignore"):
        inverse2 = deviation2 / change**2 + 1 / deviance
        return np.asarray(np.where(change == 0, 0.0, np.sign(change) / np.sqrt(inverse2)))


@dataclass(frozen=True)
class Budget:
    """False alarms a year over all series together, and the share of them that each family of series may use."""

    a_year: float
    shares: dict[str, float]  # family → share; they sum to 1

    def one_day(self, family: str, series: int, days: float) -> float:
        """Return the standard errors that a family's series must show on one day, either way.

        days: that the spread was learnt from; the tails are Student's, since it is itself an estimate.
        """
        return _student_quantile(self._share_of_days(family, series), min(days, 60.0))

    def one_day_falls(self, family: str, series: int, days: float, learnt: Floats) -> Floats:
        """Return the standard errors of falls by series, (series,); learnt: the part of each one's variance that was.

        What counting alone brings is known: Student's degrees of freedom are those of the spread over the part's
        square. Source: Satterthwaite 1946, "An approximate distribution of estimates of variance components".
        """
        freedom = _freedom(days) / np.maximum(learnt, LEAST_LEARNT) ** 2
        return np.asarray(stdtrit(freedom, 1 - self._share_of_days(family, series)))

    def _share_of_days(self, family: str, series: int) -> float:
        """Return the share of days on which one of so many series of a family may exceed its limit by chance."""
        return self.a_year * self.shares[family] / DAYS_A_YEAR / max(series, 1)

    def running_sum(self, family: str, series: int) -> float:
        """Return the height of a family's running sums, one each way and series, for the time that the budget gives."""
        alarms = self.a_year * self.shares[family] / max(series, 1)
        return run_length_height(DAYS_A_YEAR / alarms)

    def log_run_length(self, family: str, series: int) -> float:
        """Return the logarithm of the days between two of a series' false alarms, one each way counted on its own."""
        return log(DAYS_A_YEAR * max(series, 1) / (self.a_year * self.shares[family]))


@lru_cache(maxsize=4096)
def _student_quantile(share: float, days: float) -> float:
    """Return the two-sided quantile of Student's t for a share of days that exceed it."""
    return float(stdtrit(_freedom(days), 1 - share / 2))


def _freedom(days: float) -> float:
    """Return the degrees of freedom of a spread that so many days have taught, beside the one that was expected."""
    return min(days, SPREAD_DAYS) + 10


@lru_cache(maxsize=4096)
def run_length_height(days: float) -> float:
    """Return the height at which a running sum of calm days alarms once in so many days, in the mean.

    Siegmund 1985, "Sequential Analysis", equation 2.57, for independent normal terms: with b = height + 1.166,
    days = (exp(2 k b) − 2 k b − 1) / (2 k²).
    """
    b = 2.0
    for _ in range(50):
        b = log(1 + 2 * ALLOWANCE * b + 2 * ALLOWANCE**2 * days) / (2 * ALLOWANCE)
    return max(b - 1.166, 0.5)


def run_length(height: float) -> float:
    """Return the mean number of calm days until a running sum reaches a height: undoes `run_length_height`."""
    b = height + 1.166
    return (exp(2 * ALLOWANCE * b) - 2 * ALLOWANCE * b - 1) / (2 * ALLOWANCE**2)
