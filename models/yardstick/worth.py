"""The worth of a network over simple models: the gate's money, with the gate's own paired intervals."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.comparison_documents import SIMPLER_NAMES, SimplerModel
from ctr_retrain.models.judging.cells import Interval
from ctr_retrain.models.judging.changed_decisions import widen
from ctr_retrain.models.judging.judged_rows import interval_part, paired_intervals, paired_with
from ctr_retrain.models.judging.metrics import measure
from ctr_retrain.models.number_format import fixed, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ctr_retrain.models.documents.comparison_documents import SimplerName
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.recipe import Recipe

UNSHOWN = (
    "Its probabilities are better, which these rows don't show in money: judge by more of them, with "
    "training.validation_days or `compare --days`."
)
ADVICE = (
    "As long as that is so, the simpler model does as well for less: try another training.network or other features, "
    "and let `compare` judge by more days."
)


def compare_with_simpler(
    rows: JudgedRows, name: SimplerName, probability: NDArray[np.float32], recipe: Recipe, seconds: float
) -> SimplerModel:
    """Compare the challenger with a simple model on the gate's rows; probability: (rows,), the simple model's."""
    costs = {channel: recipe.channels[channel].cost for channel in recipe.channels}
    metrics = measure(rows.label, probability, rows.channel, costs, rows.value)
    paired = paired_with(rows, probability, recipe)
    log_loss, cost, changed = paired_intervals(paired, recipe)
    cost = widen(cost, changed, len(paired.label), recipe.gate.confidence)
    worth = Interval(-cost.estimate, -cost.high, -cost.low)
    return SimplerModel(
        name=name,
        metrics=metrics,
        seconds=seconds,
        worth_per_1000=interval_part(worth),
        log_loss_difference=interval_part(log_loss),
        worth_it=is_worth_it(worth.low),
        message=f"{worth_words(SIMPLER_NAMES[name], worth)} {_log_loss_words(log_loss)}",
    )


def is_worth_it(low: float | None) -> bool:
    """Return True if the lower end of what a network saves lies above 0."""
    return low is not None and isfinite(low) and low > 0


def worth_words(
    over: str, worth: Interval, unit: str = "per 1,000", digits: int = 2, network: str = "The network"
) -> str:
    """Say what a network is worth over a simple model, or that it isn't shown to be worth anything."""
    if worth.high < 0:
        worse = Interval(-worth.estimate, -worth.high, -worth.low)
        return f"{network} is worse than {over}, by {_written(worse, unit, digits)}."
    if is_worth_it(worth.low):
        value, low, high = (fixed(each, digits) for each in (worth.estimate, worth.low, worth.high))
        return f"{network} is worth {value} {unit} over {over} ({low} to {high})."
    return f"{network} is not shown to be worth anything over {over}: {_written(worth, unit, digits)}."


def _written(worth: Interval, unit: str, digits: int) -> str:
    value, low, high = (fixed(each, digits) for each in (worth.estimate, worth.low, worth.high))
    return f"{value} {unit} ({low} to {high})"


def telling(models: Sequence[SimplerModel]) -> str:
    """Return the sentence of the simplest model that the network isn't worth more than, or the first one's."""
    short = next((model for model in models if not model.worth_it), None)
    if short is None:
        return models[0].message
    high = short.log_loss_difference.high
    return f"{short.message} {UNSHOWN if high is not None and high < 0 else ADVICE}"


def _log_loss_words(difference: Interval) -> str:
    value, low, high = (signed(each, 5) for each in (difference.estimate, difference.low, difference.high))
    sure = "is surely lower" if difference.high < 0 else "is surely higher" if difference.low > 0 else "may be equal"
    return f"Its log loss {sure}: {value} against that model's ({low} to {high})."
