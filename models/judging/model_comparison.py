"""Challenger and champion side by side: each metric of both, their difference, and which of them is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.evaluation_documents import METRICS, EvaluationDocument, Figures, Metric
from ctr_retrain.models.number_format import fixed, signed
from ctr_retrain.models.recipe.channel_section import read_price

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe


@dataclass(frozen=True)
class ComparedFigure:
    """One metric of both models, written for a table."""

    title: str  # the metric's
    challenger: str
    opponent: str  # a dash where there is no opponent
    difference: str  # challenger minus opponent
    better: bool | None  # the challenger is; None: no difference in the digits shown, or nothing to compare


@dataclass(frozen=True)
class ComparedBlock:
    """The metrics of all rows, or of one channel's."""

    channel: str | None  # None: all rows
    rows: int
    positives: int
    figures: tuple[ComparedFigure, ...]
    send_all: float | None  # cost per 1,000 impressions if everything is sent
    send_none: float | None  # and if nothing is


def compare(evaluation: EvaluationDocument, recipe: Recipe) -> list[ComparedBlock]:
    """Lay out an evaluation's metrics: a block for all rows, then one a channel."""
    challenger = evaluation.metrics["challenger"]
    opponent = evaluation.metrics[evaluation.opponent] if evaluation.opponent else None
    theirs = opponent.by_channel if opponent else {}
    sends = (evaluation.send_all_per_1000, evaluation.send_none_per_1000)
    return [
        _block(None, challenger, opponent, sends),
        *(
            _block(name, block, theirs.get(name), send_everything_or_nothing(evaluation, recipe, name))
            for name, block in challenger.by_channel.items()
        ),
    ]


def send_everything_or_nothing(
    evaluation: EvaluationDocument, recipe: Recipe, channel: str
) -> tuple[float | None, float | None]:
    """Return a channel's cost per 1,000 impressions if everything is sent, and if nothing is; None without rows."""
    curve = evaluation.cost_curves.get(channel)
    if curve is not None and curve.send_all_per_1000 is not None:
        return curve.send_all_per_1000, curve.send_none_per_1000
    # Runs of older versions, in which each positive of a channel had one price.
    block, cost = evaluation.metrics["challenger"].by_channel[channel], recipe.channels[channel].cost
    if not block.rows or cost.names_value:
        return None, None
    ratio = block.positives / block.rows
    prices = (cost.true_positive, cost.false_positive, cost.false_negative, cost.true_negative)
    positive, negative, missed, spared = (read_price(price).fixed for price in prices)
    return 1000 * (ratio * positive + (1 - ratio) * negative), 1000 * (ratio * missed + (1 - ratio) * spared)


def _block(
    channel: str | None, challenger: Figures, opponent: Figures | None, sends: tuple[float | None, float | None]
) -> ComparedBlock:
    """Compare the metrics of one block; sends: what sending all and sending none costs per 1,000 impressions."""
    figures = tuple(
        _figure(metric, getattr(challenger, key), getattr(opponent, key) if opponent else None)
        for key, metric in METRICS.items()
    )
    return ComparedBlock(channel, challenger.rows, challenger.positives, figures, *sends)


def _figure(metric: Metric, ours: float | None, theirs: float | None) -> ComparedFigure:
    """Compare one metric of the challenger, ours, with the opponent's, theirs."""
    values = (fixed(ours, metric.digits), fixed(theirs, metric.digits))
    if ours is None or theirs is None:
        return ComparedFigure(metric.title, *values, difference="", better=None)
    change = ours - theirs
    gain = {"higher": change, "lower": -change, "nearer to 1": abs(theirs - 1) - abs(ours - 1)}[metric.goal]
    # Nobody is called better by digits that the table doesn't show.
    better = None if round(gain, metric.digits) == 0 else gain > 0
    return ComparedFigure(metric.title, *values, signed(change, metric.digits), better)
