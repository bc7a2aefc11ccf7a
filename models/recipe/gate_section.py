"""The recipe's [gate]: what a challenger has to show before it serves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ctr_retrain.models.section import Bounds, Name, Positive, Section

SLICE_MARGINS = 5.0  # channels' cost margins that a slice may cost more: it is a small part of a channel


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
    anchor_days: Annotated[int, Field(ge=1)] = 365
    """After so many days the champion in service becomes the anchor that refreshes are held to."""
    stale_days: Annotated[int, Field(ge=1)] = 7
    """After so many days without a promotion a fresher model whose estimate lies within the margin is enough."""
    false_changes_per_year: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance that any changed recipe takes over within a year without being better, over all changes together."""
    refresh_champion: bool = True
    """Whether the champion's own recipe goes on refreshing it while a changed one is on trial, from its second night
    on: a second training a night, without which the champion would grow old for as long as the change needs."""
    auto_rollback: bool = False
    """Whether a champion that is surely worse than its predecessor or the anchor by more than the margin is rolled
    back by the run that finds it, unless a person put it into service; otherwise an incident recommends it."""
    bootstrap_draws: Annotated[int, Field(ge=200, le=100_000)] = 2000
    """Draws from which `compare` makes its joint intervals; the gate's own need none."""
    slice_calibration_ratio: Bounds = (0.67, 1.5)
    """Bounds of predicted to seen positives in each campaign, device and group of newcomers; a veto. A channel has the
    whole's."""
    slice_min_positives: Annotated[int, Field(ge=10)] = 50
    """Fewer positives in a slice, seen or predicted, whichever are more: nothing is said of it."""
    max_slice_cost_delta_per_1000: Annotated[float, Field(ge=0)] = 0.0
    """By how much a slice may cost more per 1,000 impressions; a veto. 0: five times a channel's."""
    false_slice_vetoes_per_year: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance that any slice within its bounds rejects a model in a year of nights, over all slices together."""
    guardrails: dict[Name, Annotated[float, Field(ge=0)]] = Field({})
    """By another kind of outcome, the share by which what the challenger sends may bring more of it than what the
    champion sends, such as `{ unsubscribe = 0.05 }`; a veto where it is surely more, by all nights since the change."""
    found_segments_veto: bool = False
    """Whether the worst segments that a scan over features finds reject a model too; they are shown in any case."""

    @property
    def slice_cost_margin(self) -> float:
        """Return by how much a slice may cost more per 1,000 impressions."""
        own = self.max_slice_cost_delta_per_1000
        return own or SLICE_MARGINS * self.max_channel_cost_delta_per_1000
