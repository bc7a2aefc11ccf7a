"""Figures of one label's probabilities, over the rows of which the label is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import LabelMetrics
from ctr_retrain.models.judging.metrics import average_precision, log_losses, normalized_entropy, roc_auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def measure_label(label: NDArray[Any], probability: NDArray[Any], threshold: float = 0.5) -> LabelMetrics:
    """Return the figures of one label, (n,) of 0, 1 and NaN for unknown."""
    known = ~np.isnan(label)
    y, p = label[known], probability[known]
    return figures_of(y, p, p >= threshold)


def figures_of(label: Floats, probability: Floats, predicted: NDArray[np.bool_]) -> LabelMetrics:
    """Return the figures of known labels, probabilities and what a threshold makes of these, all (n,)."""
    rows, positives = len(label), float(label.sum())
    log_loss = float(log_losses(label, probability).mean()) if rows else None
    return LabelMetrics(
        rows=rows,
        positives=int(positives),
        predicted=int(predicted.sum()),
        auc=roc_auc(label, probability),
        average_precision=average_precision(label, probability),
        log_loss=log_loss,
        normalized_entropy=None if log_loss is None else normalized_entropy(log_loss, positives / rows),
        f1=f1_score(label, predicted),
        calibration_ratio=float(probability.sum() / positives) if positives else None,
    )


def f1_score(label: Floats, predicted: NDArray[np.bool_]) -> float | None:
    """Return 2 TP / (2 TP + FP + FN); None without a positive, where nothing can be found. van Rijsbergen 1979."""
    positives = float(label.sum())
    if positives == 0:
        return None
    return float(2 * label[predicted].sum() / (positives + predicted.sum()))
