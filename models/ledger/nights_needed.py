"""Power: which difference a night's evidence can show, and how many such nights another one needs."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

from ctr_retrain.models.ledger.anytime import anytime_half_width, e_value

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_NIGHTS = 10_000  # more than anyone waits for
POWER = 0.8  # chance with which the smallest difference is shown


def smallest_difference(standard_error: float, confidence: float) -> float:
    """Return the difference that a night with such a standard error tells from 0 in four cases out of five."""
    normal = NormalDist()
    return (normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(POWER)) * standard_error


def nights_to_change(gain: float, standard_error: float, needed: float, prior_nights: float) -> int | None:
    """Return after how many nights a gain a night has shown its e-value `needed` in half of all cases.

    None where more nights than anyone waits for wouldn't do. standard_error: of one night's difference.
    """
    if gain <= 0:  # what isn't there is shown by no number of nights, save by chance
        return None
    variance = standard_error**2
    return _fewest(
        lambda nights: e_value(nights * gain, nights * variance, prior_nights * variance) >= needed or not variance
    )


def nights_to_refresh(
    difference: float, standard_error: float, margin: float, confidence: float, prior_nights: float
) -> int | None:
    """Return after how many nights such a difference is within the margin however often one looks, in half the cases.

    None where it never is.
    """
    room, variance = margin - difference, standard_error**2
    if room <= 0:
        return None
    prior, error = prior_nights * variance, 2 * (1 - confidence)
    return _fewest(lambda nights: anytime_half_width(nights * variance, prior, error) <= nights * room)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """Return the fewest nights that are enough, where more of them are enough too; None where the most aren't."""
    if not enough(MOST_NIGHTS):
        return None
    low, high = 0, MOST_NIGHTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
