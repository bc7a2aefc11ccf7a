"""Convergence of a training: whether its loss was still falling when the steps were over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.number_format import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.documents.training_documents import TrainingResult

SMOOTHING = 0.9  # of the loss that a curve shows: the share of the value before
FEW_STEPS = 100  # fewer can't tell, since rates that fall to nothing flatten every curve at its end
LEAST_FALL = 0.01  # of the loss, over the second half of the steps: less isn't worth more steps
SURE = 2.0  # standard errors


def cut_short(result: TrainingResult) -> str:
    """Say in words where training ended before its loss had settled; empty where it had, or nothing is known of it."""
    if result.solution is not None:
        never = f"training was cut short: the loss still fell after {result.solution.steps} steps of Newton's method"
        return "" if result.solution.settled else never
    if result.steps is None:
        return ""
    steps = result.steps.count
    if steps < FEW_STEPS:
        return f"training was cut short: {steps:,} steps are too few to converge ({FEW_STEPS} at least)"
    fall, error = fall_per_step(result.history, result.steps.batch_rows)
    if fall * steps / 2 < LEAST_FALL or fall < SURE * error:
        return ""
    return f"training was cut short: after {steps:,} steps the loss still fell by {percent(fall)} a step"


def fall_per_step(history: Sequence[tuple[int, float]], batch_rows: int) -> tuple[float, float]:
    """Return the fall of the loss a step, as a share of the loss, and its standard error, over the curve's second half.

    history: rows seen and smoothed loss. A batch's loss is taken before it is learnt from, so that in the first epoch
    it is of rows never seen. The line is fitted by least squares to the losses without their smoothing.
    """
    rows, smoothed = (np.array(column, float) for column in zip(*history, strict=True))
    losses = smoothed.copy()
    losses[1:] = (smoothed[1:] - SMOOTHING * smoothed[:-1]) / (1 - SMOOTHING)
    late = rows >= rows[-1] / 2
    steps, loss = rows[late] / batch_rows, losses[late]
    apart = steps - steps.mean()
    slope = (apart * loss).sum() / (apart**2).sum()
    rest = loss - loss.mean() - slope * apart
    error = np.sqrt((rest**2).sum() / max(1, len(loss) - 2) / (apart**2).sum())
    return float(-slope / loss.mean()), float(error / loss.mean())
