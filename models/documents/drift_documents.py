"""Drift: a day's positive ratio beside its history, its alerts, and what features hold and bring on later days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.document import Day, Part, StoredDocument

Basis = Literal["same weekdays", "all days", "a level that follows", "too little history"]
AlertLevel = Literal["warning", "critical"]
Finding = Literal["brings", "nothing", "harms", "unclear"]


class Alert(Part):
    """Something that a person should look at."""

    name: str
    """The figure that is unusual, such as positive_ratio."""
    level: AlertLevel
    """Urgency."""
    channel: str
    """The channel that it was found in."""
    expected: tuple[float, float] | None
    """The lowest and the highest figure that are not unusual; null where there are none."""
    received: float | None
    """The figure that was found; null where there is none."""
    cause: str
    """A sentence: what happened, how sure that is, and what to check first."""


class DriftResult(Part):
    """One channel's day against its history. Figures are null where there is nothing to compare."""

    channel: str
    """The channel."""
    alert: bool
    """True if the change is large enough and sure enough to alert."""
    basis: Basis
    """The days of history that the expectation rests on."""
    days: int
    """Number of these days."""
    message: str = Field(alias="words")
    """A sentence with expected and received."""
    expected: float | None = None
    """The positive ratio that history leads one to expect."""
    low: float | None = None
    """The lowest ratio that doesn't alert."""
    high: float | None = None
    """The highest ratio that doesn't alert."""
    received: float | None = None
    """The day's positive ratio."""
    z: float | None = None
    """Standard errors between expected and received, day-to-day variation included."""
    effect: float | None = None
    """Relative change of the odds."""


class DayCounts(Part):
    """A channel's impressions of one day, as seen by the end of that day."""

    day: Day
    """The event day."""
    positives: int
    """Impressions with an outcome that counts."""
    rows: int
    """Impressions."""
    low: float | None = None
    """The lowest ratio that no day alone would have been alerted for; null with too little history."""
    high: float | None = None
    """The highest such ratio."""
    alert: bool = False
    """True where something was found about the channel."""


class DriftDocument(StoredDocument):
    """The drift of a run's day: drift.json in the run."""

    results: tuple[DriftResult, ...]
    """One result a channel."""
    history: Mapping[str, tuple[DayCounts, ...]]
    """Each channel's days that were looked at, the run's own last."""


class NumberDrift(Part):
    """A number on the days after the training window beside what the window held, in samples of the rows."""

    name: str
    """The feature."""
    low: float
    """The least value of the training window, without outliers."""
    high: float
    """The largest value."""
    outside: float | None
    """Share of the window's rows with a value that lies outside, outliers; null where no row has a value."""
    validation_outside: float | None
    """The same of the validation days."""
    newest_outside: float | None
    """The same of the run's own day."""
    shift: float | None
    """Where it moves with the date: how far, from the first day to the last, in deviations within a day; else null."""
    message: str = Field("", alias="words")
    """Sentences on what it does and what to do; empty where it does nothing unusual."""


class NumbersDocument(StoredDocument):
    """The numbers on the days after the training window: numbers.json in the run."""

    numbers: tuple[NumberDrift, ...]
    """The recipe's features that are numbers, in its order."""


class Worth(Part):
    """The worth of features on the validation days: predictions without them less those with them."""

    log_loss: IntervalPart
    """By how much log loss rises without them, in nats an impression."""
    cost_per_1000: IntervalPart
    """By how much cost rises, in currency units per 1,000 impressions."""
    finding: Finding
    """brings: surely something; harms: surely less than nothing; nothing: it is sure that they bring hardly anything,
    and likely that they bring none; unclear: the days can't tell."""
    message: str = Field(alias="words")
    """A sentence."""


class FeatureDay(Part):
    """A feature's values on a validation day, in a sample of its rows."""

    day: Day
    """The validation day."""
    rows: int
    """Rows that were looked at."""
    missing: float
    """Share of them without a value."""
    unseen: float | None
    """Share of them with a value that has no embedding row of its own; null for all but texts."""
    moved: float | None
    """Population stability index of its values against the training window's, less what chance shows; null for clocks,
    which move by themselves, and without rows."""


class FeatureOnLaterDays(Part):
    """A feature on the validation days."""

    name: str
    """The feature."""
    coverage: float
    """Share of the training window's rows on which it has a value, in a sample."""
    days: tuple[FeatureDay, ...]
    """Its values on each validation day."""
    worth: Worth
    """The worth there, all other features being there."""


class FeatureFamily(Part):
    """Features that tell of one another, since they read the same column or share embedding rows."""

    names: tuple[str, ...]
    """The features."""
    worth: Worth
    """The worth of all of them together."""


class FeatureWorth(Part):
    """Values and worth of each feature of a run's challenger on the validation days."""

    rows: int
    """Rows of the validation days that were predicted: all, or of many a sample that weighs as all do."""
    positives: int
    """Positives among them."""
    log_loss: float | None
    """Log loss of the challenger's predictions of them."""
    seconds: float
    """Time of all of it."""
    features: tuple[FeatureOnLaterDays, ...]
    """The recipe's features, in its order."""
    families: tuple[FeatureFamily, ...]
    """Those that belong together."""


class FeatureWorthDocument(StoredDocument):
    """The worth of features, or the reason why nobody knows: feature_worth.json in the run."""

    feature_worth: FeatureWorth | None = None
    """The features; null where it failed."""
    failure: str = ""
    """The reason; empty where it didn't."""
