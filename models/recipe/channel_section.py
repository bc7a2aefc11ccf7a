"""The recipe's [channels]: what is a positive, until when an outcome counts, and what a decision costs."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from ctr_retrain.models.section import Name, Section, ShareBounds

WindowHours = Annotated[float, Field(ge=0, le=24 * 60)]


class Cost(Section):
    """Costs of one decision, by its outcome; a gain is a negative cost. Currency units per impression."""

    true_positive: float
    """Of a positive that is sent; negative where it earns."""
    false_positive: float
    """Of a negative that is sent."""
    true_negative: float = 0.0
    """Of a negative that is not sent."""
    false_negative: float = 0.0
    """Of a positive that is not sent."""

    @model_validator(mode="after")
    def _sending_must_be_a_choice(self) -> Self:
        """Raise ValueError for costs by which everything is sent, or nothing, whatever the probability."""
        if self.false_positive <= self.true_negative or self.false_negative <= self.true_positive:
            msg = (
                "expected false_positive > true_negative and false_negative > true_positive, "
                "otherwise no probability is worth a threshold"
            )
            raise ValueError(msg)
        return self


class Channel(Section):
    """One channel: its label, its costs, its absolute bounds."""

    positive_kind: str = "click"
    """The kind of outcome that makes an impression a positive."""
    attribution_window_hours: WindowHours = 24
    """How long after the impression such an outcome counts."""
    more_kinds: dict[Name, WindowHours] = Field(default_factory=dict)
    """Further kinds of outcomes with their windows in hours, each a label column of its own: `{ conversion = 168 }`."""
    gated: bool = True
    """Whether the gate waits for this channel's labels and judges it."""
    positive_ratio: ShareBounds
    """Absolute bounds of the positive ratio, as seen by the end of the same day; outside, the day is rejected."""
    cost: Cost
    """What one decision costs."""

    @property
    def windows_hours(self) -> dict[str, float]:
        """Return the attribution window of each kind that is labelled, in hours, the positive one first."""
        return {self.positive_kind: self.attribution_window_hours} | self.more_kinds

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        """Raise ValueError if the positive kind is also given as a further one."""
        if self.positive_kind in self.more_kinds:
            msg = f"more_kinds: expected others than positive_kind, received {self.positive_kind!r}"
            raise ValueError(msg)
        return self
