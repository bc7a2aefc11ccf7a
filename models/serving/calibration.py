"""Calibration on rows kept out of training: from the network's logit to a probability that can be taken at its word.

Every method is a line of straight pieces on the logit scale, so that the served layer and NumPy share one formula,
ranks are kept, and no probability is 0 or 1: beyond ±LOGIT_LIMIT all are alike.
"""

from __future__ import annotations

from math import inf, log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ctr_retrain.models.documents.training_documents import CalibrationCurve, CalibrationMethod
from ctr_retrain.models.errors import DataRejectedError

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[Any]
Ints = npt.NDArray[np.integer[Any]]

METHODS: tuple[CalibrationMethod, ...] = ("intercept", "platt", "isotonic")  # from the simplest

LEVEL_SPREAD = 0.2  # in log-odds: how far a network's level is off by itself; docs/training.md has the logs it is from
HELD_OUT_BLOCKS = 5  # of the slice's rows, each predicted by a layer that was fitted on the others
PLATT_POSITIVES = 200  # with fewer, the intercept alone is fitted
ISOTONIC_POSITIVES = 5000  # with fewer, Platt scaling
BLOCK_POSITIVES = 50  # positives, and negatives, behind each knot of the isotonic curve
KNOT_DISTANCE = 0.01  # on the logit scale, between neighbouring knots
LOGIT_LIMIT = 15.0  # a float32 can still tell σ(15) from 1
NEWTON_STEPS = 100  # at most
TOLERANCE = 1e-10  # of a step, on the logit scale


class Calibration(CalibrationCurve):
    """A calibration curve that can be applied to logits."""

    @property
    def slopes(self) -> tuple[float, ...]:
        """Return the slopes of the line's segments from left to right, one more than knots."""
        inner = np.diff(self.values) / np.diff(self.knots)
        return (self.slope, *inner.tolist(), self.slope)

    def apply(self, logit: Floats) -> npt.NDArray[np.float64]:
        """Turn logits into probabilities of equal shape; NaN where the logit is NaN."""
        return sigmoid(np.clip(self.line(logit), -LOGIT_LIMIT, LOGIT_LIMIT))

    def line(self, logit: Floats) -> npt.NDArray[np.float64]:
        """Turn logits into calibrated logits of equal shape."""
        logit = np.asarray(logit, np.float64)
        segment = np.searchsorted(self.knots, logit, side="right")
        knot = np.maximum(segment - 1, 0)  # segments 0 and 1 both start from the first knot
        start, value, slope = (np.asarray(numbers) for numbers in (self.knots, self.values, self.slopes))
        return np.asarray(value[knot] + slope[segment] * (logit - start[knot]))


def choose_calibration(logit: Floats, label: Labels, day: Ints) -> Calibration:
    """Choose the calibration of logits (n,) to labels (n,) that predicts rows best on which it was not fitted.

    Rows are in the order of their days, day (n,) whole numbers from 0. Each of five blocks of them is predicted by a
    layer fitted on the four others. A richer method is chosen only where it predicts them better than a simpler one,
    and none where even the best is worse than the network by itself, by more than the difference's standard error.
    Raises DataRejectedError for logits that aren't finite.
    """
    layers, gains = {}, {}
    for method in METHODS:
        layer = fit_layer(logit, label, day, method)
        if layer.method == method:  # else the rows have too few positives for it
            layers[method], gains[method] = layer, _held_out_gains(logit, label, day, method)
    best = max(gains, key=lambda method: float(gains[method].mean()), default=None)  # of equal ones the simplest
    if best is None or gains[best].mean() < -gains[best].std() / len(label) ** 0.5:
        dropped = tuple(reversed(gains))
        return Calibration(method="identity", rows=len(label), positives=int(label.sum()), dropped=dropped)
    richer = [method for method in gains if METHODS.index(method) > METHODS.index(best)]
    kept = {"held_out_gain": float(gains[best].mean()), "dropped": tuple(reversed(richer))}
    return layers[best].model_copy(update=kept)


def fit_layer(logit: Floats, label: Labels, day: Ints, richest: CalibrationMethod) -> Calibration:
    """Fit a calibration and draw its level back towards the network's own, the more the less the rows say about it.

    Whoever knows a level to ±s, and that networks' levels are off by ±LEVEL_SPREAD, takes the share LEVEL_SPREAD² /
    (LEVEL_SPREAD² + s²) of what the rows say: the posterior mean of a normal level. But no more than s is taken back,
    since some networks are off by far more (limited translation: Efron and Morris 1971).
    """
    layer = fit_calibration(logit, label, richest)
    if layer.method == "identity":
        return layer
    level = _intercept(np.asarray(logit, np.float64), float(label.sum()))
    variance = _level_variance(logit + level, label, day)
    kept, error = LEVEL_SPREAD**2 / (LEVEL_SPREAD**2 + variance), sqrt(variance)
    taken_back = min(error, max(-error, (1 - kept) * level))
    return layer.model_copy(update={"values": tuple(value - taken_back for value in layer.values)})


def _level_variance(logit: Floats, label: Labels, day: Ints) -> float:
    """Return the squared standard error of the logits' level, (n,) logits whose sum of probabilities is the labels'.

    By days as clusters, of each of which other users are kept out: rows of one user, and of one day's weather, go
    together (Liang and Zeger 1986, with G / (G − 1) for G days), but no less than of independent rows.
    """
    probability = sigmoid(np.asarray(logit, np.float64))
    information = float((probability * (1 - probability)).sum())
    if not information:  # all rows are far from a half, so that no level is better than another
        return inf
    surplus = np.bincount(day, label - probability)
    days = int(np.count_nonzero(np.bincount(day)))
    clustered = float((surplus**2).sum()) * days / max(1, days - 1) / information**2
    return max(1 / information, clustered)


def _held_out_gains(logit: Floats, label: Labels, day: Ints, method: CalibrationMethod) -> npt.NDArray[np.float64]:
    """Return by how much the method lowers the log loss of each row where it is held out, (n,)."""
    rows, gains = np.arange(len(label)), np.empty(len(label))
    for block in np.array_split(rows, HELD_OUT_BLOCKS):
        others = np.delete(rows, block)
        layer = fit_layer(logit[others], label[others], day[others], method)
        gains[block] = logit_losses(logit[block], label[block]) - logit_losses(layer.line(logit[block]), label[block])
    return gains


def logit_losses(logit: Floats, label: Labels) -> npt.NDArray[np.float64]:
    """Return the log loss of each logit, (n,)."""
    return np.asarray(np.logaddexp(0.0, logit) - label * logit)


def fit_calibration(logit: Floats, label: Labels, richest: CalibrationMethod = "isotonic") -> Calibration:
    """Fit the calibration of logits (n,) to labels (n,), as rich as the positives allow, and `richest` at most.

    With one class only (no positives, say) nothing can be fitted: identity. Where Platt's slope isn't positive, the
    ranking is no better than chance and only the intercept is fitted. Raises DataRejectedError for logits that aren't
    finite.
    """
    logit = np.asarray(logit, np.float64)
    label = np.asarray(label, np.float64)
    rows, positives = len(label), int(label.sum())
    if not np.isfinite(logit).all():
        msg = f"calibration: expected finite logits, received {int((~np.isfinite(logit)).sum())} of {rows} that aren't."
        raise DataRejectedError(msg)
    if positives in (0, rows):
        return Calibration(method="identity", rows=rows, positives=positives)
    if positives >= ISOTONIC_POSITIVES and richest == "isotonic":
        knots, values = _isotonic_curve(logit, label)
        curve = Calibration(method="isotonic", rows=rows, positives=positives, knots=knots, values=values)
        # Straight lines between the knots don't keep the sum that the isotonic steps had: shift them until it is kept.
        shift = _intercept(curve.line(logit), label.sum())
        return curve.model_copy(update={"values": tuple(value + shift for value in values)})
    if positives >= PLATT_POSITIVES and richest != "intercept":
        slope, intercept = _platt(logit, label)
        if slope > 0:
            return Calibration(method="platt", rows=rows, positives=positives, values=(intercept,), slope=slope)
    intercept = _intercept(logit, float(label.sum()))
    return Calibration(method="intercept", rows=rows, positives=positives, values=(intercept,))


def sigmoid(logit: Floats) -> npt.NDArray[np.float64]:
    """Return 1 / (1 + exp(−x)) without overflow; NaN for NaN."""
    return np.asarray(expit(logit))


def _intercept(logit: Floats, positives: float) -> float:
    """Find the b with Σ σ(logit + b) = positives, by Newton's method within a bracket that each step narrows."""
    log_odds = log(positives / (len(logit) - positives))
    # The bracket: shifted so far that the largest logit is at the log-odds of all rows, the sum is too small, and with
    # the smallest logit there it is too large.
    low, high = log_odds - float(logit.max()), log_odds - float(logit.min())
    intercept = (low + high) / 2
    for _ in range(NEWTON_STEPS):
        probability = sigmoid(logit + intercept)
        gap = positives - float(probability.sum())
        low, high = (intercept, high) if gap > 0 else (low, intercept)
        slope = float((probability * (1 - probability)).sum())
        newton = intercept + gap / slope if slope > 0 else np.inf
        step = (newton if low <= newton <= high else (low + high) / 2) - intercept
        intercept += step
        if abs(step) < TOLERANCE:
            break
    return intercept


def _platt(logit: Floats, label: Floats) -> tuple[float, float]:
    """Fit slope and intercept of σ(slope · logit + intercept) (Platt 1999, with its targets short of 0 and 1).

    Newton's method with halved steps until the loss falls, after Lin, Lin and Weng (2007). Slope 0 where all logits
    are alike.
    """
    positives = label.sum()
    negatives = len(label) - positives
    if np.ptp(logit) < TOLERANCE:
        return 0.0, 0.0
    target = np.where(label > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    center, spread = logit.mean(), logit.std()  # standardised, the two coefficients hardly depend on each other
    design = np.stack([(logit - center) / spread, np.ones_like(logit)], axis=1)  # (n, 2)

    def loss(beta: Floats) -> float:
        line = design @ beta
        return float((np.logaddexp(0, line) - target * line).sum())

    beta = np.array([0.0, log(target.sum() / (1 - target).sum())])
    for _ in range(NEWTON_STEPS):
        probability = sigmoid(design @ beta)
        gradient = design.T @ (probability - target)
        # The small diagonal keeps it solvable where all probabilities are 0 or 1.
        curvature = design.T @ (design * (probability * (1 - probability))[:, None]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        length, current = 1.0, loss(beta)
        while loss(beta - length * step) > current and length > TOLERANCE:
            length /= 2
        beta = beta - length * step
        if np.abs(length * step).max() < TOLERANCE:
            break
    slope = beta[0] / spread
    return float(slope), float(beta[1] - slope * center)


def _isotonic_curve(logit: Floats, label: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit knots and values, strictly increasing on the logit scale, from pooled blocks of the isotonic regression.

    Neighbouring blocks of the pool-adjacent-violators solution (Ayer et al. 1955; Zadrozny and Elkan 2002) are pooled
    further until each holds enough of both classes. A knot is a block's mean logit, its value the log-odds in it.
    """
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415  an import of a second that only this needs

    scores, index = np.unique(logit, return_inverse=True)
    rows, positives = np.bincount(index), np.bincount(index, label)
    level = isotonic_regression(positives / rows, sample_weight=rows)
    first = np.flatnonzero(np.diff(level, prepend=-1.0))  # of each block
    sums = np.stack([np.add.reduceat(column, first) for column in (rows, positives, rows * scores)], axis=1)
    pooled = _pool_blocks(sums)
    rows, positives, total = pooled.T
    knots = total / rows
    values = np.log(positives / (rows - positives))
    return tuple(knots.tolist()), tuple(values.tolist())


def _pool_blocks(sums: Floats) -> Floats:
    """Pool blocks of (rows, positives, Σ logit), (m, 3), each with the next until large and far enough from the last.

    Blocks left at the end join the last one.
    """
    done: list[Floats] = []
    current = np.zeros(3)
    for block in sums:
        current = current + block
        rows, positives, total = current
        far_enough = not done or total / rows - done[-1][2] / done[-1][0] >= KNOT_DISTANCE
        # Both classes, so that the log-odds of a block are finite and not mere chance.
        if far_enough and min(positives, rows - positives) >= BLOCK_POSITIVES:
            done.append(current)
            current = np.zeros(3)
    if not done:
        return current[None, :]
    done[-1] = done[-1] + current
    return np.array(done)
