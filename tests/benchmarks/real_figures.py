"""Figures of each system on a real log: AUC, log loss, what it is apart from the better peer's, and Σp/Σy.

Standard errors and intervals are of whole clusters of test rows; those of a difference are paired, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.judging.metrics import roc_auc
from tests.benchmarks.clustered import losses

if TYPE_CHECKING:
    from tests.benchmarks.clustered import Drawn

OURS, LINEAR, TREES, CONSTANT = "ctr-retrain", "logistic-regression", "lightgbm", "constant"
SYSTEMS = (OURS, LINEAR, TREES, CONSTANT)
PEERS = (LINEAR, TREES)
LEVEL = (0.95, 1.05)  # Σp/Σy that counts as right
_SHORT = {"log_loss_minus_best_peer": "- best peer", "standard_error": "±"}  # what the terminal's table has room for
_SHORT |= {"calibration_ratio": "Σp/Σy", "calibration_low": "low", "calibration_high": "high"}


@dataclass(frozen=True)
class Judged:
    """A set's test rows and what each system predicts for them, seed by seed."""

    name: str
    features: str
    label: np.ndarray
    drawn: Drawn
    predicted: dict[str, list[np.ndarray]]

    @property
    def best_peer(self) -> str | None:
        """The peer of the least log loss over all seeds."""
        found = {peer: self.loss(peer).mean() for peer in PEERS if peer in self.predicted}
        return min(found, key=found.get) if found else None

    def loss(self, system: str, seed: int | None = None) -> np.ndarray:
        """Log loss of each row, of one seed or on average over them."""
        chosen = self.predicted[system] if seed is None else [self.predicted[system][seed - 1]]
        return np.mean([losses(self.label, probability) for probability in chosen], axis=0)


def rows_of(found: Judged) -> list[dict[str, object]]:
    """A row a system and seed."""
    seeds = len(next(iter(found.predicted.values())))
    return [row_of(found, system, seed) for system in found.predicted for seed in range(1, seeds + 1)]


def row_of(found: Judged, system: str, seed: int | None) -> dict[str, object]:
    """One system's figures of a seed; without one those of all seeds together, each row's mean over them."""
    predicted = found.predicted[system] if seed is None else [found.predicted[system][seed - 1]]
    loss, level = found.loss(system, seed), np.mean(predicted, axis=0)
    low, high = found.drawn.interval_of_ratio(level, found.label)
    row: dict[str, object] = {"set": found.name, "system": system, "features": found.features, "seed": seed}
    row["auc"] = round(float(np.mean([roc_auc(found.label, one) for one in predicted])), 4)
    row["log_loss"] = round(float(loss.mean()), 5)
    if found.best_peer:
        apart = loss - found.loss(found.best_peer, seed)
        row["log_loss_minus_best_peer"] = round(float(apart.mean()), 5)
        row["standard_error"] = round(found.drawn.error_of_mean(apart), 5)
    else:
        row["log_loss_minus_best_peer"] = row["standard_error"] = None
    row["calibration_ratio"] = round(float(level.sum() / found.label.sum()), 3)
    row["calibration_low"], row["calibration_high"] = round(low, 3), round(high, 3)
    row["rows"], row["positives"] = len(found.label), int(found.label.sum())
    return row


def summaries(found: Judged) -> list[dict[str, object]]:
    """A line a system, its seeds together, without what is the same on each line."""
    rows = [row_of(found, system, None) for system in found.predicted]
    left_out = {"features", "seed"}
    return [{_SHORT.get(name, name): value for name, value in row.items() if name not in left_out} for row in rows]


def targets(found: list[Judged]) -> list[str]:
    """How many sets reach what the model is to reach, in words."""
    sets = [one for one in found if OURS in one.predicted and one.best_peer]
    rows = [row_of(one, OURS, None) for one in sets]
    apart = [(row["log_loss_minus_best_peer"], row["standard_error"]) for row in rows]
    level = sum(difference - 1.96 * error <= 0 for difference, error in apart)
    lines = [
        f"Log loss not behind the better peer (95 % interval): {level} of {len(rows)}",
        f"Log loss better than the better peer by its point: {sum(d < 0 for d, _ in apart)} of {len(rows)}",
    ]
    levels = [
        level_is_right(row, row_of(one, CONSTANT, None))
        for one, row in zip(sets, rows, strict=True)
        if CONSTANT in one.predicted
    ]
    return [
        *lines,
        f"Level right, or nearer to 1 than the constant's where that is off: {sum(levels)} of {len(levels)}",
    ]


def level_is_right(ours: dict[str, object], constant: dict[str, object]) -> bool:
    """Its interval meets 0.95 to 1.05; where the constant's ratio lies outside of that, ours is nearer to 1."""
    low, high = LEVEL
    if low <= constant["calibration_ratio"] <= high:
        return ours["calibration_low"] <= high and ours["calibration_high"] >= low
    return abs(ours["calibration_ratio"] - 1) < abs(constant["calibration_ratio"] - 1)
