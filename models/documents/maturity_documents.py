"""Label maturity: the share of eventual outcomes that has landed by each age, and what follows for recent days."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ctr_retrain.models.documents.document import Day, Part, StoredDocument


class MaturityCurve(Part):
    """Label maturity of one channel and kind over all hours, as a run shows it."""

    channel: str
    """The channel."""
    kind: str
    """The kind of outcome."""
    days: int
    """Days with final labels that it was measured on."""
    overall: tuple[float, ...]
    """Share of eventual outcomes that has landed, by age in days from 0 to the final age, where it is 1."""


class Maturity(MaturityCurve):
    """Label maturity of one channel and kind, by hour of the impression too."""

    positives: int
    """Outcomes that it was measured on."""
    shares: tuple[tuple[float, ...], ...]
    """The same share for each of 24 hours, drawn towards the overall one where an hour has few outcomes."""
    variation: tuple[float, ...] = Field((), exclude_if=lambda variation: not variation)
    """Standard deviation of a day's own overall share around it, by age, beyond chance and with its own error; none
    where an older version didn't measure it."""


class IncompleteDay(Part):
    """A landing day of which outcomes are missing, by the day's volume and the maturity of labels."""

    day: Day
    """The landing day."""
    channels: tuple[str, ...]
    """The channels of which outcomes are missing."""
    kinds: tuple[str, ...]
    """The kinds of outcomes that are missing."""
    expected: float
    """Outcomes of these that should have landed on the day."""
    received: int
    """Outcomes of these that did."""
    z: float
    """Standard errors between the two, variation from day to day included."""
    due: Day
    """The day by whose end the missing ones may still land and count, by the landing grace."""
    overdue: bool
    """True where the run's day is later than that."""
    message: str = Field(alias="words")
    """A sentence with expected and received."""


class ImmatureRatio(Part):
    """A recent day's positive ratio as it is seen, and as it will be when all labels are final."""

    day: Day
    """The event day."""
    channel: str
    """The channel."""
    kind: str
    """The kind of outcome."""
    age_days: int
    """Days from the event day to the run's day."""
    rows: int
    """Impressions."""
    positives: int
    """Impressions whose outcome has landed."""
    seen: float | None
    """Positive ratio so far."""
    corrected: float | None
    """Positive ratio corrected by label maturity; null where that is not known, or where outcomes are missing."""
    standard_error: float | None
    """Standard error of the corrected ratio: the binomial spread of what has landed so far, and how maturity varies
    from day to day."""
    incomplete: tuple[Day, ...] = Field((), exclude_if=lambda days: not days)
    """Landing days of which outcomes are missing that the ratio lacks; absent where there are none."""


class MaturityDocument(StoredDocument):
    """Label maturity as a run measured it: maturity.json in the run."""

    curves: tuple[Maturity, ...]
    """One curve a channel and kind that has days with final labels."""
    immature: tuple[ImmatureRatio, ...] = Field(alias="young")
    """The ratios of days whose labels aren't final, oldest first."""
    outcomes: Mapping[str, int]
    """Outcomes that landed on the run's day, by what became of them."""


class MaturityPart(Part):
    """Label maturity as a run measured it, without the curves by hour."""

    curves: tuple[MaturityCurve, ...]
    """One curve a channel and kind that has days with final labels."""
    immature: tuple[ImmatureRatio, ...] = Field(alias="young")
    """The ratios of days whose labels aren't final, oldest first."""
    outcomes: Mapping[str, int]
    """Outcomes that landed on the run's day, by what became of them."""
