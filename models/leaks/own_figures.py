"""Figures of one feature by itself: what it tells of the label on days other than those its ratios were counted on.

Judged where it was counted, an id that no two rows share would tell everything. So the ratios of the values are counted
on every second stretch of time, usually a day, and judged on the stretches between; then the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import OwnFigures

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    # (fit) → (rows,): each row's value as a code, 0 where it is missing. fit: (rows,), rows whose labels may be read.
    CodesOf = Callable[[NDArray[np.bool_]], NDArray[np.int64]]

PRIOR_ROWS = 10.0  # rows of the average ratio that are added to each value's own, so that few rows say little
STANDARD_ERRORS = 3.0  # of all bounds: features and nights are many, and rows of a user are no independent ones


@dataclass(frozen=True)
class _Half:
    """One direction: counted on some rows, judged on the others. Sums over the judged rows."""

    positives: float
    auc: float
    auc_variance: float
    rows: float
    gain: float  # log likelihood above that of the counted rows' ratio alone
    squared_gain: float
    entropy: float  # log loss of that ratio


def measure_values(
    codes_of: CodesOf, label: NDArray[np.uint8], fold: NDArray[np.bool_], where: tuple[str, str]
) -> OwnFigures | None:
    """Measure a feature's values; label: (rows,), 0 or 1; fold: (rows,); where: names of channel and label.

    None where one of the halves has no positives or no negatives.
    """
    halves = [_judge(codes_of(fit), label, fit) for fit in (fold, ~fold) if _has_both(label[fit], label[~fit])]
    if len(halves) < 2:
        return None
    share = np.array([half.positives for half in halves]) / sum(half.positives for half in halves)
    auc = float(share @ [half.auc for half in halves])
    error = float(np.sqrt(share**2 @ [half.auc_variance for half in halves]))
    rows, gain, entropy = (sum(getattr(half, name) for half in halves) for name in ("rows", "gain", "entropy"))
    squared = sum(half.squared_gain for half in halves) / rows
    gain_error = np.sqrt(max(0.0, squared - (gain / rows) ** 2) / rows) * rows / entropy
    missing = codes_of(fold) == 0
    positive = label == 1
    return OwnFigures(
        channel=where[0],
        label=where[1],
        rows=len(label),
        positives=int(positive.sum()),
        auc=auc,
        auc_low=auc - STANDARD_ERRORS * error,
        explained=float(gain / entropy),
        explained_low=float(gain / entropy - STANDARD_ERRORS * gain_error),
        filled_positives=1 - float(missing[positive].mean()),
        filled_negatives=1 - float(missing[~positive].mean()),
        filled_odds_low=_odds_ratio_low(missing, positive),
    )


def _has_both(*labels: NDArray[np.uint8]) -> bool:
    return all(len(label) and 0 < label.sum() < len(label) for label in labels)


def _judge(codes: NDArray[np.int64], label: NDArray[np.uint8], fit: NDArray[np.bool_]) -> _Half:
    """Count each value's ratio on the rows to fit and judge it on the others."""
    size = int(codes.max()) + 1
    fitted, judged = label[fit], label[~fit]
    ratio = fitted.mean()
    seen = np.bincount(codes[fit], minlength=size)
    positives = np.bincount(codes[fit], weights=fitted, minlength=size)
    ratios = (positives + PRIOR_ROWS * ratio) / (seen + PRIOR_ROWS)
    p = np.bincount(codes[~fit], weights=judged, minlength=size)
    n = np.bincount(codes[~fit], minlength=size) - p
    auc, variance = _auc(ratios, p, n)
    gains = np.log(ratios / ratio), np.log((1 - ratios) / (1 - ratio))
    return _Half(
        positives=p.sum(),
        auc=auc,
        auc_variance=variance,
        rows=float(len(judged)),
        gain=float(p @ gains[0] + n @ gains[1]),
        squared_gain=float(p @ gains[0] ** 2 + n @ gains[1] ** 2),
        entropy=float(-p.sum() * np.log(ratio) - n.sum() * np.log(1 - ratio)),
    )


def _auc(score: NDArray[Any], positives: NDArray[Any], negatives: NDArray[Any]) -> tuple[float, float]:
    """Return the AUC of values' scores and its variance (DeLong et al. 1988); counts of each value: (values,)."""
    groups, place = np.unique(score, return_inverse=True)
    p = np.bincount(place, weights=positives, minlength=len(groups))
    n = np.bincount(place, weights=negatives, minlength=len(groups))
    below = (np.cumsum(n) - n / 2) / n.sum()
    above = (p.sum() - np.cumsum(p) + p / 2) / p.sum()
    auc = float(p @ below / p.sum())
    spread = (p @ below**2 / p.sum() - auc**2) / p.sum() + (n @ above**2 / n.sum() - auc**2) / n.sum()
    return auc, max(0.0, float(spread))


def _odds_ratio_low(missing: NDArray[np.bool_], positive: NDArray[np.bool_]) -> float:
    """Return by how much a positive changes the odds that the feature is filled, at the least; 1 where it may not.

    The odds ratio or its inverse, whichever is above 1, less the bounds' standard errors (Woolf 1955; half a row is
    added to each of the four counts after Haldane 1956).
    """
    counts = [np.count_nonzero((missing == m) & (positive == y)) + 0.5 for m in (False, True) for y in (False, True)]
    log_ratio = np.log(counts[0] * counts[3] / (counts[1] * counts[2]))
    error = np.sqrt(sum(1 / count for count in counts))
    return float(np.exp(max(0.0, abs(log_ratio) - STANDARD_ERRORS * error)))
