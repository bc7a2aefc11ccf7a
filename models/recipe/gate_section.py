"""The recipe's [gate]: what a challenger has to show before it serves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ctr_retrain.models.section import Bounds, Positive, Section


class Gate(Section):
    """Bounds that a challenger has to keep to."""

    max_cost_delta_per_1000: Annotated[float, Field(ge=0)]
    """Non-inferiority margin of a refresh, in currency units per 1,000 impressions."""
    max_channel_cost_delta_per_1000: Annotated[float, Field(ge=0)]
    """The same bound for each channel alone; a veto."""
    max_log_loss_delta: Annotated[float, Field(ge=0)] = 0.001
    """By how much the log loss may be worse; a veto."""
    calibration_ratio: Bounds = (0.8, 1.25)
    """Bounds of predicted to seen positives; a veto."""
    max_churn: Positive = 0.5
    """Largest mean move of the log-odds after the verdict, with `ship = "fresh"` on the calibration slice, with
    `"recalibrated"` of each channel; above it the evaluated model serves."""
    min_rows: Annotated[int, Field(ge=1)] = 5000
    """Fewer rows on the validation days: hold."""
    min_positives: Annotated[int, Field(ge=1)] = 200
    """Fewer positives on the validation days: hold."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence of the intervals."""
    bootstrap_draws: Annotated[int, Field(ge=200, le=100_000)] = 2000
    """Draws from which `compare` makes its joint intervals; the gate's own need none."""
