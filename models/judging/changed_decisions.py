"""Limits of the cost difference from changed decisions, also where positives among them are few.

A refreshed model decides otherwise on some rows only, and often none of them is a positive. Their spread
doesn't tell of a positive that wasn't seen, and the change then looks like a sure gain. But none of 52 rows seen agrees
with up to 3.7 expected (95 %). So the cost's interval is never narrower than what exact limits of the counts allow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaincinv

from ctr_retrain.models.judging.cells import Interval
from ctr_retrain.models.judging.costs import decide, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.channel_section import Cost


@dataclass(frozen=True)
class ChangedDecisions:
    """Rows of one channel that one model sends and the other doesn't."""

    rows: int
    positives: int  # among them
    if_positive: float  # challenger's cost minus the other model's on one such row, if it is positive; currency units
    if_negative: float  # the same on a row that isn't
    apart: float = 0.0  # of the rows' own prices, where these differ, from what so many positives cost on the whole

    def cost_delta(self, positives: float) -> float:
        """Return the cost difference summed over the rows if so many of them were positives."""
        return positives * self.if_positive + (self.rows - positives) * self.if_negative + self.apart


def find_changed_decisions(
    label: NDArray[Any],
    challenger: NDArray[Any],
    baseline: NDArray[Any],
    channel: NDArray[Any],
    costs: Mapping[str, Cost],
    value: NDArray[Any] | None = None,
) -> list[ChangedDecisions]:
    """Count changed decisions by channel and direction, from both models' probabilities on the same rows.

    label (rows,) of 0 and 1, challenger and baseline (rows,) probabilities, channel (rows,) of names, value (rows,)
    where a price names it. Raises ValueError for a channel that has no cost.
    """
    sends, baseline_sends = (decide(p, channel, costs, value) for p in (challenger, baseline))
    found = []
    for name, cost in costs.items():
        own = channel == name
        for changed, sign in ((own & sends & ~baseline_sends, 1), (own & ~sends & baseline_sends, -1)):
            found.append(_priced(label[changed] == 1, cost, sign, value_of(value, changed, cost)))
    return found


def _priced(positive: NDArray[np.bool_], cost: Cost, sign: int, value: NDArray[np.float64]) -> ChangedDecisions:
    """Price changed decisions, (rows,) each; sign: 1 for rows that the challenger sends, −1 for those it doesn't."""
    rows, positives = len(positive), int(positive.sum())
    missed, needless = (each.fixed + each.per_value * value for each in (cost.missed, cost.needless))
    if not cost.names_value or not rows:
        return ChangedDecisions(rows, positives, -sign * cost.missed.fixed, sign * cost.needless.fixed)
    # A positive of dear rows weighs more than one of cheap ones: by the root mean square the variance of the sum is
    # that of the rows' own prices, if value and probability are independent.
    typical = float(np.sqrt(np.square(missed).mean()))
    whole = ChangedDecisions(rows, positives, -sign * typical, sign * float(needless.mean()))
    seen = sign * float(np.where(positive, -missed, needless).sum())
    return replace(whole, apart=seen - whole.cost_delta(positives))


def widen(interval: Interval, changed: Sequence[ChangedDecisions], rows: int, confidence: float) -> Interval:
    """Widen the interval of a cost difference per 1,000 of `rows` impressions to what exact counts allow at least."""
    low, high = exact_limits(changed, confidence)
    return Interval(interval.estimate, min(interval.low, 1000 * low / rows), max(interval.high, 1000 * high / rows))


def exact_limits(changed: Sequence[ChangedDecisions], confidence: float) -> tuple[float, float]:
    """Return limits of the summed cost difference, as if positives were independent of each other.

    Exact Poisson limits of each count (Garwood 1936), combined by the method of variance estimates recovery: distances
    from estimate to limit add up in squares (Zou and Donner 2008, equations 2 and 3).
    """
    estimate = sum(group.cost_delta(group.positives) for group in changed)
    below = above = 0.0
    for group in changed:
        limits = [group.cost_delta(count) for count in poisson_limits(group.positives, group.rows, confidence)]
        own = group.cost_delta(group.positives)
        # More positives may mean less cost, so the upper limit of the count can be the lower one of the cost.
        below += (own - min(limits)) ** 2
        above += (max(limits) - own) ** 2
    return estimate - sqrt(below), estimate + sqrt(above)


def poisson_limits(count: int, largest: int, confidence: float) -> tuple[float, float]:
    """Return exact limits of the mean behind a Poisson count, not above the `largest` possible one (Garwood 1936)."""
    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, min(float(largest), float(gammaincinv(count + 1, 1 - tail)))


def count_changed(changed: Sequence[ChangedDecisions]) -> tuple[int, int]:
    """Count the rows on which the models decide differently, and the positives among them."""
    return int(np.sum([group.rows for group in changed])), int(np.sum([group.positives for group in changed]))
