"""Break-even rates beside those seen, sending all and none beside the models, and where a model hardly matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.decisions.price_sweep import describe_sweep, sweep_prices
from ctr_retrain.models.documents.verdict_documents import ChannelMoney, MoneyPart
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.costs import (
    decide,
    decision_costs,
    send_all_costs,
    send_none_costs,
    usual_threshold,
    value_of,
)
from ctr_retrain.models.number_format import fixed, number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.channel_section import Cost
    from ctr_retrain.models.recipe.recipe import Recipe

HARDLY = 0.01  # of a channel's impressions sent, or not sent: a model decides next to nothing


def describe_money(rows: JudgedRows, recipe: Recipe, *, refresh: bool) -> MoneyPart:
    """Describe decisions in currency; rows: those of gated channels, with probabilities that were checked.

    refresh: whether it is enough for the verdict on cost that the challenger isn't worse by more than the margin.
    """
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    channels = {name: rows.where(rows.channel == name) for name in costs}
    described = tuple(_channel(own, name, recipe) for name, own in channels.items() if len(own.label))
    # A champion that could not be scored fairly has no decisions to compare with; a failed check says why.
    compared = len(rows.label) > 0 and not np.isnan(rows.baseline()).any()
    sweep = sweep_prices(rows, costs, recipe.gate, refresh=refresh) if compared else ()
    message = describe_sweep(sweep) if sweep else "There was nothing to compare the challenger's cost with."
    warnings = [sentence for money in described for sentence in _warnings(money, channels[money.channel], recipe)]
    if not recipe.currency:
        warnings.append('The recipe doesn\'t say in which currency its costs are: add, for example, currency = "EUR".')
    return MoneyPart(
        currency=recipe.currency, channels=described, sweep=sweep, warnings=tuple(warnings), message=message
    )


def _channel(own: JudgedRows, name: str, recipe: Recipe) -> ChannelMoney:
    """Describe one channel by its own rows."""
    cost = recipe.channels[name].cost
    costs, unit = {name: cost}, f"{recipe.currency} " if recipe.currency else ""
    value = value_of(own.value, np.ones(len(own.label), dtype=bool), cost)
    ratio, even = float(own.label.mean()), usual_threshold(cost, value)
    ours, everything, nothing = (1000 * float(each.mean()) for each in _ways(own, costs))
    sent = float(decide(own.challenger, own.channel, costs, own.value).mean())
    # At the mean value a threshold tells what prices come to; each impression is sent by the one of its own value.
    baseline = own.baseline()
    before = None if np.isnan(baseline).any() else float(decide(baseline, own.channel, costs, own.value).mean())
    at = f" at the mean value of {number(float(value.mean()))}" if cost.names_value else ""
    message = (
        f"Channel '{name}': sending is worth its price from {percent(even)} on{at}; {percent(ratio)} were positives, "
        f"and the new model sends {percent(sent)} of the impressions. Per 1,000 its decisions cost {unit}"
        f"{fixed(ours, 2)}, sending everything {fixed(everything, 2)}, sending nothing {fixed(nothing, 2)}."
    )
    return ChannelMoney(
        channel=name,
        rows=len(own.label),
        positive_ratio=ratio,
        break_even=even,
        sent_share=sent,
        sent_share_before=before,
        cost_per_1000=ours,
        send_all_per_1000=everything,
        send_none_per_1000=nothing,
        mean_value=float(value.mean()) if cost.names_value else None,
        message=message,
    )


def _ways(own: JudgedRows, costs: Mapping[str, Cost]) -> tuple[NDArray[np.float64], ...]:
    """Return the cost of each row by the challenger's decisions, if everything is sent, and if nothing is."""
    ours = decision_costs(own.label, own.challenger, own.channel, costs, own.value)
    return ours, *(send(own.label, own.channel, costs, own.value) for send in (send_all_costs, send_none_costs))


def _warnings(money: ChannelMoney, own: JudgedRows, recipe: Recipe) -> Iterator[str]:
    """Find prices of a channel at which a model hardly matters, or does worse than none, each as a sentence."""
    name, even, sent = money.channel, percent(money.break_even), percent(money.sent_share)
    seen = f"the break-even rate is {even}, {percent(money.positive_ratio)} were positives"
    if money.sent_share < HARDLY:
        yield (
            f"At these prices hardly anything of channel '{name}' is worth sending: {seen}, and the new model sends "
            f"{sent} of the impressions. Check [channels.{name}] cost."
        )
    elif money.sent_share > 1 - HARDLY:
        yield (
            f"At these prices nearly everything of channel '{name}' is worth sending, and no model changes much: "
            f"{seen}, and the new model sends {sent} of the impressions. Check [channels.{name}] cost."
        )
    ours, everything, nothing = _ways(own, {name: recipe.channels[name].cost})
    # Only what is sure is told: on a night with few positives sending nothing often looks better by chance.
    clusters, each = Clusters(own.user_bucket, own.campaign, np.ones(len(ours))), np.ones(len(ours))
    for without, way in ((everything, "sending everything"), (nothing, "sending nothing")):
        dearer = clusters.mean(1000 * (ours - without), each, recipe.gate.confidence)
        if dearer.bounded and dearer.low > 0:
            yield (
                f"In channel '{name}' {way} would have cost less than the new model's decisions, by "
                f"{fixed(dearer.estimate, 2)} per 1,000 ({fixed(dearer.low, 2)} to {fixed(dearer.high, 2)})."
            )
