"""The worth of features: log loss and cost of predictions without them, less those with them, in pairs.

A prediction without a feature is that of the same network, which gets the feature's default (`left_out.py`). Its
log-odds are moved by one number so that all rows together keep their mean probability: a model that never had the
feature would be calibrated too, so the level is nothing that a feature brings.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.drift_documents import Worth
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.metrics import log_losses
from ctr_retrain.models.number_format import fixed, signed
from ctr_retrain.models.serving.calibration import sigmoid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.drift_documents import Finding
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.recipe.channel_section import Cost

LEAST_POSITIVES = 100  # with fewer, nothing is said of any feature
# Of the rows' log loss. A feature is only called useless where it is sure that leaving it out costs no more than that;
# what is below the lesser share, either way, counts as nothing.
AT_MOST, ABOUT_NOTHING = 0.01, 0.0005
LEVEL_STEPS = 8  # of Newton's method, from log-odds that are right but for a constant


@dataclass(frozen=True, eq=False)
class PredictedRows:
    """Rows of later days with the network's predictions; each array is (rows,)."""

    label: NDArray[Any]  # 0 or 1
    log_odds: NDArray[np.float64]  # as served
    channel: NDArray[Any]  # names
    user_bucket: NDArray[Any]  # 0..255
    campaign: NDArray[Any]
    weight: NDArray[Any]  # how many rows each stands for
    value: NDArray[Any] | None = None  # the impression's own, where a price names it


class FeatureJudge:
    """Judges predictions without some features against those with all, on the same rows."""

    def __init__(self, rows: PredictedRows, costs: Mapping[str, Cost], confidence: float) -> None:
        """Take the rows, the costs of their channels, and the confidence of intervals."""
        self._rows, self._costs, self._confidence = rows, costs, confidence
        self._clusters = Clusters(rows.user_bucket, rows.campaign, rows.weight)
        self._probability = sigmoid(rows.log_odds)
        self._log_loss = log_losses(rows.label, self._probability)
        self.positives = int(rows.label.sum())
        total = rows.weight.sum()
        self.log_loss = float((rows.weight * self._log_loss).sum() / total) if total else None

    def judge(self, names: Sequence[str], log_odds: NDArray[np.float64]) -> Worth:
        """Say what features of these names bring; log_odds: (rows,), as served without them."""
        rows = self._rows
        probability = sigmoid(log_odds + _level(log_odds, rows.weight, self._probability))
        loss = self._interval(log_losses(rows.label, probability) - self._log_loss)
        finding, message = self._words(names, loss)
        return Worth(
            log_loss=_part(loss),
            cost_per_1000=_part(self._interval(1000 * (self._cost(probability) - self._cost(self._probability)))),
            finding=finding,
            message=message,
        )

    def _cost(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        return decision_costs(self._rows.label, probability, self._rows.channel, self._costs, self._rows.value)

    def _interval(self, value: NDArray[np.float64]) -> Interval:
        return self._clusters.mean(value, self._rows.weight, self._confidence)

    def _words(self, names: Sequence[str], loss: Interval) -> tuple[Finding, str]:
        """Return what was found of the features, and a sentence."""
        what, bring, it = ", ".join(names), "brings", "it"
        if len(names) > 1:
            what, bring, it = f"{what} together", "bring", "them"
        if self.positives < LEAST_POSITIVES or not loss.bounded:
            return "unclear", (
                f"What {what} {bring} cannot be told on these days: "
                f"{self.positives:,} positives, {LEAST_POSITIVES} are needed."
            )
        assert self.log_loss is not None
        figures = f"{signed(loss.estimate, 5)} ({signed(loss.low, 5)} to {signed(loss.high, 5)})"
        if loss.low > 0:
            low, high = fixed(loss.low, 5), fixed(loss.high, 5)
            return "brings", f"{what} {bring} {fixed(loss.estimate, 5)} of log loss ({low} to {high})."
        if loss.high < 0:
            return "harms", f"{what} {bring} less than nothing on these days: {figures}; leave {it} out and compare."
        if loss.high <= AT_MOST * self.log_loss and loss.estimate <= ABOUT_NOTHING * self.log_loss:
            return "nothing", (
                f"{what} {bring} nothing on these days: {figures}; the model may be as good without {it}."
            )
        return "unclear", f"What {what} {bring} cannot be told on these days: {figures}."


def _level(log_odds: NDArray[np.float64], weight: NDArray[Any], wanted: NDArray[np.float64]) -> float:
    """Return what to add to log-odds so that their probabilities have the weighted mean of those that are wanted."""
    total, move = float((weight * wanted).sum()), 0.0
    for _ in range(LEVEL_STEPS):
        p = sigmoid(log_odds + move)
        slope = float((weight * p * (1 - p)).sum())
        if slope <= 0:
            break
        move += float(np.clip((total - float((weight * p).sum())) / slope, -1, 1))
    return move


def _part(interval: Interval) -> IntervalPart:
    value = interval.estimate if isfinite(interval.estimate) else None
    return IntervalPart(value=value, low=interval.low, high=interval.high)
