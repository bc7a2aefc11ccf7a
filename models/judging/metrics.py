"""Metrics of probabilities: ranking, likelihood, calibration and cost, over all rows and for each channel.

A figure that is undefined (AUC without positives, anything without rows) is None, never NaN and never a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import Metrics, ReliabilityBin
from ctr_retrain.models.judging.costs import cost_per_1000, decision_costs, usual_threshold, value_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.channel_section import Cost

# Probabilities of exactly 0 and 1 (isotonic calibration gives them) are moved by this much before a logarithm is
# taken: Keras' own epsilon, about the precision of the float32 that the served graph computes in.
EPSILON = 1e-7


def measure(
    label: NDArray[Any],
    probability: NDArray[Any],
    channel: NDArray[Any],
    costs: Mapping[str, Cost],
    value: NDArray[Any] | None = None,
) -> Metrics:
    """All figures of one model on unweighted rows.

    label (rows,) of 0 and 1, probability (rows,), channel (rows,) names, value (rows,) where a price names it.
    With a probability outside [0, 1] or NaN the figures that depend on it are None. Raises ValueError for another label
    and for a channel without a cost.
    """
    if not np.isin(label, (0, 1)).all():
        msg = f"label: expected only 0 and 1, received {sorted(set(np.unique(label).tolist()) - {0, 1})[:5]}"
        raise ValueError(msg)
    y = np.asarray(label, dtype=np.float64)
    p = np.asarray(probability, dtype=np.float64)
    blocks = {}
    for name, cost in costs.items():
        rows = channel == name
        own = None if value is None else value[rows]
        blocks[name] = _block(ScoredRows(y[rows], p[rows], channel[rows], {name: cost}, own))
    return _block(ScoredRows(y, p, channel, costs, value)).model_copy(update={"by_channel": blocks})


def roc_auc(label: NDArray[Any], probability: NDArray[Any]) -> float | None:
    """Area under the ROC curve; ties count half. None without a positive or a negative.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    positives, rows = _by_distinct_probability(label, probability)
    negatives = rows - positives
    pairs = positives.sum() * negatives.sum()
    if pairs == 0:
        return None
    negatives_below = np.cumsum(negatives) - negatives
    return float((positives * (negatives_below + negatives / 2)).sum() / pairs)


def average_precision(label: NDArray[Any], probability: NDArray[Any]) -> float | None:
    """Area under the precision-recall curve by steps, Σ (R_k − R_{k−1})·P_k; None without a positive.

    Source: Davis and Goadrich 2006 on why not by trapezia; the same as scikit-learn's average_precision_score.
    """
    positives, rows = (counts[::-1] for counts in _by_distinct_probability(label, probability))
    if positives.sum() == 0:
        return None
    precision = np.cumsum(positives) / np.cumsum(rows)
    return float((positives * precision).sum() / positives.sum())


def log_losses(label: NDArray[Any], probability: NDArray[Any]) -> NDArray[np.float64]:
    """Negative log likelihood of each row in nats: (rows,). NaN stays NaN."""
    p = np.clip(np.asarray(probability, dtype=np.float64), EPSILON, 1 - EPSILON)
    return np.where(label == 1, -np.log(p), -np.log1p(-p))


def normalized_entropy(log_loss: float, base_rate: float) -> float | None:
    """Log loss over the entropy of the base rate; below 1 is better than the constant. None where that is 0.

    Source: He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook", section 2.
    """
    if not 0 < base_rate < 1:
        return None
    entropy = -(base_rate * np.log(base_rate) + (1 - base_rate) * np.log1p(-base_rate))
    return float(log_loss / entropy)


def reliability(label: NDArray[Any], probability: NDArray[Any], bins: int = 12) -> list[ReliabilityBin]:
    """Predicted against seen ratio in at most `bins` bins of about equal mass, by rising probability.

    Equal probabilities are never split over two bins: which row came first would decide the rates. The intervals
    have 95 % confidence.
    """
    order = np.argsort(probability, kind="stable")
    y, p = np.asarray(label, dtype=np.float64)[order], np.asarray(probability, dtype=np.float64)[order]
    cuts = np.arange(1, bins) * len(p) // bins
    cuts = np.searchsorted(p, p[cuts], side="left") if len(p) else cuts
    edges = np.unique(np.concatenate([[0], cuts, [len(p)]]))
    return [_reliability_bin(y[start:stop], p[start:stop]) for start, stop in pairwise(edges)]


def wilson_interval(positives: float, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a ratio; honest near 0, where ±2 standard errors are not. Source: Wilson 1927."""
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    rate = positives / rows
    centre = (rate + z2 / (2 * rows)) / (1 + z2 / rows)
    half = (z2 * (rate * (1 - rate) / rows + z2 / (4 * rows**2))) ** 0.5 / (1 + z2 / rows)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows with a probability each."""

    label: NDArray[np.float64]  # (rows,) 0 or 1
    probability: NDArray[np.float64]  # (rows,)
    channel: NDArray[Any]  # (rows,) names
    costs: Mapping[str, Cost]  # of each channel
    value: NDArray[Any] | None = None  # (rows,) of the impressions, where a price names it

    @cached_property
    def positives(self) -> float:
        """Number of positives."""
        return float(self.label.sum())

    @cached_property
    def log_loss(self) -> float:
        """Mean of the rows' losses in nats; kept, since two metrics need it and it takes a logarithm a row."""
        return float(log_losses(self.label, self.probability).mean())


def _calibration_ratio(rows: ScoredRows) -> float | None:
    """Return predicted to seen positives; None without a positive."""
    return float(rows.probability.sum() / rows.positives) if rows.positives > 0 else None


# Formula of each metric that `Figures` declares, over at least one row; None where it is undefined for these.
VALUES: dict[str, Callable[[ScoredRows], float | None]] = {
    "auc": lambda rows: roc_auc(rows.label, rows.probability),
    "pr_auc": lambda rows: average_precision(rows.label, rows.probability),
    "log_loss": lambda rows: rows.log_loss,
    "normalized_entropy": lambda rows: normalized_entropy(rows.log_loss, rows.positives / len(rows.label)),
    "calibration_ratio": _calibration_ratio,
    "cost_per_1000": lambda rows: cost_per_1000(
        decision_costs(rows.label, rows.probability, rows.channel, rows.costs, rows.value)
    ),
}


def _block(rows: ScoredRows) -> Metrics:
    """Return the metrics of these rows, without `by_channel`."""
    p = rows.probability
    usable = len(p) > 0 and bool(((p >= 0) & (p <= 1)).all())
    values: dict[str, Any] = {name: value(rows) if usable else None for name, value in VALUES.items()}
    thresholds = {
        name: usual_threshold(cost, value_of(rows.value, rows.channel == name, cost))
        for name, cost in rows.costs.items()
    }
    return Metrics(rows=len(p), positives=int(rows.positives), **values, threshold=thresholds)


def _by_distinct_probability(
    label: NDArray[Any], probability: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positives and rows at each distinct probability, by rising probability: (distinct,), (distinct,)."""
    _, group, rows = np.unique(probability, return_inverse=True, return_counts=True)
    positives = np.bincount(group, weights=label, minlength=len(rows)).astype(np.float64)
    return positives, rows.astype(np.float64)


def _reliability_bin(y: NDArray[np.float64], p: NDArray[np.float64]) -> ReliabilityBin:
    """One bin of at least one row."""
    low, high = wilson_interval(float(y.sum()), len(y))
    return ReliabilityBin(rows=len(y), mean_probability=float(p.mean()), rate=float(y.mean()), low=low, high=high)
