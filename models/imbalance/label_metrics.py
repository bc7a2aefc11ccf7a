"""Figures of several labels' probabilities: of each label, their mean, and of all (row, label) pairs pooled.

A label may be unknown for a row (NaN); the row is then left out of that label's figures alone. An undefined figure is
None, and its label is named with the reason, so that no mean hides which labels it leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import LabelMetrics
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.judging.head_metrics import figures_of, measure_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Figures with a mean over labels. Normalized entropy has none: it is a ratio to each label's own base rate.
AVERAGED = ("auc", "average_precision", "log_loss", "f1", "calibration_ratio")


@dataclass(frozen=True)
class LabelsMetrics:
    """Figures of each label, their mean over the labels that have them, and figures of all pairs pooled."""

    by_label: dict[str, LabelMetrics]
    macro: dict[str, float | None]  # mean of each figure, the same weight a label; None where no label has it
    micro: LabelMetrics  # of the pairs, as if they were rows of one label
    left_out: dict[str, str]  # labels that are missing from some mean, and why, in words
    labels_predicted: int  # labels with at least one row at or above their threshold

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values under the fields' names."""
        return {
            "by_label": {name: block.to_json() for name, block in self.by_label.items()},
            "macro": self.macro,
            "micro": self.micro.to_json(),
            "left_out": self.left_out,
            "labels_predicted": self.labels_predicted,
        }


def measure_labels(
    label: NDArray[Any],
    probability: NDArray[Any],
    names: Sequence[str] | None = None,
    threshold: float | Sequence[float] = 0.5,
) -> LabelsMetrics:
    """Measure labels (n, labels) of 0, 1 and NaN for unknown, by probabilities of the same shape.

    threshold: of F1, a number or one a label. Macro and micro are scikit-learn's averages: the mean over labels, and
    the figure over all pairs of row and label as if they were one label. Raises UsageError for other shapes or values.
    """
    y, p = np.asarray(label, np.float64), np.asarray(probability, np.float64)
    _check(y, p)
    titles = [str(name) for name in names] if names is not None else [str(number) for number in range(y.shape[1])]
    if len(set(titles)) != y.shape[1]:
        msg = f"names: expected {y.shape[1]} different ones, one a label, received {titles[:10]}"
        raise UsageError(msg)
    at = np.broadcast_to(np.asarray(threshold, np.float64), (y.shape[1],))
    by_label = {name: measure_label(y[:, i], p[:, i], float(at[i])) for i, name in enumerate(titles)}
    predicted = p >= at
    known = ~np.isnan(y)  # pairs with an unknown label are in no figure, whatever was predicted
    return LabelsMetrics(
        by_label=by_label,
        macro={name: _mean([getattr(block, name) for block in by_label.values()]) for name in AVERAGED},
        micro=figures_of(y[known], p[known], predicted[known]),
        left_out={name: words for name, block in by_label.items() if (words := _left_out(block))},
        labels_predicted=int((predicted & known).any(axis=0).sum()),
    )


def _left_out(block: LabelMetrics) -> str | None:
    """Return the means that a label is missing from, and why, in words; None where it is in all."""
    if not block.rows:
        return "known for no row: in no mean"
    if not block.positives:
        return f"no positive among {block.rows:,} rows: in the mean log loss alone"
    if block.positives == block.rows:
        return f"no negative among {block.rows:,} rows: not in the mean AUC"
    return None


def _mean(figures: list[float | None]) -> float | None:
    there = [figure for figure in figures if figure is not None]
    return float(np.mean(there)) if there else None


def _check(y: Floats, p: Floats) -> None:
    if y.ndim != 2 or y.shape != p.shape:
        msg = f"labels: expected (rows, labels) and probabilities of that shape, received {y.shape} and {p.shape}"
        raise UsageError(msg)
    if not np.isin(y[~np.isnan(y)], (0, 1)).all():
        msg = f"labels: expected 0, 1 and NaN for unknown, received {sorted(set(y[~np.isnan(y)]) - {0, 1})[:5]}"
        raise UsageError(msg)
    if not ((p >= 0) & (p <= 1)).all():
        msg = f"probabilities: expected numbers in [0, 1], received {int((~((p >= 0) & (p <= 1))).sum())} others"
        raise UsageError(msg)
