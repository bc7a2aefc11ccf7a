"""Cost of decisions: a probability becomes "send" or "don't send", and each of the four outcomes has its price.

Expected cost of one channel (Elkan 2001, "The Foundations of Cost-Sensitive Learning", section 1):
EC = (C_TP·TP + C_FP·FP + C_TN·TN + C_FN·FN) / N, the mean of the costs by row that are computed here.
All costs are in currency units; a gain is a negative cost. A price may depend on the impression's own value, and
so does its threshold then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.recipe.channel_section import read_price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.channel_section import Cost, Linear


def threshold(cost: Cost, value: float = 0.0) -> float:
    """Return the probability from which sending is cheaper: t* = (C_FP − C_TN) / (C_FP − C_TN + C_FN − C_TP).

    Strictly between 0 and 1 where no price names the impression's value, because the recipe refuses costs that leave no
    choice; infinite where at this value a positive that is sent gains nothing. Source: Elkan 2001, equation 2.
    """
    return float(thresholds(cost, np.array([value]))[0])


def thresholds(cost: Cost, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the threshold at each value of an impression, (rows,): costs by example, Elkan 2001, section 2."""
    needless = np.maximum(_at(cost.needless, value), 0.0)
    missed = _at(cost.missed, value)
    gains = missed > 0
    return np.where(gains, needless / np.where(gains, needless + missed, 1.0), np.inf)


def usual_threshold(cost: Cost, value: NDArray[np.float64]) -> float:
    """Return the threshold at the mean of some values, (rows,); at most 1, from which on nothing is sent anyway."""
    return min(1.0, threshold(cost, float(value.mean()) if len(value) else 0.0))


def decision_costs(
    label: NDArray[Any],
    probability: NDArray[Any],
    channel: NDArray[Any],
    costs: Mapping[str, Cost],
    value: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Return the cost of each row if it is sent where its probability reaches its threshold.

    label (rows,) of 0 and 1, probability (rows,), channel (rows,) of names, value (rows,) where a price names it; gives
    (rows,) in currency units. A NaN probability costs NaN, so that it can't pass for a decision not to send.
    Raises ValueError for a channel that has no cost.
    """
    result = _costs_if(label, decide(probability, channel, costs, value), channel, costs, value)
    result[np.isnan(probability)] = np.nan
    return result


def decide(
    probability: NDArray[Any], channel: NDArray[Any], costs: Mapping[str, Cost], value: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Return for each row if it is sent: its probability reaches the threshold of its channel and value.

    Raises ValueError for a channel that has no cost.
    """
    return np.asarray(probability >= row_thresholds(channel, costs, value))


def row_thresholds(
    channel: NDArray[Any], costs: Mapping[str, Cost], value: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the threshold of each row, (rows,), by its channel and value.

    Raises ValueError for a channel that has no cost.
    """
    limits = np.zeros(len(channel))
    for name, rows in _rows_by_channel(channel, costs).items():
        cost = costs[name]
        limits[rows] = thresholds(cost, value_of(value, rows, cost)) if cost.names_value else threshold(cost)
    return limits


def send_all_costs(
    label: NDArray[Any], channel: NDArray[Any], costs: Mapping[str, Cost], value: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the cost of each row if everything is sent: (rows,) in currency units."""
    return _costs_if(label, np.ones(len(label), dtype=bool), channel, costs, value)


def send_none_costs(
    label: NDArray[Any], channel: NDArray[Any], costs: Mapping[str, Cost], value: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the cost of each row if nothing is sent: (rows,) in currency units."""
    return _costs_if(label, np.zeros(len(label), dtype=bool), channel, costs, value)


def cost_per_1000(row_costs: NDArray[np.float64]) -> float | None:
    """Return the expected cost of 1,000 impressions in currency units; None without rows or with a cost of NaN."""
    if len(row_costs) == 0:
        return None
    mean = float(row_costs.mean())
    return 1000 * mean if np.isfinite(mean) else None


def cost_curve(
    label: NDArray[Any],
    probability: NDArray[Any],
    cost: Cost,
    points: NDArray[np.float64],
    value: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Return one channel's cost per 1,000 impressions at each threshold, in currency units: (points,).

    NaN without rows. One sort and a binary search a threshold, so that a report can ask for hundreds. Where a price
    names the value, a row's own threshold moves by the same factor as that of the mean value.
    """
    rows = len(label)
    if rows == 0:
        return np.full(len(points), np.nan)
    own = value_of(value, np.ones(rows, dtype=bool), cost)
    if cost.names_value:
        limit = thresholds(cost, own)
        moved = probability * usual_threshold(cost, own) / np.where(limit > 0, limit, 1.0)
        probability = np.where(limit > 0, moved, np.inf)
    # From each threshold on everything is sent: rows before `first_sent` in this order are not, those after it are.
    order = np.argsort(probability, kind="stable")
    first_sent = np.searchsorted(probability[order], points, side="left")
    if_not, if_sent = (_outcome_costs(label, np.full(rows, sent), cost, own)[order] for sent in (False, True))
    not_sent = np.concatenate([[0.0], np.cumsum(if_not)])[first_sent]
    sent = if_sent.sum() - np.concatenate([[0.0], np.cumsum(if_sent)])[first_sent]
    return np.asarray(1000 * (not_sent + sent) / rows, dtype=np.float64)


def value_of(value: NDArray[Any] | None, rows: NDArray[np.bool_], cost: Cost) -> NDArray[np.float64]:
    """Return the values of the rows that are marked; zeros where no price names them.

    Raises ValueError where a price names them and there are none.
    """
    if not cost.names_value:
        return np.zeros(int(np.count_nonzero(rows)))
    if value is None:
        msg = "value: expected the impressions' values, which a price names, received none"
        raise ValueError(msg)
    return np.asarray(value[rows], dtype=np.float64)


def fill_values(value: NDArray[Any], channel: NDArray[Any]) -> NDArray[np.float64]:
    """Return values, (rows,), where each that is missing is the mean of its channel's; 0 where none is known."""
    filled = np.asarray(value, dtype=np.float64).copy()
    for name in np.unique(channel[np.isnan(filled)]):
        own = channel == name
        known = filled[own & ~np.isnan(filled)]
        filled[own & np.isnan(filled)] = known.mean() if len(known) else 0.0
    return filled


def _rows_by_channel(channel: NDArray[Any], costs: Mapping[str, Cost]) -> dict[str, NDArray[np.bool_]]:
    """Return which rows are of each channel, (rows,) each; raise ValueError if a row's channel has no cost."""
    # Each comparison of texts takes 40 ms a million rows, and a sweep of prices makes hundreds.
    found = {name: channel == name for name in costs}
    if sum(map(np.count_nonzero, found.values())) < len(channel):
        unknown = sorted({str(name) for name in channel[~np.isin(channel, list(costs))]})
        msg = f"channel: expected one of {sorted(costs)}, received {unknown}. Add its cost to the recipe's channels."
        raise ValueError(msg)
    return found


def _costs_if(
    label: NDArray[Any],
    sent: NDArray[np.bool_],
    channel: NDArray[Any],
    costs: Mapping[str, Cost],
    value: NDArray[Any] | None,
) -> NDArray[np.float64]:
    """Return the cost of each row by what is done with it: (rows,) in currency units."""
    result = np.zeros(len(label))
    for name, rows in _rows_by_channel(channel, costs).items():
        cost = costs[name]
        result[rows] = _outcome_costs(label[rows], sent[rows], cost, value_of(value, rows, cost))
    return result


def _outcome_costs(
    label: NDArray[Any], sent: NDArray[np.bool_], cost: Cost, value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the price of each row's cell of the confusion matrix: (rows,)."""
    positive, negative, not_negative, not_positive = (
        _at(read_price(price), value)
        for price in (cost.true_positive, cost.false_positive, cost.true_negative, cost.false_negative)
    )
    return np.where(sent, np.where(label == 1, positive, negative), np.where(label == 1, not_positive, not_negative))


def _at(price: Linear, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a price at each value: (rows,)."""
    return price.fixed + price.per_value * value
