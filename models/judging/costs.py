"""Cost of decisions: a probability becomes "send" or "don't send", and each of the four outcomes has its price.

Expected cost of one channel (Elkan 2001, "The Foundations of Cost-Sensitive Learning", section 1):
EC = (C_TP·TP + C_FP·FP + C_TN·TN + C_FN·FN) / N, the mean of the costs by row that are computed here.
All costs are in currency units; a gain is a negative cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.channel_section import Cost


def threshold(cost: Cost) -> float:
    """Return the probability from which sending is cheaper: t* = (C_FP − C_TN) / (C_FP − C_TN + C_FN − C_TP).

    Strictly between 0 and 1, because the recipe refuses costs that leave no choice. Source: Elkan 2001, equation 2.
    """
    needless = cost.false_positive - cost.true_negative  # price of sending what would not have been clicked
    missed = cost.false_negative - cost.true_positive  # price of not sending what would have been
    return needless / (needless + missed)


def decision_costs(
    label: NDArray[Any], probability: NDArray[Any], channel: NDArray[Any], costs: Mapping[str, Cost]
) -> NDArray[np.float64]:
    """Return the cost of each row if it is sent where its probability reaches its channel's threshold.

    label (rows,) of 0 and 1, probability (rows,), channel (rows,) of names; gives (rows,) in currency units.
    A NaN probability costs NaN, so that it can't pass for a decision not to send.
    Raises ValueError for a channel that has no cost.
    """
    refuse_unknown_channels(channel, costs)
    result = np.zeros(len(label))
    for name, cost in costs.items():
        rows = channel == name
        result[rows] = _outcome_costs(label[rows], probability[rows] >= threshold(cost), cost)
    result[np.isnan(probability)] = np.nan
    return result


def send_all_costs(label: NDArray[Any], channel: NDArray[Any], costs: Mapping[str, Cost]) -> NDArray[np.float64]:
    """Return the cost of each row if everything is sent: (rows,) in currency units."""
    return decision_costs(label, np.ones(len(label)), channel, costs)


def send_none_costs(label: NDArray[Any], channel: NDArray[Any], costs: Mapping[str, Cost]) -> NDArray[np.float64]:
    """Return the cost of each row if nothing is sent: (rows,) in currency units."""
    return decision_costs(label, np.zeros(len(label)), channel, costs)


def cost_per_1000(row_costs: NDArray[np.float64]) -> float | None:
    """Return the expected cost of 1,000 impressions in currency units; None without rows or with a cost of NaN."""
    if len(row_costs) == 0:
        return None
    mean = float(row_costs.mean())
    return 1000 * mean if np.isfinite(mean) else None


def cost_curve(
    label: NDArray[Any], probability: NDArray[Any], cost: Cost, thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one channel's cost per 1,000 impressions at each threshold, in currency units: (thresholds,).

    NaN without rows. One sort and a binary search a threshold, so that a report can ask for hundreds.
    """
    rows = len(label)
    if rows == 0:
        return np.full(len(thresholds), np.nan)
    # From each threshold on everything is sent: rows before `first_sent` in this order are not, those after it are.
    order = np.argsort(probability, kind="stable")
    first_sent = np.searchsorted(probability[order], thresholds, side="left")
    positives_below = np.concatenate([[0.0], np.cumsum(label[order], dtype=np.float64)])
    missed = positives_below[first_sent]
    hits = positives_below[-1] - missed
    total = (
        cost.true_positive * hits
        + cost.false_positive * (rows - first_sent - hits)
        + cost.true_negative * (first_sent - missed)
        + cost.false_negative * missed
    )
    return np.asarray(1000 * total / rows, dtype=np.float64)


def refuse_unknown_channels(channel: NDArray[Any], costs: Mapping[str, Cost]) -> None:
    """Raise ValueError if a row's channel has no cost."""
    known = np.zeros(len(channel), dtype=bool)
    for name in costs:
        known |= channel == name
    if not known.all():
        unknown = sorted({str(name) for name in channel[~known]})
        msg = f"channel: expected one of {sorted(costs)}, received {unknown}. Add its cost to the recipe's channels."
        raise ValueError(msg)


def _outcome_costs(label: NDArray[Any], sent: NDArray[np.bool_], cost: Cost) -> NDArray[np.float64]:
    """Return the price of each row's cell of the confusion matrix: (rows,)."""
    if_sent = np.where(label == 1, cost.true_positive, cost.false_positive)
    if_not = np.where(label == 1, cost.false_negative, cost.true_negative)
    return np.where(sent, if_sent, if_not)
