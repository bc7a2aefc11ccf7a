"""The verdict on cost at other prices of a needless send, and from which price on it is another one.

A recipe's prices are somebody's estimate. Only the ratio of two prices moves a threshold (Elkan 2001, section 1): what
a needless send costs, to what a positive is worth. So the first is multiplied and the second stays (cost curves,
Drummond and Holte 2006, draw the same as a chart).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.verdict_documents import PricePoint
from ctr_retrain.models.judging.changed_decisions import widen
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.costs import cost_per_1000, decision_costs, send_all_costs, send_none_costs
from ctr_retrain.models.judging.judged_rows import changed_decisions_of, interval_part
from ctr_retrain.models.number_format import number
from ctr_retrain.models.recipe.channel_section import Cost, read_price

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.documents.verdict_documents import Decision
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.gate_section import Gate

# Four steps to each doubling, from an eighth to eight times: a price that is further off is another business.
FACTORS = tuple(2.0 ** (step / 4) for step in range(-12, 13))


def at_price(cost: Cost, factor: float) -> Cost:
    """Return the costs with another price of a needless send, as a multiple of theirs."""
    (spared, spared_slope), (needless, needless_slope) = read_price(cost.true_negative), cost.needless
    fixed, slope = spared + factor * needless, spared_slope + factor * needless_slope
    # Costs that don't leave a choice are refused where they are made, so the text goes through the recipe's own reader.
    price = f"{fixed!r} {'-' if slope < 0 else '+'} {abs(slope)!r} * value" if slope else fixed
    return Cost(**{**cost.model_dump(), "false_positive": price})


def sweep_prices(rows: JudgedRows, costs: Mapping[str, Cost], gate: Gate, *, refresh: bool) -> tuple[PricePoint, ...]:
    """Judge the cost at each factor of FACTORS, on rows of the channels in `costs`.

    refresh: whether it is enough that the challenger isn't worse by more than the margin. By these rows alone: what
    earlier nights have shown was shown at the recipe's own prices.
    """
    clusters = Clusters(rows.user_bucket, rows.campaign, np.ones(len(rows.label)))
    return tuple(_point(rows, costs, factor, clusters, gate, refresh=refresh) for factor in FACTORS)


def describe_sweep(points: Sequence[PricePoint]) -> str:
    """Say what the verdict on cost is at the recipe's prices, and from which price on it is another one."""
    # From the recipe's own price to both sides: what lies beyond the nearest change may change back.
    middle = next(index for index, point in enumerate(points) if point.factor == 1)
    own = points[middle].decision
    below = _next_change(points[middle::-1])
    above = _next_change(points[middle:])
    begin = f"At the recipe's prices the cost of these rows alone says {own}"
    if below is None and above is None:
        low, high = (number(points[end].factor) for end in (0, -1))
        return f"{begin}, and so it does at {low} to {high} times the price of a needless send."
    changes = [f"{number(point.factor)} ({point.decision})" for point in (below, above) if point is not None]
    nearest = (
        f"price at which it says otherwise is {changes[0]}"
        if len(changes) == 1
        else (f"prices at which it says otherwise are {' and '.join(changes)}")
    )
    return f"{begin}; the nearest {nearest} times that of a needless send."


def _point(
    rows: JudgedRows, costs: Mapping[str, Cost], factor: float, clusters: Clusters, gate: Gate, *, refresh: bool
) -> PricePoint:
    """Judge the cost at one price."""
    priced = {name: at_price(cost, factor) for name, cost in costs.items()}
    # The rows' clusters are the same at each price, so they are found once: of a million rows that takes longest.
    ours, theirs = (
        decision_costs(rows.label, p, rows.channel, priced, rows.value) for p in (rows.challenger, rows.baseline())
    )
    delta = clusters.mean(1000 * (ours - theirs), np.ones(len(ours)), gate.confidence)
    delta = widen(delta, changed_decisions_of(rows, priced), len(ours), gate.confidence)
    everything, nothing = (
        send(rows.label, rows.channel, priced, rows.value) for send in (send_all_costs, send_none_costs)
    )
    return PricePoint(
        factor=factor,
        cost_delta_per_1000=interval_part(delta),
        cost_per_1000=cost_per_1000(ours) or 0.0,
        send_all_per_1000=cost_per_1000(everything) or 0.0,
        send_none_per_1000=cost_per_1000(nothing) or 0.0,
        decision=decide_by_cost(delta, gate.max_cost_delta_per_1000 if refresh else 0.0, refresh=refresh),
    )


def decide_by_cost(delta: Interval, limit: float, *, refresh: bool) -> Decision:
    """Decide by a cost difference alone: a refresh has to be within the limit, anything else below it."""
    # By one look: the gate asks for more, since it looks every night; at other prices there are no earlier nights.
    if delta.bounded and (delta.high <= limit if refresh else delta.high < limit):
        return "promote"
    return "reject" if delta.low > limit else "hold"


def _next_change(points: Sequence[PricePoint]) -> PricePoint | None:
    """Return the first point whose decision isn't that of the first; None where all have the same."""
    return next((point for point in points if point.decision != points[0].decision), None)
